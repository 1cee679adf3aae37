"""An LSTM you can read, check and see inside: a drop-in for `torch.nn.LSTM`."""

from unrolled.auditing import Report, assert_exact, audit
from unrolled.elman import Elman
from unrolled.engines import Choice, Declined
from unrolled.equations import CELLS, Cell, Gates
from unrolled.lstm import LSTM
from unrolled.lstm_cell import LSTMCell
from unrolled.stepper import Stepper
from unrolled.trace import Trace

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
]
