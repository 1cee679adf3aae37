"""Call somebody else's forward and backward pass, and say plainly where that cannot be done."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unrolled.auditing.exact import Draw
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.systems import System

__all__ = ["DEFAULT_PARAMS", "FORMS", "STATES", "Learner", "Returned", "named_in", "raised"]

DEFAULT_PARAMS = {"w_ih": "ih", "w_hh": "hh", "b_ih": "b_ih", "b_hh": "b_hh"}


class Returned(NamedTuple):
    """What a backward pass gave: the parameters' gradient as one vector, and what it gave beside.

    ``double`` says whether all of the parameters' were float64.
    """

    flat: Tensor
    x: Tensor | None
    h_0: Tensor | None
    c_0: Tensor | None
    double: bool


@dataclass(frozen=True)
class Learner:
    """Somebody's two functions, and how they lay things out.

    ``file`` is where they stand, for the line of an error; None where that is not known.  ``loss``
    is where the loss is: on ``"every"`` step's h, or on the ``"last"`` one's, which alone is
    returned then.  ``states`` says whether they are called with h_0 and c_0, and ``target`` what a
    class is told by: its ``"index"``, or ``"one-hot"``.
    """

    run_forward: Callable[..., Any]
    run_backward: Callable[..., Any]
    system: System
    library: str = "numpy"
    file: Path | None = None
    loss: str = "every"
    states: bool = False
    target: str = "index"

    def __post_init__(self) -> None:
        for name, value, expected in (
            ("LIBRARY", self.library, ("numpy", "torch")),
            ("LOSS", self.loss, ("every", "last")),
            ("TARGET", self.target, ("index", "one-hot")),
        ):
            if value not in expected:
                one, other = expected
                raise AuditError(f"{name} = {value!r} is not known: expected {one!r} or {other!r}.")
        if self.states and self.system.loss_inside:
            raise AuditError(
                "forward takes h_0 and c_0, and the loss is inside: expected one of the two."
            )

    def forward(self, given: Draw) -> tuple[Tensor, bool]:
        """What their forward returns, in float64, and whether theirs was.

        It is h, or the head's output, of every step [T, B, ·], of the last one alone [1, B, ·]; or
        the loss [].
        """
        returned = self._forward(given)
        if isinstance(returned, tuple):
            # that first, and then what the backward pass needs
            returned = returned[0] if returned else None
        if self.system.loss_inside:
            return self._take("forward", "the loss", returned, ()), _is_double(returned)
        what = "h" if self.system.head is None else "the head's output"
        like = self._at_last(self.system.theirs(given.d_y))
        found = self._take("forward", what, returned, tuple(like.shape))
        if self.loss == "last":
            found = found.unsqueeze(self._time)
        return self.system.ours(found), _is_double(returned)

    def backward(self, given: Draw) -> Returned:
        """Their gradients.

        ``forward`` is called before, as in training: a backward pass may read what it has left.
        """
        self._forward(given)
        params = self._params(given)
        behind = self._beside(given)
        if not self.system.loss_inside:
            d_y = self._give(self._at_last(self.system.theirs(given.d_y)))
            behind = [behind[0], d_y, *behind[1:]]
        returned = self._call("backward", self.run_backward, params, *behind)
        if not isinstance(returned, Mapping):
            raise AuditError(
                f"backward returned {_what(returned)}: expected a dict with a gradient for each of "
                f"{', '.join(self.system.params)}."
            )
        places = self.system.places(given.sizes)
        return self._collected(given, returned, places)

    def _collected(
        self, given: Draw, returned: Mapping[str, Any], places: Mapping[str, Tensor]
    ) -> Returned:
        inputs = {"x": self.system.theirs(given.x)}
        if given.states is not None:
            inputs |= {n: self._state(s) for n, s in zip(STATES, given.states, strict=True)}
        keys = {n: key for n in (*places, *inputs) if (key := named_in(returned, n)) is not None}
        self._check_keys(returned, keys, places)
        flat = torch.zeros_like(given.flat)
        for name, place in places.items():
            flat[place] = self._gradient(returned, keys, name, place)
        own = {
            name: self._gradient(returned, keys, name, like)
            for name, like in inputs.items()
            if name in keys
        }
        return Returned(
            flat,
            self.system.ours(own["x"]) if "x" in own else None,
            self._our_state(own["h_0"]) if "h_0" in own else None,
            self._our_state(own["c_0"]) if "c_0" in own else None,
            all(_is_double(returned[keys[name]]) for name in places),
        )

    def _check_keys(
        self, returned: Mapping[str, Any], keys: Mapping[str, str], places: Mapping[str, Tensor]
    ) -> None:
        """Raise where a parameter has no gradient, or a gradient no parameter."""
        missing = [name for name in places if name not in keys]
        if missing:
            there = ", ".join(map(str, returned)) or "nothing"
            raise AuditError(
                f"backward returned no gradient for {', '.join(missing)}: its dict has {there}."
            )
        unknown = [str(name) for name in returned if name not in keys.values()]
        if unknown:
            raise AuditError(
                f"backward returned a gradient for {', '.join(unknown)}, which PARAMS does not "
                "name."
            )

    def _gradient(
        self, returned: Mapping[str, Any], keys: Mapping[str, str], name: str, like: Tensor
    ) -> Tensor:
        what = f"the gradient of {name}"
        return self._take("backward", what, returned[keys[name]], tuple(like.shape))

    @property
    def _time(self) -> int:
        return self.system.axes.index("T")

    def _at_last(self, theirs: Tensor) -> Tensor:
        """Of a sequence with their axes, what is told of it: all, or the last step."""
        return theirs.select(self._time, -1) if self.loss == "last" else theirs

    def _state(self, state: Tensor) -> Tensor:
        return self.system.theirs(state[None]).squeeze(self._time)

    def _our_state(self, state: Tensor) -> Tensor:
        return self.system.ours(state.unsqueeze(self._time))[0]

    def _target(self, target: Tensor) -> Tensor:
        theirs = self.system.theirs
        if self.system.head != "softmax" or self.target == "one-hot":
            return self._at_last(theirs(target))
        axes = self.system.axes
        index = theirs(target.argmax(-1, keepdim=True)).squeeze(axes.index("I"))
        at = axes.replace("I", "").index("T")
        return index.select(at, -1) if self.loss == "last" else index

    def _beside(self, given: Draw) -> list[Any]:
        """What both functions are called with, after the parameters."""
        found = [self._give(self.system.theirs(given.x))]
        if given.states is not None:
            found += [self._give(self._state(state)) for state in given.states]
        if given.target is not None:
            found.append(self._give(self._target(given.target)))
        return found

    def _forward(self, given: Draw) -> Any:
        return self._call("forward", self.run_forward, self._params(given), *self._beside(given))

    def _params(self, given: Draw) -> dict[str, Any]:
        places = self.system.places(given.sizes)
        return {name: self._give(given.flat[place]) for name, place in places.items()}

    def _give(self, tensor: Tensor) -> Any:
        tensor = tensor.clone()  # what they do to it is no matter of ours
        return tensor.numpy() if self.library == "numpy" else tensor

    def _call(self, name: str, function: Callable[..., Any], *given: Any) -> Any:
        try:
            with np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
                return function(*given)
        except AuditError:
            raise  # says by itself what is wrong
        except (Exception, SystemExit) as error:
            raise AuditError(raised(name, error, self.file)) from error

    def _take(self, name: str, what: str, returned: Any, shape: tuple[int, ...]) -> Tensor:
        try:
            if isinstance(returned, Tensor):
                found = returned.detach().to("cpu", torch.float64)
            else:
                found = torch.from_numpy(np.array(returned, dtype=np.float64))
        except (TypeError, ValueError):
            raise AuditError(
                f"{name} returned {_what(returned)} for {what}: expected an array of shape "
                f"{tuple(shape)}."
            ) from None
        if found.shape != torch.Size(shape):
            raise AuditError(
                f"{name} returned {what} with the shape {tuple(found.shape)}: expected "
                f"{tuple(shape)}."
            )
        if not found.isfinite().all():
            word = "NaN" if found.isnan().any() else "infinity"
            raise AuditError(f"{name} returned {word} in {what}, for numbers between -2 and 2.")
        return found


def raised(name: str | None, error: BaseException, file: Path | None) -> str:
    """What their code raised, with the line in their file that it comes from."""
    line = None
    for frame in traceback.extract_tb(error.__traceback__):
        if file is not None and frame.filename == str(file):
            line = frame.lineno
    where = f"{name} raised" if name else "this raised"
    place = f"{file}, line {line}: " if line is not None else f"{file}: " if file else ""
    message = " ".join(str(error).split()) or "no message"
    return f"{place}{where} {type(error).__name__}: {message}"


STATES = ("h_0", "c_0")


FORMS = ("d{}", "d_{}", "g{}", "grad_{}", "{}_grad")


def named_in(
    returned: Mapping[str, Any], name: str, forms: Sequence[str] = ("{}", *FORMS)
) -> str | None:
    """Under which name a dict has the gradient of what is called ``name``; None: under none."""
    names = (name, name.replace("_", "")) if name in STATES else (name,)
    for form in forms:
        for one in names:
            if form.format(one) in returned:
                return form.format(one)
    return None


def _is_double(returned: Any) -> bool:
    return not str(getattr(returned, "dtype", "")).endswith(("float32", "float16"))


def _what(returned: Any) -> str:
    if returned is None:
        return "None"
    shape = getattr(returned, "shape", None)
    if shape is not None:
        return f"an array of shape {tuple(shape)}"
    return f"a {type(returned).__name__}"
