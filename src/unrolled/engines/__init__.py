"""Engines: ways of running one layer in one direction, and the choice between them.

An engine is a module with ``forward``, ``backward`` and ``supports``.  It declines what it cannot
do, with its reason, and never does something else instead.  It keeps no state between calls.
"""

from unrolled.engines import forking
from unrolled.engines.choice import check_name, choose, engine_named, engine_names
from unrolled.engines.protocol import (
    Backward,
    Choice,
    Declined,
    Engine,
    Forward,
    Gradients,
    Inputs,
    Request,
    recorded_backward,
)

__all__ = [
    "Backward",
    "Choice",
    "Declined",
    "Engine",
    "Forward",
    "Gradients",
    "Inputs",
    "Request",
    "check_name",
    "choose",
    "engine_named",
    "engine_names",
    "recorded_backward",
]

forking.watch()
