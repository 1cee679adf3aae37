"""Somebody's hand-written LSTM, forward and backward, held against the exact one.

`audit` compares and explains, `assert_exact` is for a test, `by_steps` makes passes of single
steps, `hold` holds a drop-in layer to the equations; `unrolled audit FILE` does it from the command
line.  (The package has another name than the function, so that ``unrolled.audit`` is the
function whatever has been imported.)
"""

from unrolled.auditing.checks import assert_exact, audit
from unrolled.auditing.layers import hold
from unrolled.auditing.layouts import ArrayLayout, AuditError
from unrolled.auditing.report import Report
from unrolled.auditing.stepwise import by_steps

__all__ = ["ArrayLayout", "AuditError", "Report", "assert_exact", "audit", "by_steps", "hold"]
