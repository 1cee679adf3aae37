"""Out of Python: a trained LSTM as a file that something else runs, and weights from elsewhere.

`targets` lists what can be written; each target is a file of its own that declines, in a sentence,
what it cannot say.
"""

from unrolled.export.c import to_c
from unrolled.export.parts import ExportError, Parts, parts_of

__all__ = ["ExportError", "Parts", "parts_of", "to_c"]
