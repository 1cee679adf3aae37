"""Out of Python: a trained LSTM as a file that something else runs, and weights from elsewhere.

`targets` lists what can be written; each target is a file of its own that declines, in a sentence,
what it cannot say.  `orders.ORDERS` says how the weights lie in each library.
"""

from typing import TYPE_CHECKING

from unrolled.export.parts import ExportError, Parts, parts_of
from unrolled.layer.effect import Effect

if TYPE_CHECKING:
    from unrolled.export.c import to_c
    from unrolled.export.elsewhere import (
        from_equinox,
        from_flax,
        from_keras,
        to_equinox,
        to_flax,
        to_keras,
    )
    from unrolled.export.guitarml import from_guitarml, to_guitarml
    from unrolled.export.nam import from_nam, to_nam
    from unrolled.export.onnx import to_onnx
    from unrolled.export.onnx_weights import OnnxWeights, from_onnx, to_onnx_weights
    from unrolled.export.orders import ORDERS, Order
    from unrolled.export.rates import AtRate, at_rate
    from unrolled.export.rtneural import from_rtneural, to_rtneural
    from unrolled.layer.portable import for_export

__all__ = [
    "ORDERS",
    "AtRate",
    "Effect",
    "ExportError",
    "OnnxWeights",
    "Order",
    "Parts",
    "at_rate",
    "for_export",
    "from_equinox",
    "from_flax",
    "from_guitarml",
    "from_keras",
    "from_nam",
    "from_onnx",
    "from_rtneural",
    "parts_of",
    "to_c",
    "to_equinox",
    "to_flax",
    "to_guitarml",
    "to_keras",
    "to_nam",
    "to_onnx",
    "to_onnx_weights",
    "to_rtneural",
]

# Brought where they are asked for: who writes one file loads no other format.
_LATER = {
    "AtRate": "export.rates",
    "ORDERS": "export.orders",
    "OnnxWeights": "export.onnx_weights",
    "Order": "export.orders",
    "at_rate": "export.rates",
    "for_export": "layer.portable",
    "from_equinox": "export.elsewhere",
    "from_flax": "export.elsewhere",
    "from_guitarml": "export.guitarml",
    "from_keras": "export.elsewhere",
    "from_nam": "export.nam",
    "from_onnx": "export.onnx_weights",
    "from_rtneural": "export.rtneural",
    "to_c": "export.c",
    "to_equinox": "export.elsewhere",
    "to_flax": "export.elsewhere",
    "to_guitarml": "export.guitarml",
    "to_keras": "export.elsewhere",
    "to_nam": "export.nam",
    "to_onnx": "export.onnx",
    "to_onnx_weights": "export.onnx_weights",
    "to_rtneural": "export.rtneural",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"unrolled.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
