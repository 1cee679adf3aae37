"""`Followed`: a module that tells those who copied its weights when others take their place.

A weight may be replaced by one of another dtype or on another device: ``module.double()``,
``module.to("cuda")``, ``load_state_dict(..., assign=True)``, an assignment.  Who has packed the old
one, as a `Stepper` has, is told then, so that it need not look at every step.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from torch import nn

from unrolled.errors import InvalidTypeError

__all__ = ["Followed", "Follower", "follow"]


class Follower(Protocol):
    """Who has copied a module's weights."""

    def look(self) -> None:
        """See whether the weights are still of the kind that was copied."""


# Not an attribute of the module: nothing of it is copied or saved with the module.
_followers: weakref.WeakKeyDictionary[nn.Module, weakref.WeakSet[Any]]
_followers = weakref.WeakKeyDictionary()


def follow(module: nn.Module, follower: Follower) -> None:
    """Have ``follower`` told, as long as there is somebody else who holds it."""
    _followers.setdefault(module, weakref.WeakSet()).add(follower)


class Followed(nn.Module):
    """A module that tells its followers when its weights are replaced."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a parameter is told of."""
        super().__setattr__(name, value)
        if isinstance(value, nn.Parameter):
            self._tell()
        elif name == "qconfig":  # quantize_dynamic and its like set it, and swap what they know
            warnings.warn(
                f"torch's quantization knows torch.nn.LSTM and leaves {type(self).__name__} of "
                "unrolled as it is, in floating point: to_torch() gives one that it takes.",
                UserWarning,
                stacklevel=2,
            )

    def __prepare_scriptable__(self) -> Any:
        """What torch.jit.script asks for in place of this module."""
        raise InvalidTypeError(
            f"torch.jit.script cannot read {type(self).__name__} of unrolled: use to_torch(), or "
            "torch.jit.trace, torch.export or torch.compile."
        )

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Any:
        # The one way of torch for .to(), .double(), .cuda() and their like.
        try:
            return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        finally:
            self._tell()

    def _tell(self) -> None:
        for follower in _followers.get(self, ()):
            follower.look()
