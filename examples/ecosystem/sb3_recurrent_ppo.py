"""sb3-contrib: recurrent PPO without its loop over time, and with the same weights.

Where an episode begins inside a rollout, `RecurrentPPO` runs its LSTM one step after the other, in
Python.  `resets=` says the same in one call.  Both learn CartPole without its velocities, from the
same seed, and what they learn is compared.

    python examples/ecosystem/sb3_recurrent_ppo.py
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.wrappers import TransformObservation
from sb3_contrib import RecurrentPPO
from sb3_contrib.ppo_recurrent.policies import MlpLstmPolicy
from torch import Tensor, nn

from unrolled import LSTM

State = tuple[Tensor, Tensor]


class WithoutLoop(MlpLstmPolicy):
    """sb3-contrib's policy, its LSTMs ours with the same first weights."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        for name in ("lstm_actor", "lstm_critic"):
            setattr(self, name, as_ours(getattr(self, name)))
        rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer = self.optimizer_class(self.parameters(), lr=rate, **self.optimizer_kwargs)

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: State, episode_starts: Tensor, lstm: LSTM
    ) -> tuple[Tensor, State]:
        rows = lstm_states[0].shape[1]
        x = features.reshape(rows, -1, lstm.input_size).swapaxes(0, 1)
        begins = episode_starts.reshape(rows, -1).swapaxes(0, 1) != 0
        y, state = lstm(x, lstm_states, resets=begins)
        return y.transpose(0, 1).flatten(0, 1), state


def as_ours(lstm: nn.LSTM) -> LSTM:
    """The same weights; torch's generator is left where it was, so both draw the same actions."""
    with torch.random.fork_rng():
        ours = LSTM(lstm.input_size, lstm.hidden_size, lstm.num_layers)
    ours.load_state_dict(lstm.state_dict())
    return ours


def without_velocities() -> gymnasium.Env:
    """CartPole whose observation is where things are, and not how fast they move."""
    env = gymnasium.make("CartPole-v1")
    whole = env.observation_space
    places = gymnasium.spaces.Box(whole.low[[0, 2]], whole.high[[0, 2]], dtype=np.float32)
    return TransformObservation(env, lambda seen: seen[[0, 2]], places)


def learned(policy: type[MlpLstmPolicy], steps: int) -> tuple[dict[str, Tensor], float]:
    """The weights after so many steps, and the seconds that it took."""
    agent = RecurrentPPO(
        policy,
        without_velocities(),
        n_steps=256,
        batch_size=64,
        n_epochs=5,
        seed=0,
        device="cpu",
        policy_kwargs={"lstm_hidden_size": 64},
    )
    began = time.perf_counter()
    agent.learn(steps)
    return agent.policy.state_dict(), time.perf_counter() - began


def main() -> tuple[float, float]:
    steps = 512
    looped, slow = learned(MlpLstmPolicy, steps)
    ours, quick = learned(WithoutLoop, steps)
    apart = max(float((looped[name] - ours[name]).abs().max()) for name in looped)
    print(f"{steps} steps: {quick:.1f} s without the loop, {slow:.1f} s with it")
    print(f"time with the loop / without: {slow / quick:.2f}")
    print(f"largest difference of a weight: {apart:.1e}")
    return apart, slow / quick


if __name__ == "__main__":
    torch.set_num_threads(1)  # for layers this small, more only get in each other's way
    main()
