"""`unrolled bench`: this library beside what people use today, in one process, taking turns.

===============  ==================================================================================
options.py       what may be asked for, and the sentence where it makes no sense
timing.py        competitors called in turn: first held against each other, then timed
drawn.py         what every contest is made of: weights, an input, a gradient
contests.py      who is compared with whom, at which sizes
ourselves.py     what variants, masks, the trace and threads cost
peers.py         the others on whole sequences: torch's layer and cell, loops, torchrecurrent
streaming.py     the others one step at a time: torch, NumPy, ONNX Runtime
whole_steps.py   whole training steps, forward to update
running.py       every contest in its turn; the table and the CSV file
picture.py       the picture
===============  ==================================================================================
"""

from unrolled.bench.options import BenchOptions, options_from
from unrolled.bench.running import run
from unrolled.bench.timing import BenchError

__all__ = ["BenchError", "BenchOptions", "options_from", "run"]
