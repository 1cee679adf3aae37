"""The native engine's calls: their arguments put in order, and held against what it says it takes.

The extension is handed flat lists of numbers.  Here, and nowhere else, each list is put in order:
by `Calls` for the passes of one layer, by `Trainer` for whole training steps, by `Batch` for a
table of batches.  `mismatch` has them put the arguments' *names* in order instead, and compares
these with the names that the extension gives of its own structs and enums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, get_args, get_type_hints

import torch
from torch import Tensor

from unrolled.engines.protocol import Forward, Gradients, Inputs
from unrolled.equations import Cell

__all__ = ["MEMBERS", "Batch", "Calls", "Layer", "Rule", "Trainer", "mismatch"]

MEMBERS: dict[str, tuple[str, ...]] = {
    "Forget": get_args(get_type_hints(Cell)["forget"]),
    "Activation": ("tanh", "sigmoid", "relu"),
    "Criterion": (
        "squared_error",
        "sigmoid_squared_error",
        "binary_cross_entropy",
        "cross_entropy",
        "quantile",
        "emphasised_squared_error",
    ),
    "Over": ("sum", "rows", "mean"),
    "Method": ("sgd", "adagrad", "adam", "adamw", "rmsprop"),
    "Stop": ("none", "loss", "gradient"),
}
"""The words that cross to the extension, as numbers that it gives them."""

# Bound once: an attribute of a module costs as much as the question.
_threads = torch.get_num_threads


class Layer(NamedTuple):
    """A layer as the extension is told of it: its sizes, its cell, where its weights lie."""

    I: int
    H: int
    forget: int
    peephole: bool
    identity: bool
    w_ih: int
    w_hh: int
    b_ih: int
    b_hh: int
    p: int


class Rule(NamedTuple):
    """An optimiser's hyperparameters as the extension takes them: 0 where it has no such."""

    method: Any  # a member of Method; its number, once it is handed over
    rate: float
    decay: float
    momentum: float
    dampening: float
    beta1: float
    beta2: float
    eps: float
    rate_decay: float
    nesterov: bool
    centered: bool


class Batch(NamedTuple):
    """The columns of a table of batches, each one number or one for each batch."""

    steps: Any
    rows: Any
    x: Any
    target: Any
    carry: Any
    live: Any
    inside: Any
    fresh: Any


class Calls:
    """The two passes of one layer, as calls of the extension.

    What stays the same from call to call is put in its place when this is made.

    Parameters
    ----------
    layer : Layer
    forward, backward : callable
        The extension's own.
    masks : sequence of int
        Where the masks lie, in the order of `unrolled.engines.cpu`; empty if there are none.
    """

    __slots__ = ("_backward", "_forward")

    def __init__(
        self,
        layer: Layer,
        forward: Callable[..., None],
        backward: Callable[..., None],
        masks: Sequence[Any] = (),
    ) -> None:
        self._forward = partial(forward, *layer, *masks)
        self._backward = partial(backward, *layer, *masks)

    def forward(
        self,
        steps: int,
        rows: int,
        x: Tensor,
        h_0: Tensor | None,
        c_0: Tensor | None,
        y: Tensor,
        h_n: Tensor,
        c_n: Tensor,
        gates: Tensor | None,
        c: Tensor | None,
    ) -> None:
        """Run over the steps of x; what is written is y and what follows it."""
        self._forward(
            steps,
            rows,
            _threads(),
            x.data_ptr(),
            0 if h_0 is None else h_0.data_ptr(),
            0 if c_0 is None else c_0.data_ptr(),
            y.data_ptr(),
            h_n.data_ptr(),
            c_n.data_ptr(),
            0 if gates is None else gates.data_ptr(),
            0 if c is None else c.data_ptr(),
        )

    def backward(
        self,
        steps: int,
        rows: int,
        read: Sequence[int],
        out: Sequence[int],
        d_out: Sequence[int],
        d_in: Sequence[int],
    ) -> None:
        """Go back through all steps.

        Parameters
        ----------
        read, out, d_out, d_in : sequence of int
            Where these lie, 0 for None: x, h_0 and c_0; the fields of `Forward`; those of
            `Gradients`; and what is written, in the order of `Inputs` up to p.
        """
        self._backward(steps, rows, _threads(), *read, *out, *d_out, *d_in)


