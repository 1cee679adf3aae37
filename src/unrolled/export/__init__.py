"""Out of Python: a trained LSTM as a file that something else runs, and weights from elsewhere.

`targets` lists what can be written; each target is a file of its own that declines, in a sentence,
what it cannot say.  `orders.ORDERS` says how the weights lie in each library.
"""

from typing import TYPE_CHECKING

from unrolled.export.parts import ExportError, Parts, parts_of

if TYPE_CHECKING:
    from unrolled.export.elsewhere import (
        from_equinox,
        from_flax,
        from_keras,
        to_equinox,
        to_flax,
        to_keras,
    )
    from unrolled.export.onnx_weights import OnnxWeights, from_onnx, to_onnx_weights
    from unrolled.export.orders import ORDERS, Order

__all__ = [
    "ORDERS",
    "ExportError",
    "OnnxWeights",
    "Order",
    "Parts",
    "from_equinox",
    "from_flax",
    "from_keras",
    "from_onnx",
    "parts_of",
    "to_equinox",
    "to_flax",
    "to_keras",
    "to_onnx_weights",
]

# Brought where they are asked for: who writes one file loads no other format.
_LATER = {
    "ORDERS": "orders",
    "Order": "orders",
    "OnnxWeights": "onnx_weights",
    "from_equinox": "elsewhere",
    "from_flax": "elsewhere",
    "from_keras": "elsewhere",
    "from_onnx": "onnx_weights",
    "to_equinox": "elsewhere",
    "to_flax": "elsewhere",
    "to_keras": "elsewhere",
    "to_onnx_weights": "onnx_weights",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"unrolled.export.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
