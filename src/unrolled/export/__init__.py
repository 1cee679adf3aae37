"""Out of Python: a trained LSTM as a file that something else runs, and weights from elsewhere.

`targets` lists what can be written; each target is a file of its own that declines, in a sentence,
what it cannot say.  `orders.ORDERS` says how the weights lie in each library.
"""

from typing import TYPE_CHECKING

from unrolled.export.effect import Effect
from unrolled.export.parts import ExportError, Parts, parts_of

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
    from unrolled.export.onnx_weights import OnnxWeights, from_onnx, to_onnx_weights
    from unrolled.export.orders import ORDERS, Order
    from unrolled.export.rates import AtRate, at_rate
    from unrolled.export.rtneural import from_rtneural, to_rtneural

__all__ = [
    "ORDERS",
    "AtRate",
    "Effect",
    "ExportError",
    "OnnxWeights",
    "Order",
    "Parts",
    "at_rate",
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
    "to_onnx_weights",
    "to_rtneural",
]

# Brought where they are asked for: who writes one file loads no other format.
_LATER = {
    "ORDERS": "orders",
    "AtRate": "rates",
    "OnnxWeights": "onnx_weights",
    "Order": "orders",
    "at_rate": "rates",
    "from_equinox": "elsewhere",
    "from_flax": "elsewhere",
    "from_guitarml": "guitarml",
    "from_keras": "elsewhere",
    "from_nam": "nam",
    "from_onnx": "onnx_weights",
    "from_rtneural": "rtneural",
    "to_c": "c",
    "to_equinox": "elsewhere",
    "to_flax": "elsewhere",
    "to_guitarml": "guitarml",
    "to_keras": "elsewhere",
    "to_nam": "nam",
    "to_onnx_weights": "onnx_weights",
    "to_rtneural": "rtneural",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"unrolled.export.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
