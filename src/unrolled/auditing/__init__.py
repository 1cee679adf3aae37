"""Somebody's hand-written LSTM, forward and backward, held against the exact one.

`audit` compares and explains, `assert_exact` is for a test; `unrolled audit FILE` does it from the
command line.  (The package has another name than the function, so that ``unrolled.audit`` is the
function whatever has been imported.)
"""

from unrolled.auditing.checks import assert_exact, audit
from unrolled.auditing.layouts import ArrayLayout, AuditError
from unrolled.auditing.report import Report

__all__ = ["ArrayLayout", "AuditError", "Report", "assert_exact", "audit"]
