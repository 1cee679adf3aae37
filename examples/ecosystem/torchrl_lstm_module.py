"""TorchRL: `LSTMModule` holds our layer, and `resets=` says what `is_init` says.

`LSTMModule` takes any layer that is batch first.  In its recurrent mode it cuts a batch at each
`is_init`, pads the pieces, runs the layer, and puts them together again; one call with `resets=`
gives the same output and the final state of the last piece as well.

    python examples/ecosystem/torchrl_lstm_module.py
"""

from __future__ import annotations

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import Tensor, nn
from torchrl.envs import GymEnv, InitTracker, TransformedEnv
from torchrl.modules import LSTMModule, set_recurrent_mode

from unrolled import LSTM

KEYS = {"in_key": "observation", "out_key": "features"}


def rollout(module: LSTMModule, steps: int) -> TensorDict:
    """Drawn actions; the state is carried by the module from step to step."""
    env = TransformedEnv(GymEnv("CartPole-v1"), InitTracker())
    env = env.append_transform(module.make_tensordict_primer())
    env.set_seed(0)
    head = nn.Linear(16, 2)

    def choose(features: Tensor) -> Tensor:
        action = torch.multinomial(head(features).softmax(-1), 1)[..., 0]
        return nn.functional.one_hot(action, 2)

    chooses = TensorDictModule(choose, in_keys=["features"], out_keys=["action"])
    policy = TensorDictSequential(module, chooses)
    return env.rollout(steps, policy, break_when_any_done=False)


@torch.no_grad()
def main() -> tuple[float, float, float, int]:
    torch.manual_seed(0)
    ours = LSTM(4, 16, batch_first=True)
    theirs = nn.LSTM(4, 16, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    module = LSTMModule(lstm=ours, **KEYS)
    seen = rollout(module, 100)
    begins = seen["is_init"][:, 0]
    x = seen["observation"]

    y, _ = ours(x, resets=begins)
    from_rollout = float((y - seen["features"]).abs().max())
    with set_recurrent_mode(True):
        again = module(seen.clone())["features"]
        torchs = LSTMModule(lstm=theirs, **KEYS)(seen.clone())["features"]
    in_pieces = float((y - again).abs().max())
    from_torchs = float((y - torchs).abs().max())
    print(f"{len(x)} steps, {int(begins.sum())} episodes")
    print(f"one call with resets= and the rollout, step by step: {from_rollout:.1e} apart")
    print(f"one call and the module in its recurrent mode: {in_pieces:.1e} apart")
    print(f"one call and the module with torch's layer: {from_torchs:.1e} apart")
    return from_rollout, in_pieces, from_torchs, int(begins.sum())


if __name__ == "__main__":
    main()
