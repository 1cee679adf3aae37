"""An LSTM you can read, check and see inside: a drop-in for `torch.nn.LSTM`."""

from typing import TYPE_CHECKING

from unrolled.engines import Choice, Declined
from unrolled.equations import CELLS, Cell, Gates
from unrolled.errors import UnrolledError
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
    from unrolled.auditing import Report, assert_exact, audit
    from unrolled.estimators import Forecaster, LSTMClassifier, LSTMRegressor, Run, open_run
    from unrolled.explorer import explore

__all__ = [
    "CELLS",
    "LSTM",
    "Batches",
    "Cell",
    "Choice",
    "Declined",
    "Elman",
    "Forecaster",
    "Gates",
    "Job",
    "LSTMCell",
    "LSTMClassifier",
    "LSTMRegressor",
    "Loss",
    "Network",
    "Report",
    "Run",
    "Stepper",
    "Trace",
    "Trained",
    "TrainingError",
    "UnrolledError",
    "assert_exact",
    "audit",
    "explore",
    "open_run",
    "train_many",
    "train_steps",
]

# Brought where they are asked for: most programs never audit a pass and never draw a page.
_LATER = {
    "Forecaster": "unrolled.estimators",
    "LSTMClassifier": "unrolled.estimators",
    "LSTMRegressor": "unrolled.estimators",
    "Report": "unrolled.auditing",
    "Run": "unrolled.estimators",
    "assert_exact": "unrolled.auditing",
    "audit": "unrolled.auditing",
    "explore": "unrolled.explorer",
    "open_run": "unrolled.estimators",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("unrolled")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
