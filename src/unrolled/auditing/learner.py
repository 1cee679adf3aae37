"""Call somebody else's forward and backward pass, and say plainly where that cannot be done."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unrolled.auditing.layouts import ArrayLayout, AuditError
from unrolled.auditing.stepwise import by_steps

__all__ = ["Learner", "load", "passes_of", "run_file"]

DEFAULT_PARAMS = {"w_ih": "ih", "w_hh": "hh", "b_ih": "b_ih", "b_hh": "b_hh"}


@dataclass(frozen=True)
class Learner:
    """Somebody's two functions, and how they lay things out.

    ``file`` is where they stand, for the line of an error; None where that is not known.  ``loss``
    is where the loss is: on ``"every"`` step's h, or on the ``"last"`` one's, which alone is
    returned then.
    """

    run_forward: Callable[[dict[str, Any], Any], Any]
    run_backward: Callable[[dict[str, Any], Any, Any], Any]
    layout: ArrayLayout
    library: str = "numpy"
    file: Path | None = None
    loss: str = "every"

    def __post_init__(self) -> None:
        if self.library not in ("numpy", "torch"):
            raise AuditError(
                f"LIBRARY = {self.library!r} is not known: expected 'numpy' or 'torch'."
            )
        if self.loss not in ("every", "last"):
            raise AuditError(f"LOSS = {self.loss!r} is not known: expected 'every' or 'last'.")

    def forward(self, flat: Tensor, x: Tensor, hidden: int) -> tuple[Tensor, bool]:
        """Their h for x [T, B, I], as [T, B, H] in float64, and whether theirs was.

        Of the last step alone, it is [1, B, H].
        """
        params = self._params(flat, x.shape[-1], hidden)
        given = self._give(self.layout.theirs(x))
        returned = self._call("forward", self.run_forward, params, given)
        if isinstance(returned, tuple):
            # h first, and then what the backward pass needs
            returned = returned[0] if returned else None
        if self.loss == "last":
            time = self.layout.axes.index("T")
            expected = self.layout.theirs(x.new_zeros(1, x.shape[1], hidden)).squeeze(time).shape
            h = self._take("forward", "h", returned, tuple(expected)).unsqueeze(time)
        else:
            expected = self.layout.theirs(x.new_zeros(*x.shape[:2], hidden)).shape
            h = self._take("forward", "h", returned, tuple(expected))
        return self.layout.ours(h), _is_double(returned)

    def backward(self, flat: Tensor, x: Tensor, d_h: Tensor) -> tuple[Tensor, Tensor | None, bool]:
        """Their gradient as a flat vector, that of x if they give it, and whether it is float64.

        ``forward`` is called before, as in training: a backward pass may read what it has left.
        """
        inputs, hidden = x.shape[-1], d_h.shape[-1]
        self.forward(flat, x, hidden)
        params = self._params(flat, inputs, hidden)
        theirs = self.layout.theirs(d_h)
        if self.loss == "last":
            time = self.layout.axes.index("T")
            theirs = theirs.select(time, -1)
        given = (self._give(self.layout.theirs(x)), self._give(theirs))
        returned = self._call("backward", self.run_backward, params, *given)
        if not isinstance(returned, Mapping):
            raise AuditError(
                f"backward returned {_what(returned)}: expected a dict with a gradient for each of "
                f"{', '.join(self.layout.params)}."
            )
        places = self.layout.places(inputs, hidden)
        missing = [name for name in places if name not in returned]
        if missing:
            there = ", ".join(map(str, returned)) or "nothing"
            raise AuditError(
                f"backward returned no gradient for {', '.join(missing)}: its dict has {there}."
            )
        unknown = [str(name) for name in returned if name not in places and name != "x"]
        if unknown:
            raise AuditError(
                f"backward returned a gradient for {', '.join(unknown)}, which PARAMS does not "
                "name."
            )
        out = torch.zeros_like(flat)
        for name, place in places.items():
            shape = tuple(place.shape)
            out[place] = self._take("backward", f"the gradient of {name}", returned[name], shape)
        d_x = None
        if "x" in returned:
            shape = tuple(self.layout.theirs(x).shape)
            theirs = self._take("backward", "the gradient of x", returned["x"], shape)
            d_x = self.layout.ours(theirs)
        return out, d_x, all(_is_double(returned[name]) for name in places)

    def _params(self, flat: Tensor, inputs: int, hidden: int) -> dict[str, Any]:
        places = self.layout.places(inputs, hidden)
        return {name: self._give(flat[place]) for name, place in places.items()}

    def _give(self, tensor: Tensor) -> Any:
        tensor = tensor.clone()  # what they do to it is no matter of ours
        return tensor.numpy() if self.library == "numpy" else tensor

    def _call(self, name: str, function: Callable[..., Any], *given: Any) -> Any:
        try:
            with np.errstate(all="ignore"):
                return function(*given)
        except (Exception, SystemExit) as error:
            raise AuditError(_raised(name, error, self.file)) from error

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


def load(path: Path) -> Learner:
    """The functions and the layout that a learner's file declares.

    Raises
    ------
    AuditError
        If the file is missing, cannot be run, or lacks a function or a declaration.
    """
    module = run_file(path)
    params = getattr(module, "PARAMS", DEFAULT_PARAMS)
    if not isinstance(params, Mapping):
        raise AuditError(f"PARAMS in {path} is {_what(params)}: expected a dict.")
    layout = ArrayLayout(
        dict(params),
        gates=str(getattr(module, "GATES", "ifgo")),
        axes=str(getattr(module, "X", "TBI")),
        output=getattr(module, "OUTPUT", "tanh"),
    )
    library = getattr(module, "LIBRARY", "numpy")
    loss = getattr(module, "LOSS", "every")
    return Learner(*passes_of(module, path, layout), layout, library, path, loss)


def passes_of(module: ModuleType, path: Path, layout: ArrayLayout) -> tuple[Any, Any]:
    """Their two functions over all steps, or those of one step as such."""
    there = {name: callable(getattr(module, name, None)) for name in _FUNCTIONS}
    if there["step"] and there["step_backward"] and not there["forward"]:
        return by_steps(module.step, module.step_backward, layout)
    for name in ("forward", "backward"):
        if not there[name]:
            raise AuditError(
                f"{path} has no function {name}: `unrolled audit --template` shows what is needed."
            )
    return module.forward, module.backward


_FUNCTIONS = ("forward", "backward", "step", "step_backward")


def run_file(path: Path) -> ModuleType:
    """Their file, run anew each time, with its folder on the path as when Python runs it.

    Raises
    ------
    AuditError
        If it is missing, or cannot be run.
    """
    if not path.is_file():
        raise AuditError(
            f"there is no file {path}: `unrolled audit --template {path}` writes one to fill in."
        )
    # A place in sys.modules, where dataclasses look.
    name = f"audited_{path.stem}"
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = str(path)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise AuditError(f"{path}, line {error.lineno}: {error.msg}.") from error
    except ValueError as error:  # bytes that are no source at all
        raise AuditError(f"{path} is not a Python file: {error}.") from error
    except (Exception, SystemExit) as error:
        raise AuditError(_raised(None, error, path)) from error
    finally:
        sys.path.pop(0)
    return module


def _raised(name: str | None, error: BaseException, file: Path | None) -> str:
    """What their code raised, with the line in their file that it comes from."""
    line = None
    for frame in traceback.extract_tb(error.__traceback__):
        if file is not None and frame.filename == str(file):
            line = frame.lineno
    where = f"{name} raised" if name else "this raised"
    place = f"{file}, line {line}: " if line is not None else f"{file}: " if file else ""
    message = " ".join(str(error).split()) or "no message"
    return f"{place}{where} {type(error).__name__}: {message}"


def _is_double(returned: Any) -> bool:
    return not str(getattr(returned, "dtype", "")).endswith(("float32", "float16"))


def _what(returned: Any) -> str:
    if returned is None:
        return "None"
    shape = getattr(returned, "shape", None)
    if shape is not None:
        return f"an array of shape {tuple(shape)}"
    return f"a {type(returned).__name__}"
