"""Named places: each value inside a layer has one name, by which it is read and patched.

``l0.f`` is the forget gate of the first layer, ``l1_reverse.c`` the cell of the second one where it
reads backwards: the ending of torch's parameter names, and the letter of E1–E6 in
`unrolled.equations`.  The name is a key of a `Trace` and of `LSTM.patched`, and it is a submodule
of `LSTM.opened`, where whoever watches modules finds it.

=====  ================================================================
``i``  the input gate, E1
``f``  the forget gate, E2 (1 and 1 − i are values of it too)
``g``  the block input, E3, before dropout
``c``  the cell, E4: the output gate, h and the next step read it
``o``  the output gate, E5
``h``  the hidden state, E6, behind the projection where there is one
=====  ================================================================

A patch acts where the equation makes the value, inside the recurrence: all that reads the value, in
this step and in later ones, reads the patched one.  E8 comes behind it, so zoneout still mixes a
patched c or h with the old one, and a step that is not live does not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from unrolled.equations import Gates
from unrolled.errors import InvalidStateError, InvalidTypeError, InvalidValueError
from unrolled.errors.expected import ending
from unrolled.layer.stepped import stepped

__all__ = ["Change", "Opened", "Placed", "patched", "place_names"]

Change = Callable[[Tensor], Tensor] | Tensor | Mapping[int, Callable[[Tensor], Tensor]]
"""What becomes of the values at a place.

A function is given the value of each step, [B, H] ([1, H] for one sequence), and gives another.  A
tensor holds the values of all steps, as a `Trace` lies.  A mapping holds functions for some steps,
counted from 0 as the input's time runs.
"""


class Placed(nn.Module):
    """A layer whose values have names."""

    _letters: tuple[str, ...] = Gates._fields
    batch_first: bool
    _keys: list[str]

    @property
    def places(self) -> list[str]:
        """The names of all values inside: ``l0.i``, ``l0.f``, …, ``l1_reverse.h``."""
        return [f"{key}.{letter}" for key in self._keys for letter in self._letters]

    @contextmanager
    def patched(self, changes: Mapping[str, Change]) -> Iterator[None]:
        """Change values inside the recurrence, as long as the block runs; differentiable.

        Parameters
        ----------
        changes : mapping
            For names out of `places`: a function of each step's value [B, H]; a tensor of all
            steps' values, as a `Trace` lies; or, for some steps, a mapping from the step to a
            function.  What reads the value reads the changed one, in the same step and later.

        Raises
        ------
        ValueError, TypeError
            For a place that is not there, or a change that is neither of these.
        RuntimeError
            In the call, where a change gives another shape, dtype or device than it found.

        Examples
        --------
        >>> lstm, x = LSTM(3, 8), torch.randn(20, 2, 3)
        >>> with lstm.patched({"l0.c": lambda c: c.clamp(-1, 1), "l0.f": {4: torch.zeros_like}}):
        ...     trace = lstm.trace(x)
        >>> bool(trace["l0.f"][4].any()), bool(trace["l0.c"].abs().max() <= 1)
        (False, True)
        """
        with patched(self, changes):
            yield

    def opened(self) -> Opened:
        """The layer as a module whose places are submodules, for hooks and for who lives by them.

        It holds this layer, not a copy, and is called as it is.
        """
        return Opened(self)


class Opened(nn.Module):
    """A layer whose every value passes through a submodule of the value's name, once in each step.

    ``opened.l0.c`` is handed the cell of each step and hands it on; a hook on it sees the value,
    and what the hook gives takes its place, as with `LSTM.patched`.

    Parameters
    ----------
    layer : LSTM or Elman
        Held as ``layer``, not copied.
    """

    def __init__(self, layer: Placed) -> None:
        super().__init__()
        self.layer = layer
        for key in layer._keys:
            self.add_module(key, nn.ModuleDict({letter: _Through() for letter in layer._letters}))

    def forward(self, *given: Any, **named: Any) -> Any:
        """As the layer's own."""
        with self.layer.patched({name: self.get_submodule(name) for name in self.layer.places}):
            return self.layer(*given, **named)


class _Through(nn.Module):
    """A value, as a tensor of its own: a hook may write into it."""

    def forward(self, value: Tensor) -> Tensor:
        return value.clone()


# --- the places of a whole model ------------------------------------------------------------


class _Where(NamedTuple):
    layer: Placed
    place: str


