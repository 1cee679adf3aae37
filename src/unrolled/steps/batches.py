"""`Batches`: a block of batches, one for each training step, and where each of them lies."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from unrolled.engines.calls import Batch
from unrolled.engines.masks import row_masks
from unrolled.engines.memory import check, dense
from unrolled.engines.watching import is_zero, sees_operations
from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.layer.elman import Elman
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network

__all__ = ["Batches", "Places", "as_batches", "places"]


class Batches(NamedTuple):
    """N batches for N training steps, time first in each.

    Parameters
    ----------
    x : Tensor, [N, T, B, I]
    target : Tensor
        [N, T, B, O], or [N, B, O] for what is read after the last step; without O where that is 1,
        and for classes, which are int64.
    lengths : Tensor of int, [N, B], optional
    resets, mask : Tensor of bool, [N, T, B], optional
        As `unrolled.LSTM` takes them.  What lies beyond a row's length does not count in the loss;
        a step that is missing does.
    begins : Tensor of bool, [N], optional
        Where a state is carried: which batches begin at zero all the same.
    """

    x: Tensor
    target: Tensor
    lengths: Tensor | None = None
    resets: Tensor | None = None
    mask: Tensor | None = None
    begins: Tensor | None = None

    def at(self, k: int) -> Batches:
        """The k-th batch alone, without N."""
        return Batches(*(None if t is None else t[k] for t in self))  # type: ignore[arg-type]

    def inside(self) -> Tensor | None:
        """Which steps lie within the lengths: [N, T, B], or [T, B] of one batch."""
        if self.lengths is None:
            return None
        steps = torch.arange(self.x.shape[-3], device=self.lengths.device)[:, None]
        return steps < self.lengths.unsqueeze(-2)


def as_batches(given: Any, network: Network, loss: Loss) -> Batches:
    """The caller's batches, once they are known to fit the network and its loss.

    Raises
    ------
    TypeError, ValueError
        In one sentence, where something does not fit the network.
    """
    if not isinstance(given, Batches):
        if not isinstance(given, (tuple, list)) or not 2 <= len(given) <= 6:
            raise InvalidTypeError(
                f"a block of batches is a {type(given).__name__}, expected (x, target) or "
                "unrolled.Batches."
            )
        block = Batches(*given)
    else:
        block = given
    for name, t in zip(Batches._fields, block, strict=True):
        if isinstance(t, Tensor):
            check(name, t)
    weight = network.recurrent.weight_ih_l0
    x, width = block.x, network.recurrent.input_size
    if x.dim() != 4 or x.shape[3] != width:
        raise InvalidValueError(f"x is {list(x.shape)}, expected [N, T, B, {width}].")
    if x.dtype != weight.dtype or x.device != weight.device:
        raise InvalidValueError(
            f"x is {x.dtype} on {x.device}, expected {weight.dtype} on {weight.device} like the "
            "network."
        )
    count, steps, rows, _ = x.shape
    if not steps or not rows:
        raise InvalidValueError(f"x is {list(x.shape)}, expected at least one step and one row.")
    _check_target(block.target, (count, steps, rows), network, loss, x)
    if isinstance(network.recurrent, Elman):
        for name in ("lengths", "resets", "mask"):
            if getattr(block, name) is not None:
                raise InvalidValueError(f"{name} was given, and an Elman takes none: leave it out.")
    shapes: dict[str, tuple[int, ...]]
    shapes = {"lengths": (count, rows), "resets": (count, steps, rows)}
    shapes |= {"mask": shapes["resets"], "begins": (count,)}
    for name, shape in shapes.items():
        t = getattr(block, name)
        if t is None:
            continue
        if tuple(t.shape) != shape:
            raise InvalidValueError(f"{name} is {list(t.shape)}, expected {list(shape)}.")
        if name == "lengths":
            if t.is_floating_point() or not bool(((t >= 0) & (t <= steps)).all()):
                raise InvalidValueError(f"lengths must be whole numbers from 0 to {steps}.")
        elif t.dtype != torch.bool:
            raise InvalidValueError(f"{name} is {t.dtype}, expected torch.bool.")
    return block


def _check_target(
    target: Tensor, sizes: tuple[int, int, int], network: Network, loss: Loss, x: Tensor
) -> None:
    count, steps, rows = sizes
    lead = (count, rows) if network.read == "last" else (count, steps, rows)
    classes, outputs = loss.kind == "cross_entropy", network.outputs
    if loss.quantiles:
        if outputs % len(loss.quantiles):
            raise InvalidValueError(
                f"the network has {outputs} outputs, expected a multiple of the loss's "
                f"{len(loss.quantiles)} quantiles."
            )
        outputs //= len(loss.quantiles)
    expected = [lead] if classes else [(*lead, outputs)]
    if outputs == 1 and not classes:
        expected.append(lead)
    if tuple(target.shape) not in expected:
        words = " or ".join(str(list(shape)) for shape in expected)
        raise InvalidValueError(f"target is {list(target.shape)}, expected {words}.")
    wanted = torch.int64 if classes else x.dtype
    if target.dtype != wanted or target.device != x.device:
        raise InvalidValueError(
            f"target is {target.dtype} on {target.device}, expected {wanted} on {x.device}."
        )
    if classes:
        counted = target[target != loss.ignore_index]
        if len(counted) and not (0 <= int(counted.min()) <= int(counted.max()) < outputs):
            raise InvalidValueError(
                f"target holds classes from {int(counted.min())} to {int(counted.max())}, expected "
                f"0 to {outputs - 1}."
            )


class Places(NamedTuple):
    """Where each batch of a block lies in memory, as the kernel reads it."""

    table: Tensor  # of int64, a row for each batch; the columns are those of `Batch`
    steps: int
    rows: int
    kept: list[Tensor]  # what must live as long


def places(batches: Batches, carried: bool) -> Places:
    """Where each batch of a block lies, with its masks, as a table that the kernel reads.

    ``carried``: each batch begins with the state that the one before left, if it does not begin.
    """
    count, steps, rows, _ = batches.x.shape
    masks = row_masks(batches.inside(), batches.mask, batches.resets)
    kept: list[Tensor] = []
    numbers = torch.arange(count, device="cpu")

    def each(t: Tensor | None) -> Tensor | int:
        """Where each batch of a tensor lies; 0 for None."""
        if t is None or not count:
            return 0
        if sees_operations(t) or not t[0].is_contiguous() or t.is_neg() or is_zero(t):
            t = dense("a batch", t)
        kept.append(t)
        return t.data_ptr() + numbers * (t.stride(0) * t.element_size())

    fresh = 1 if not carried else 0 if batches.begins is None else batches.begins.to("cpu").long()
    columns = Batch(
        steps=steps,
        rows=rows,
        x=each(batches.x),
        target=each(batches.target),
        carry=each(masks.carry),
        live=each(masks.live),
        inside=each(masks.inside),
        fresh=fresh,
    )
    table = torch.empty(count, len(columns), dtype=torch.int64, device="cpu")
    for k, column in enumerate(columns):
        table[:, k] = column
    return Places(table, steps, rows, kept)
