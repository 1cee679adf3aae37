"""Need 1: episodes end in the middle of a rollout, and no Python loop over time is wanted.

`resets[t, b]` says that row b begins a new episode with step t.  One call does the whole rollout;
the final state is the one to go on from.  The loop that people write today gives the same numbers.
"""

import torch

from unrolled import LSTM

steps, environments = 32, 8
generator = torch.Generator().manual_seed(0)
observations = torch.randn(steps, environments, 4, generator=generator)
begins = torch.rand(steps, environments, generator=generator) < 0.1

torch.manual_seed(0)
lstm = LSTM(4, 16)
features, state = lstm(observations, resets=begins)

h = c = torch.zeros(1, environments, 16)
looped = []
for t in range(steps):
    goes_on = ~begins[t][None, :, None]
    y, (h, c) = lstm(observations[t : t + 1], (h * goes_on, c * goes_on))
    looped.append(y)

print(f"{int(begins.sum())} episodes begin inside the rollout")
print(f"largest difference from the loop: {(features - torch.cat(looped)).abs().max():.1e}")
print(f"largest difference of the final state: {(state[0] - h).abs().max():.1e}")
