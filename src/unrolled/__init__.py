"""An LSTM you can read, check and see inside: a drop-in for `torch.nn.LSTM`."""

from typing import TYPE_CHECKING, Any

from unrolled.auditing import Report, assert_exact, audit
from unrolled.engines import Choice, Declined
from unrolled.equations import CELLS, Cell, Gates
from unrolled.layer.elman import Elman
from unrolled.layer.lstm import LSTM
from unrolled.layer.lstm_cell import LSTMCell
from unrolled.layer.stepper import Stepper
from unrolled.layer.trace import Trace
from unrolled.steps.batches import Batches
from unrolled.steps.losses import Loss
from unrolled.steps.many import Job, Trained, train_many
from unrolled.steps.network import Network
from unrolled.steps.program import TrainingError
from unrolled.steps.stepping import train_steps

if TYPE_CHECKING:
    from unrolled.explorer import explore

__version__ = "0.1.0"

__all__ = [
    "CELLS",
    "LSTM",
    "Batches",
    "Cell",
    "Choice",
    "Declined",
    "Elman",
    "Gates",
    "Job",
    "LSTMCell",
    "Loss",
    "Network",
    "Report",
    "Stepper",
    "Trace",
    "Trained",
    "TrainingError",
    "assert_exact",
    "audit",
    "explore",
    "train_many",
    "train_steps",
]


def __getattr__(name: str) -> Any:
    if name == "explore":  # brought where it is asked for: most programs never draw a page
        from unrolled.explorer import explore

        return explore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