class Trainer:
    """What makes whole training steps in the extension: told of a network piece by piece.

    Parameters
    ----------
    kernel
        The extension's own trainer, a new one.
    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self.fresh: Callable[[int], bool] = kernel.fresh

    def add_lstm(self, layer: Layer, h: int, c: int) -> None:
        """Put a layer on top; h and c are where its state is carried, 0 if it is not."""
        self._kernel.add_lstm(*layer, h, c)

    def add_elman(
        self, I: int, H: int, activation: int, weights: Sequence[int], h: int, c: int = 0
    ) -> None:
        """Put an Elman network there; ``weights`` as in `Layer`, where it has no p."""
        self._kernel.add_elman(I, H, activation, *weights, h, c)

    def set_head(self, O: int, w: int, b: int, last: bool) -> None:
        """Say what the output is made of; ``last``: of h after each row's last step alone."""
        self._kernel.set_head(O, w, b, last)

    def set_loss(
        self,
        criterion: int,
        over: int,
        factor: float,
        ignored: int,
        quantiles: int,
        levels: int,
        emphasis: float,
        offset: float,
    ) -> None:
        """Say what the loss is: the fields of `unrolled.Loss`, words as numbers.

        ``quantiles``: where ``levels`` doubles lie, which are copied now.
        """
        shape = (quantiles, levels, emphasis, offset)
        self._kernel.set_loss(criterion, over, factor, ignored, *shape)

    def set_rule(self, rule: Rule, clip: float) -> None:
        """Say how an update is made; ``clip``: the largest norm of the gradient, 0: any."""
        self._kernel.set_rule(*rule)
        self._kernel.clip = clip

    def add_parameter(
        self,
        value: int,
        count: int,
        first: int,
        second: int,
        third: int,
        step: int,
        fresh: bool,
    ) -> None:
        """Name a parameter that is learnt, by its address, and the optimiser's state of it."""
        self._kernel.add_parameter(value, count, first, second, third, step, fresh)

    def reserve(self, most_rows: int, most_B: int) -> None:
        """Make room for batches of so many rows in all steps together, and in one step."""
        self._kernel.reserve(most_rows, most_B)

    def run(self, batches: int, count: int, losses: int) -> int:
        """Make a step for each of the table's rows from ``batches`` on; gives how many it made."""
        made: int = self._kernel.run(batches, count, losses)
        return made

    @property
    def stopped(self) -> tuple[str, float]:
        """What was not finite in the last step, a member of Stop; and the number that it was."""
        return self._kernel.stop, self._kernel.found


class _Named:
    """A name in place of a tensor."""

    def __init__(self, name: str) -> None:
        self._name = name

    def data_ptr(self) -> str:
        return self._name


class _Noted:
    """In place of the extension: notes with which arguments it was called."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[Any, ...]] = {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*given: Any) -> None:
            # What is no name is the number of threads, which torch is asked for.
            self.calls[name] = tuple(a if isinstance(a, str) else "threads" for a in given)

        return note


def _passed(masks: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The names of each call's arguments, as they are passed here."""
    noted: Any = _Noted()
    names: Any = Layer._fields
    layer = Layer(*names)
    named: Any = [_Named(name) for name in (*Inputs._fields[:3], *Forward._fields)]
    calls = Calls(layer, noted.forward, noted.backward, masks)
    steps: Any = "T"
    rows: Any = "B"
    calls.forward(steps, rows, *named)
    d_out: Any = [f"d_{name}" for name in Gradients._fields]
    d_in: Any = [f"d_{name}" for name in Inputs._fields[:8]]
    read: Any = Inputs._fields[:3]
    out: Any = Forward._fields
    calls.backward(steps, rows, read, out, d_out, d_in)
    trainer: Any = Trainer(noted)
    trainer.add_lstm(layer, "h", "c")
    trainer.add_elman(*names[:2], "activation", names[5:], "h", "c")
    trainer.set_head(*_arguments(trainer.set_head))
    trainer.set_loss(*_arguments(trainer.set_loss))
    trainer.set_rule(Rule._fields, 0.0)
    trainer.add_parameter(*_arguments(trainer.add_parameter))
    trainer.reserve(*_arguments(trainer.reserve))
    trainer.run(*_arguments(trainer.run))
    passed: dict[str, tuple[str, ...]] = noted.calls
    return passed | {"batches": Batch._fields}


def _arguments(method: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    return names


def mismatch(extension: Any, masks: Sequence[str]) -> str | None:
    """Where the extension takes something else than is passed here, in a few words; or None.

    Parameters
    ----------
    extension
        The module: its ``takes()`` names the arguments, its ``members()`` numbers the words.
    masks : sequence of str
        The names of the masks in the order in which they are passed.
    """
    try:
        takes: Mapping[str, Sequence[str]] = extension.takes()
        members: Mapping[str, Mapping[str, int]] = extension.members()
    except AttributeError:
        return "it does not say what it takes"
    for call, passed in _passed(masks).items():
        if tuple(takes.get(call, ())) != passed:
            return f"{call} takes {_apart(takes.get(call, ()), passed)}"
    for kind, words in MEMBERS.items():
        if set(members.get(kind, ())) != set(words):
            known = ", ".join(members.get(kind, ())) or "nothing"
            return f"{kind} has {known}, and not {', '.join(words)}"
    return None


def _apart(takes: Sequence[str], passed: Sequence[str]) -> str:
    """The first argument in which two lists differ."""
    longest = max(len(takes), len(passed))
    for k in range(longest):
        there, here = ((*names, *("nothing",) * longest)[k] for names in (takes, passed))
        if there != here:
            return f"{there} as its argument {k + 1}, and not {here}"
    return "the same"
