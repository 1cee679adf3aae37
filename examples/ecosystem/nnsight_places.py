"""nnsight: read a cell at every step, and silence a gate at one, by the names of `LSTM.places`.

nnsight sees what passes through a submodule.  `opened()` makes each value inside the recurrence one
of that name.

    python examples/ecosystem/nnsight_places.py
"""

from __future__ import annotations

import torch
from nnsight import NNsight
from torch import Tensor

from unrolled import LSTM


def read_and_patched(lstm: LSTM, x: Tensor) -> tuple[Tensor, Tensor]:
    """The cell at every step, [T, B, H]; and the output with the forget gates shut in step 3."""
    model = NNsight(lstm.opened())
    with model.trace(x) as tracer:
        cells = [].save()
        for _ in tracer.iter[: len(x)]:
            cells.append(model.l0.c.output)
    with model.trace(x) as tracer:
        for _ in tracer.iter[3:4]:
            model.l0.f.output[:] = 0
        out = model.output.save()
    return torch.stack(list(cells)), out[0]


@torch.no_grad()
def main() -> tuple[float, float]:
    torch.manual_seed(0)
    lstm, x = LSTM(3, 8), torch.randn(6, 2, 3)
    cells, y = read_and_patched(lstm, x)
    with lstm.patched({"l0.f": {3: torch.zeros_like}}):
        expected, _ = lstm(x)
    read = float((cells - lstm.trace(x)["l0.c"]).abs().max())
    patched = float((y - expected).abs().max())
    print(f"l0.c as nnsight reads it, and the trace: {read:.1e} apart")
    print(f"l0.f shut in step 3 by nnsight, and by patched(): {patched:.1e} apart")
    print(f"what that changes in the output: {float((y - lstm(x)[0]).abs().max()):.3f}")
    return read, patched


if __name__ == "__main__":
    main()