def _found(model: nn.Module) -> dict[str, _Where]:
    return {
        f"{name}.{place}" if name else place: _Where(layer, place)
        for name, layer in model.named_modules()
        if isinstance(layer, Placed)
        for place in layer.places
    }


def place_names(model: nn.Module) -> list[str]:
    """The places of every `unrolled.LSTM` and `Elman` in a model, such as ``recurrent.l0.c``."""
    return list(_found(model))


@contextmanager
def patched(model: nn.Module, changes: Mapping[str, Change]) -> Iterator[None]:
    """`LSTM.patched` for any model that holds such layers: the names are those of `place_names`."""
    found = _found(model)
    by_layer: dict[Placed, dict[str, list[_Patch]]] = {}
    for name, change in changes.items():
        if name not in found:
            raise InvalidValueError(_absent(name, list(found)))
        layer, place = found[name]
        by_layer.setdefault(layer, {})[place] = [_Patch(name, change, layer.batch_first)]
    with ExitStack() as stack:
        for layer, patches in by_layer.items():
            stack.enter_context(stepped(layer, patches=patches))
        yield


def _absent(name: object, known: list[str]) -> str:
    if not known:
        return f"there is no place {name!r}: the model holds no layer of unrolled."
    layers = dict.fromkeys(place.rpartition(".")[0] for place in known)
    letters = dict.fromkeys(place.rpartition(".")[2] for place in known)
    end = ending(str(name), known)
    return (
        f"there is no place {name!r}: expected a layer ({', '.join(layers)}), a point, and one of "
        f"{', '.join(letters)}, such as {known[0]!r}{end}"
    )


class _Patch:
    """What becomes of the values at one place."""

    def __init__(self, name: str, change: Change, batch_first: bool) -> None:
        self.name, self.batch_first = name, batch_first
        self.values = self._inward(change) if isinstance(change, Tensor) else None
        self.some = change if isinstance(change, Mapping) else None
        self.function = change if callable(change) else None
        if self.some is not None:
            for step, function in self.some.items():
                self._check_step(step, function)
        elif self.values is None and self.function is None:
            raise InvalidTypeError(
                f"the change of {name!r} is a {type(change).__name__}, expected a function of a "
                "step's value, a tensor of all steps' values, or a mapping from steps to functions."
            )

    def _check_step(self, step: object, function: object) -> None:
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise InvalidValueError(
                f"the change of {self.name!r} is for step {step!r}, expected a whole number from 0."
            )
        if not callable(function):
            raise InvalidTypeError(
                f"the change of {self.name!r} at step {step} is a {type(function).__name__}, "
                "expected a function of the value."
            )

    def _inward(self, values: Tensor) -> Tensor:
        """[T, B, H] from the layout of a trace."""
        if values.dim() == 2:
            return values.unsqueeze(1)
        return values.transpose(0, 1) if self.batch_first else values

    def __call__(self, t: int, steps: int, value: Tensor) -> Tensor:
        if self.values is not None:
            return self._checked(self._whole(steps, value)[t], value)
        if self.function is not None:
            return self._checked(self.function(value), value)
        assert self.some is not None
        beyond = max(self.some, default=-1)
        if beyond >= steps:
            raise InvalidStateError(
                f"the change of {self.name!r} is for step {beyond}, and the input has {steps} "
                "steps, counted from 0."
            )
        return self._checked(self.some[t](value), value) if t in self.some else value

    def _whole(self, steps: int, value: Tensor) -> Tensor:
        assert self.values is not None
        expected = (steps, *value.shape)
        if tuple(self.values.shape) != expected:
            raise InvalidStateError(
                f"the values for {self.name!r} are {list(self.values.shape)}, expected "
                f"{list(expected)} (steps, rows, units) for this input."
            )
        return self.values

    def _checked(self, given: object, value: Tensor) -> Tensor:
        if not isinstance(given, Tensor):
            raise InvalidTypeError(
                f"the change of {self.name!r} gave a {type(given).__name__}, expected a tensor "
                f"{list(value.shape)}: the value itself, where nothing is to change."
            )
        if (given.shape, given.dtype, given.device) != (value.shape, value.dtype, value.device):
            raise InvalidStateError(
                f"the change of {self.name!r} gave {given.dtype} {list(given.shape)} on "
                f"{given.device}, expected {value.dtype} {list(value.shape)} on {value.device}."
            )
        return given
