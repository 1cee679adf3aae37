"""From what a caller hands over to what the loop reads, and back.

Inside, everything is [T, B, ...].  A caller's input is that, or batch first, or one sequence
without a batch, or a `PackedSequence`; `Layout` is which of them it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unrolled.engines.masks import until
from unrolled.engines.watching import autocast_dtype, compiling, values_hidden
from unrolled.errors import InvalidStateError, InvalidTypeError, InvalidValueError

__all__ = ["Layout", "Rows", "enter", "enter_state", "rows"]

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Layout:
    """How the caller's tensors lie."""

    batched: bool = True
    batch_first: bool = False
    packed: PackedSequence | None = None

    def inward(self, t: Tensor) -> Tensor:
        """[T, B, ...] from the caller's layout."""
        if not self.batched:
            return t.unsqueeze(1)
        return t.transpose(0, 1) if self.batch_first else t

    def outward(self, t: Tensor) -> Tensor:
        """The caller's layout from [T, B, ...]."""
        if not self.batched:
            return t.squeeze(1)
        return t.transpose(0, 1) if self.batch_first else t

    def output(self, y: Tensor, lengths: Tensor | None) -> Tensor | PackedSequence:
        """What the caller gets: the output in the layout, or packed as the input was."""
        if self.packed is None:
            return self.outward(y)
        assert lengths is not None
        order = self.packed.sorted_indices
        if order is not None:
            y, lengths = y.index_select(1, order), lengths.index_select(0, order)
        # Packed by torch, which cannot go back through that with complex numbers.
        inside = until(lengths, y.size(0))
        data = y[inside] if y.is_complex() else pack_padded_sequence(y, lengths.cpu()).data
        return PackedSequence(data, self.packed.batch_sizes, order, self.packed.unsorted_indices)

    def state(self, s: Tensor) -> Tensor:
        """[L·D, B, H] or, for one sequence, [L·D, H]."""
        return s if self.batched else s.squeeze(1)


def enter(
    x: Tensor | PackedSequence, input_size: int, batch_first: bool, dtype: torch.dtype
) -> tuple[Layout, Tensor, Tensor | None]:
    """The layout of an input, the input as [T, B, I], and its lengths if it was packed.

    Raises
    ------
    ValueError, RuntimeError
        Where `torch.nn.LSTM` raises them, for the same reasons.
    """
    lengths = None
    if isinstance(x, PackedSequence):
        layout = Layout(packed=x)
        x, lengths = pad_packed_sequence(x)
        lengths = lengths.to(x.device)
    else:
        if not isinstance(x, Tensor):
            raise InvalidTypeError(f"the input is a {type(x).__name__}, expected a tensor.")
        if x.dim() not in (2, 3):
            batched = "[B, T, I]" if batch_first else "[T, B, I]"
            raise InvalidValueError(
                f"LSTM: the input is {x.dim()}-dimensional, expected 2 [T, I] or 3 {batched}."
            )
        layout = Layout(batched=x.dim() == 3, batch_first=batch_first)
        x = layout.inward(x)
    if x.size(-1) != input_size:
        raise InvalidStateError(
            f"the input's last dimension is {x.size(-1)}, expected input_size={input_size}."
        )
    if x.size(0) == 0:
        raise InvalidStateError("the input has no steps; expected a sequence length of 1 or more.")
    casts = autocast_dtype(x) is not None and x.is_floating_point() and dtype != torch.float64
    if x.dtype != dtype and not casts:
        other = f", or model.to({x.dtype})" if x.is_floating_point() else ""
        raise InvalidValueError(
            f"the input is {x.dtype} and the weights are {dtype}: use input.to({dtype}){other}."
        )
    return layout, x, lengths


def enter_state(
    hx: State | None, layout: Layout, x: Tensor, sizes: tuple[int, int], count: int
) -> list[State]:
    """The initial state of each layer and direction, [B, P] and [B, H]; zero where there is none.

    Raises
    ------
    TypeError, RuntimeError
        If it is not a pair of tensors, or not of the shape that the input asks for.
    """
    batch = x.size(1)
    if hx is None:
        h = x.new_zeros(batch, sizes[0])
        return [(h, h if sizes[0] == sizes[1] else x.new_zeros(batch, sizes[1]))] * count
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise InvalidTypeError(
            f"hx is a {type(hx).__name__}, expected a pair (h_0, c_0) of tensors."
        )
    state = []
    for name, s, size in zip(("h_0", "c_0"), hx, sizes, strict=True):
        if not isinstance(s, Tensor):
            raise InvalidTypeError(f"{name} is a {type(s).__name__}, expected a tensor.")
        expected = (count, batch, size) if layout.batched else (count, size)
        if tuple(s.shape) != expected:
            raise InvalidStateError(
                f"{name} is {_shape(s)}, expected {list(expected)} for this input."
            )
        if s.dtype != x.dtype and autocast_dtype(x) is None:
            raise InvalidStateError(f"{name} is {s.dtype}, expected {x.dtype} like the input.")
        state.append(s if layout.batched else s.unsqueeze(1))
    return list(zip(*(s.unbind(0) for s in state), strict=True))


