"""Need 4: rows of different lengths, without PackedSequence.

`lengths` may be in any order and on any device, and may be zero.  What lies in the padding is not
read (here it is NaN), the output there is 0, and the final state is the one at each row's own end.
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from unrolled import LSTM

generator = torch.Generator().manual_seed(0)
rows = [torch.randn(n, 8, generator=generator) for n in (3, 0, 7, 5)]
lengths = [len(row) for row in rows]
padded = pad_sequence(rows, padding_value=float("nan"))

torch.manual_seed(0)
lstm = LSTM(8, 16, bidirectional=True)
y, (h, c) = lstm(padded, lengths=lengths)

for k, row in enumerate(rows):
    if len(row):
        alone, (h_alone, _) = lstm(row)
        difference = max((y[: len(row), k] - alone).abs().max(), (h[:, k] - h_alone).abs().max())
        print(f"row of {len(row)} steps: largest difference from running it alone {difference:.0e}")
    else:
        print(f"row of 0 steps: final state as the initial one: {bool((h[:, k] == 0).all())}")
