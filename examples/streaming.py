"""One step at a time, in microseconds: what an audio or control loop calls.

`stepper()` packs the weights once and owns its buffers: no allocation, no autograd.  The same
numbers as the layer in `eval()`.
"""

import time

import torch

from unrolled import LSTM

torch.manual_seed(0)
lstm = LSTM(1, 40).eval()
stepper = lstm.stepper()
signal = torch.sin(torch.arange(20_000) * 0.01)[:, None, None]  # [T, B, I]

outputs = torch.empty(len(signal), 1, 40)
began = time.perf_counter()
for t, sample in enumerate(signal):
    outputs[t] = stepper(sample)
seconds = time.perf_counter() - began

whole, _ = lstm(signal)
print(f"{seconds / len(signal) * 1e6:.1f} µs a sample, with the loop around it")
print(f"largest difference from the layer: {(outputs - whole).abs().max():.0e}")
