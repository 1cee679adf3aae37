"""Whether a kernel may read a tensor by its address: one gate for all that is handed over.

A kernel sees an address and sizes.  A tensor may have no memory of its own (a wrapper subclass such
as a DTensor, a fake or a meta tensor), or less of it than its shape says (its storage was freed or
cut).  The first kind is left to an engine that asks torch for everything; the second is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from unrolled.engines.watching import is_zero, sees_operations
from unrolled.errors import InvalidStateError

__all__ = ["check", "check_together", "dense", "fixed_zeros", "holds_all", "reason"]

_VECTOR = 64  # bytes


def reason(name: str, t: Tensor) -> str | None:
    """Why a tensor is none that lies in the CPU's memory, in strides; None if it is one."""
    if sees_operations(t):
        return f"{name} is a {type(t).__name__}, which sees operations and has no memory to read"
    if t.layout is not torch.strided:
        return f"{name} is {str(t.layout).removeprefix('torch.')}, not strided"
    return None if t.is_cpu else f"{name} is on {t.device}"


def holds_all(t: Tensor) -> bool:
    """Whether the storage of a strided tensor holds every element that its shape reaches."""
    if not t.numel() or is_zero(t):
        return True
    last, strides = t.storage_offset(), t.stride()
    if any(strides):  # if not, it is one value, expanded: the gradient of a sum
        last += sum((n - 1) * s for n, s in zip(t.shape, strides, strict=True))
    return bool(t.data_ptr()) and t.untyped_storage().nbytes() >= (last + 1) * t.element_size()


def check(name: str, t: Tensor) -> None:
    """Refuse a tensor whose memory was freed, or is less than its shape says.

    Raises
    ------
    InvalidStateError
    """
    if reason(name, t) is None and not holds_all(t):
        raise _less_than_its_shape(name, t)


def _less_than_its_shape(name: str, t: Tensor) -> InvalidStateError:
    return InvalidStateError(
        f"{name} is {t.dtype} {list(t.shape)}, and its storage has "
        f"{t.untyped_storage().nbytes()} bytes: it was freed or cut, so fill it anew."
    )


def check_together(x: Tensor, weights: Mapping[str, Tensor | None]) -> None:
    """Refuse an input and weights that torch's own operations would read beyond their memory.

    Raises
    ------
    InvalidStateError
        If memory is missing, or a weight lies on another device than the input.
    """
    check("the input", x)
    for name, w in weights.items():
        if w is not None:
            if w.device != x.device:
                raise InvalidStateError(
                    f"{name} is on {w.device} and the input on {x.device}: move one to the other."
                )
            check(name, w)


def dense(name: str, t: Tensor) -> Tensor:
    """The same values at an address, in order; of a zero tensor, which has none, zeros.

    Raises
    ------
    InvalidStateError
        If they cannot be had.
    """
    # Most are no more than this, and are known for it in the fewest questions.
    if t.__class__ is not Tensor or t.layout is not torch.strided or not t.is_cpu:
        why = reason(name, t)
        if why is not None:
            raise InvalidStateError(f"{why}: expected a tensor in the CPU's memory.")
    if not holds_all(t):
        raise _less_than_its_shape(name, t)
    if is_zero(t):
        return torch.zeros(t.shape, dtype=t.dtype, device="cpu")
    return t.resolve_neg().contiguous()


def fixed_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros that stay where they are: on the CPU, a storage that cannot be freed, cut or grown.

    For what a kernel goes on writing to by its address, whatever the caller does with the tensor.
    """
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    count = math.prod(shape)
    # torch resizes no memory that it was lent; and starts where a vector starts, as its own does.
    lent = torch.frombuffer(bytearray(count * dtype.itemsize + _VECTOR), dtype=torch.uint8)
    start = -lent.data_ptr() % _VECTOR
    return lent[start : start + count * dtype.itemsize].view(dtype).view(shape)
