"""An LSTM as ONNX's own node, its weights in ONNX's order: what `to_onnx` puts in its place.

ONNX's LSTM has every cell but f = 1 and h = o⊙c, in both directions, and lengths; it has no
projection, no zoneout, and no reset or missing step.  What it has not is a Scan over the equations.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from unrolled.equations import Gates
from unrolled.errors import InvalidStateError
from unrolled.layer.layout import Rows, State
from unrolled.layer.lstm import LSTM
from unrolled.layer.portable import PortableLSTM
from unrolled.layer.regularisation import Noise
from unrolled.layer.written import arranged, has_node, node

__all__ = ["NodeLSTM"]

_WEIGHTS = ("W", "R", "B", "P")


class NodeLSTM(PortableLSTM):
    """An `LSTM` that ``torch.onnx.export`` writes as one node for each layer, where there is one.

    In Python it runs as the layer that it was made from.
    """

    @classmethod
    def of(cls, lstm: LSTM) -> Self:
        """A copy of a layer, with its weights as ONNX reads them beside them."""
        copy = super().of(lstm)
        if copy.is_node():
            for layer in range(copy.num_layers):
                for name, weight in zip(_WEIGHTS, copy._stacked(layer), strict=True):
                    copy.register_buffer(f"{name}_l{layer}", weight, persistent=False)
        return copy

    def is_node(self) -> bool:
        """Whether ONNX's LSTM has the cell; a call with resets or a mask is no node even so."""
        plain = self.noise == Noise() and not self.proj_size
        return plain and has_node(self.cell, self.weight_ih_l0.dtype)

    def _stacked(self, layer: int) -> list[Tensor | None]:
        """The weights of a layer as ONNX reads them, each with the directions first."""
        keys = [key for key in self._keys if key in (f"l{layer}", f"l{layer}_reverse")]
        nothing: Any = None
        with torch.no_grad():
            each = [arranged(self.cell, self.inputs_of(k, nothing, (nothing,) * 2)) for k in keys]
            return [None if w[0] is None else torch.stack(w) for w in zip(*each, strict=True)]

    def _layers(
        self,
        x: Tensor,
        state: list[State],
        known: Rows,
        to_start: bool,
        generator: torch.Generator | None,
        trace: bool,
    ) -> tuple[Tensor, State, dict[str, Gates]]:
        """As the layer's own, with a node for each layer where that says what is asked."""
        if "_run_layer" in vars(self) and torch.onnx.is_in_onnx_export():
            raise InvalidStateError(
                "this LSTM runs under an intervention, which ONNX's LSTM cannot say: export the "
                "layer itself."
            )
        plain = known.present is None and known.resets is None and not trace
        if not (plain and self.is_node() and torch.onnx.is_in_onnx_export()):
            return super()._layers(x, state, known, to_start, generator, trace)
        lengths = None if known.inside is None else known.lengths
        y, ends = x, []
        for layer in range(self.num_layers):
            y, h_n, c_n = self._node(layer, y, state, lengths)
            ends.append((h_n, c_n))
        h_n, c_n = (torch.cat(states) for states in zip(*ends, strict=True))
        return y, (h_n, c_n), {}

    def _node(
        self, layer: int, x: Tensor, state: list[State], lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One layer: y [T, B, D·H], and the final states [D, B, H]."""
        count = 2 if self.bidirectional else 1
        own = state[layer * count : (layer + 1) * count]
        h_0, c_0 = (torch.stack(s) for s in zip(*own, strict=True))
        weights = [getattr(self, f"{name}_l{layer}") for name in _WEIGHTS]
        direction = "bidirectional" if self.bidirectional else "forward"
        ends = None if lengths is None else lengths.to(torch.int32)
        y, h_n, c_n = node(self.cell, x, weights, (h_0, c_0), direction, ends)
        y = y[:, 0] if count == 1 else y.transpose(1, 2).flatten(2)
        if lengths is None:
            return y, h_n, c_n
        ran = (lengths > 0)[:, None]  # a row of length 0 keeps its state; ONNX is silent about it
        return y, torch.where(ran, h_n, h_0), torch.where(ran, c_n, c_0)
