"""Zoneout and dropout: which masks over units a layer draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from unrolled.engines.masks import StateMasks, bernoulli
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import below_one, check_argument
from unrolled.layer.settings import probability

__all__ = ["Noise"]


@dataclass(frozen=True)
class Noise:
    """The probabilities, each 0 for nothing."""

    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    recurrent: float = 0.0
    update: float = 0.0

    @classmethod
    def checked(
        cls, zoneout: float | tuple[float, float], recurrent: float, update: float
    ) -> Noise:
        """From the arguments of `unrolled.LSTM`; ValueError for what is no probability."""
        pair = zoneout if isinstance(zoneout, (tuple, list)) else (zoneout, zoneout)
        if len(pair) != 2:
            raise InvalidValueError(
                f"zoneout={zoneout!r} makes no sense: expected one probability or a pair (h, c)."
            )
        h, c = (probability("zoneout", z) for z in pair)
        noise = cls(
            h, c, probability("recurrent_dropout", recurrent), probability("update_dropout", update)
        )
        for name, p in (("recurrent_dropout", noise.recurrent), ("update_dropout", noise.update)):
            check_argument(name, p, below_one)
        return noise

    def described(self) -> list[str]:
        """The arguments of `unrolled.LSTM` that give this, those that are not 0."""
        given = {
            "zoneout": (self.zoneout_h, self.zoneout_c),
            "recurrent_dropout": self.recurrent,
            "update_dropout": self.update,
        }
        return [f"{name}={value}" for name, value in given.items() if value not in (0, (0, 0))]

    def added(
        self,
        masks: StateMasks,
        x: Tensor,
        sizes: tuple[int, int],
        training: bool,
        generator: torch.Generator | None,
    ) -> StateMasks:
        """``masks`` with this layer's own: drawn in training, expected values otherwise.

        Parameters
        ----------
        x : Tensor, [T, B, I]
            Whose T, B, dtype and device the masks take.
        sizes : (int, int)
            Those of h and c.
        """
        if not (self.zoneout_h or self.zoneout_c or self.recurrent or self.update):
            return masks
        steps, rows = x.shape[:2]

        def kept(p: float, size: int) -> Tensor | None:
            if p == 0:
                return None
            if training:
                return bernoulli(x, (steps, rows, size), 1 - p, generator)
            return x.new_full((), 1 - p).expand(steps, rows, size)

        def dropped(p: float, shape: tuple[int, ...]) -> Tensor | None:
            if p == 0 or not training:
                return None
            return bernoulli(x, shape, 1 - p, generator) / (1 - p)

        return replace(
            masks,
            recur=dropped(self.recurrent, (rows, sizes[0])),
            update=dropped(self.update, (steps, rows, sizes[1])),
            keep_h=kept(self.zoneout_h, sizes[0]),
            keep_c=kept(self.zoneout_c, sizes[1]),
        )

    @staticmethod
    def between(x: Tensor, p: float, training: bool, generator: torch.Generator | None) -> Tensor:
        """Dropout between layers; without a generator, the very draws of `torch.nn.LSTM`."""
        if not training or p == 0:
            return x
        if generator is None or p == 1:
            return functional.dropout(x, p)
        return x * (bernoulli(x, tuple(x.shape), 1 - p, generator) / (1 - p))
