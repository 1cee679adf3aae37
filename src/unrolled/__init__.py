"""An LSTM you can read, check and see inside: a drop-in for `torch.nn.LSTM`."""

from typing import TYPE_CHECKING, Any

from unrolled.auditing import Report, assert_exact, audit
from unrolled.elman import Elman
from unrolled.engines import Choice, Declined
from unrolled.equations import CELLS, Cell, Gates
from unrolled.lstm import LSTM
from unrolled.lstm_cell import LSTMCell
from unrolled.stepper import Stepper
from unrolled.trace import Trace

if TYPE_CHECKING:
    from unrolled.explorer import explore

__version__ = "0.1.0"

__all__ = [
    "CELLS",
    "LSTM",
    "Cell",
    "Choice",
    "Declined",
    "Elman",
    "Gates",
    "LSTMCell",
    "Report",
    "Stepper",
    "Trace",
    "assert_exact",
    "audit",
    "explore",
]


def __getattr__(name: str) -> Any:
    if name == "explore":  # brought where it is asked for: most programs never draw a page
        from unrolled.explorer import explore

        return explore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
