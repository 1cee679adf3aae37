"""Out of Python: a trained LSTM as a file that something else runs, and weights from elsewhere.

`targets` lists what can be written; each target is a file of its own that declines, in a sentence,
what it cannot say.
"""

from unrolled.export.onnx import to_onnx
from unrolled.export.parts import ExportError, Parts, parts_of
from unrolled.layer.portable import for_export

__all__ = ["ExportError", "Parts", "for_export", "parts_of", "to_onnx"]