@dataclass(frozen=True)
class Rows:
    """What is known about the rows of a batch, each [T, B] or None."""

    lengths: Tensor | None = None  # [B]
    inside: Tensor | None = None
    present: Tensor | None = None
    resets: Tensor | None = None


_NOTHING = Rows()


def rows(
    layout: Layout,
    x: Tensor,
    packed_lengths: Tensor | None,
    lengths: Tensor | Sequence[int] | int | None,
    resets: Tensor | None,
    mask: Tensor | None,
) -> Rows:
    """Check ``lengths``, ``resets`` and ``mask`` and bring them to [T, B].

    Raises
    ------
    TypeError, ValueError
        One sentence that names the argument and what was expected of it.
    """
    if packed_lengths is None and lengths is None and resets is None and mask is None:
        return _NOTHING
    if packed_lengths is not None and lengths is not None:
        raise InvalidValueError(
            "lengths= was given with a PackedSequence, which has its own lengths."
        )
    at = packed_lengths if lengths is None else _lengths(lengths, layout, x)
    inside = None if at is None else until(at, x.size(0))
    present = _flags("mask", mask, layout, x)
    begins = _flags("resets", resets, layout, x)
    # What changes nothing is left out, so that the call is the plain one, to the last bit.
    return Rows(
        lengths=at,
        inside=None if _is_all(inside, True) else inside,
        present=None if _is_all(present, True) else present,
        resets=None if _is_all(begins, False) else begins,
    )


def _is_all(flags: Tensor | None, value: bool) -> bool:
    """Whether flags are known to have one value: on the CPU, where it costs little to look."""
    if type(flags) is not Tensor or flags.device.type != "cpu" or values_hidden():
        return False
    return bool(flags.all()) if value else not bool(flags.any())


def _shape(t: Tensor) -> list[int]:
    return list(t.shape)


def _lengths(given: Tensor | Sequence[int] | int, layout: Layout, x: Tensor) -> Tensor:
    at = given if isinstance(given, Tensor) else torch.as_tensor(given, device="cpu")
    if not at.numel() and not isinstance(given, Tensor):
        at = at.long()  # an empty list says nothing of its type
    if at.dtype == torch.bool or at.is_floating_point() or at.is_complex():
        raise InvalidTypeError(f"lengths is {at.dtype}, expected integers.")
    expected = [x.size(1)] if layout.batched else []
    if _shape(at) != expected:
        raise InvalidValueError(
            f"lengths has shape {_shape(at)}, expected {expected}, one for each row."
        )
    if not compiling():  # there, looking at a value would break the graph
        wrong = at[(at < 0) | (at > x.size(0))]
        if wrong.numel():
            raise InvalidValueError(
                f"lengths holds {int(wrong.flatten()[0])}, expected 0 to {x.size(0)}, "
                "the number of steps in the input."
            )
    return at.to(x.device).reshape(x.size(1))


def _flags(name: str, given: Tensor | None, layout: Layout, x: Tensor) -> Tensor | None:
    if given is None:
        return None
    if not isinstance(given, Tensor):
        given = torch.as_tensor(given, device="cpu")
    if layout.packed is not None:
        raise InvalidValueError(
            f"{name}= needs a padded input: use lengths= in place of PackedSequence."
        )
    if given.dtype != torch.bool:
        raise InvalidTypeError(f"{name} is {given.dtype}, expected torch.bool: use {name}.bool().")
    steps, batch = x.size(0), x.size(1)
    if not layout.batched:
        names, expected = "[T]", [steps]
    elif layout.batch_first:
        names, expected = "[B, T]", [batch, steps]
    else:
        names, expected = "[T, B]", [steps, batch]
    if _shape(given) != expected:
        raise InvalidValueError(f"{name} has shape {_shape(given)}, expected {names} = {expected}.")
    return layout.inward(given).to(x.device)
