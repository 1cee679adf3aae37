"""A network step by step: hold units at a value, and see the gradient of every state.

Inside the blocks of this file a model's layers run through the loop of
`unrolled.engines.reference`, whatever engine they are set to, and what stands behind each step can
be seen and changed (`unrolled.layer.stepped`).  They run as they always do but for that: masks,
layers, directions.  A single value is patched by its name, where it is made: `LSTM.patched`.

**Holding** a unit puts its h and its c to given values after each step, behind E8, and the network
runs on from there; the state that a call starts from is left alone.  Silence is 0 for both.  A unit
that is to say "no" is better held at its mean over the steps at which it says so: 0 may be a "yes".

**Gradient flow** is ∂loss/∂h_t and ∂loss/∂c_t, by all ways that lead on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unrolled.errors import UnrolledError
from unrolled.layer.elman import Elman
from unrolled.layer.lstm import LSTM
from unrolled.layer.stepped import CellStep, Each, stepped

__all__ = ["GradientFlow", "Seen", "UnitError", "flow", "held", "layer_names", "watch"]


class UnitError(UnrolledError, ValueError):
    """There is no such layer or unit, in one sentence."""


# --- reaching in ----------------------------------------------------------------------------


def layer_names(model: nn.Module) -> list[str]:
    """The layers and directions of every `unrolled.LSTM` in a model, such as ``recurrent.l0``."""
    return [_joined(name, key) for name, lstm in _lstms(model).items() for key in lstm._keys]


@contextmanager
def held(
    model: nn.Module,
    layer: str,
    units: Sequence[int],
    h: Tensor | float = 0.0,
    c: Tensor | float = 0.0,
) -> Iterator[None]:
    """Hold units of a layer at given values after each step, as long as the block runs.

    Parameters
    ----------
    model : nn.Module
        Any, with an `unrolled.LSTM` somewhere inside.
    layer : str
        One of `layer_names`.
    units : sequence of int
        Which; none is no change.
    h, c : float or Tensor, [units]
        What they are held at; 0 is silence.

    Raises
    ------
    UnitError
        If there is no such layer or unit.
    """
    found = _lstms(model)
    if layer not in layer_names(model):
        known = ", ".join(layer_names(model)) or "none: it holds no unrolled.LSTM"
        raise UnitError(f"the model has no layer {layer!r}: its layers are {known}.")
    prefix, _, key = layer.rpartition(".")
    lstm = found[prefix]
    if lstm.proj_size:
        raise UnitError(f"{layer} has a projection: what it hands on has no units of the cell's.")
    for unit in units:
        if not 0 <= unit < lstm.hidden_size:
            raise UnitError(
                f"{layer} has no unit {unit}: expected 0 to {lstm.hidden_size - 1}, counted from 0."
            )
    places = torch.tensor(list(units), dtype=torch.long)

    def hold(name: str, step: CellStep) -> CellStep:
        if name != key or not len(places):
            return step
        assert step.c is not None
        return step._replace(h=_put(step.h, places, h), c=_put(step.c, places, c))

    with stepped(lstm, hold):
        yield


def _put(state: Tensor, places: Tensor, value: Tensor | float) -> Tensor:
    given = torch.as_tensor(value, dtype=state.dtype, device=state.device)
    return state.index_copy(
        -1, places.to(state.device), given.expand(*state.shape[:-1], len(places))
    )


# --- what went on ---------------------------------------------------------------------------


class Seen(NamedTuple):
    """What a layer did: i, f, g, o, c and h by their letters, [T, B, H] each.

    An Elman network has h alone.  ``live`` [T, B] says where there was a step, and not padding or a
    missing one; None: everywhere.
    """

    values: dict[str, Tensor]
    live: Tensor | None = None


def watch(model: nn.Module, call: Callable[[], object]) -> dict[str, Seen]:
    """Keep what every layer of a model does while it is called, once, without gradients.

    Time runs as in the input, for the reverse direction too.

    Parameters
    ----------
    model : nn.Module
        Any, with `unrolled.LSTM` or `unrolled.Elman` inside.
    call : callable
        Calls the model.

    Returns
    -------
    dict of str to Seen
        By the layer's name, in the order in which they ran; only those that did.
    """
    with torch.no_grad():
        _, steps = _noted(model, call, first=False)
    return {name: _seen(found) for name, found in steps.items()}


def _seen(steps: list[CellStep]) -> Seen:
    values = {"h": torch.stack([step.h for step in steps])}
    if steps[0].made is not None:
        made = [step.made for step in steps if step.made is not None]
        values = {gate: torch.stack([getattr(one, gate) for one in made]) for gate in "ifgo"}
        values["c"] = torch.stack([step.c for step in steps if step.c is not None])
        values["h"] = torch.stack([step.h for step in steps])
    live = [step.live[..., 0] for step in steps if step.live is not None]
    return Seen(values, torch.stack(live) if live else None)


def _noted(
    model: nn.Module, call: Callable[[], Any], first: bool
) -> tuple[Any, dict[str, list[CellStep]]]:
    """What a call gives, and every step that was made on the way, in the order of time."""
    seen: dict[str, list[CellStep]] = {}

    def note(name: str) -> Each:
        def keep(key: str, step: CellStep) -> CellStep:
            seen.setdefault(_joined(name, key), []).append(step)
            return step

        return keep

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, LSTM | Elman):
                stack.enter_context(stepped(module, note(name), first))
        given = call()
    return given, {
        name: steps[::-1] if name.endswith("_reverse") else steps for name, steps in seen.items()
    }


# --- gradient flow --------------------------------------------------------------------------


class GradientFlow(NamedTuple):
    """∂loss/∂h_t and ∂loss/∂c_t of one layer: [T, B, H] each; an Elman network has no c.

    That of c_t holds what goes through h_t of the same step.
    """

    h: Tensor
    c: Tensor | None

    def norms(self) -> tuple[list[float], list[float]]:
        """The mean over the rows of the norm at each step: of h, and of c (empty: it has none)."""
        h, c = ([] if d is None else d.norm(dim=-1).mean(1).tolist() for d in (self.h, self.c))
        return h, c


def flow(model: nn.Module, loss: Callable[[], Tensor]) -> dict[str, GradientFlow]:
    """How a loss changes with the state of every layer at every step.

    Parameters
    ----------
    model : nn.Module
        Any, with `unrolled.LSTM` or `unrolled.Elman` inside.
    loss : callable
        Calls the model, once, and gives the loss.

    Returns
    -------
    dict of str to GradientFlow
        By the layer's name, in the order in which they ran; only those that did.
    """
    frozen = [weight for weight in model.parameters() if not weight.requires_grad]
    with torch.enable_grad():
        try:
            for weight in frozen:  # an averaged model's are: the states would have no gradient
                weight.requires_grad_()
            total, steps = _noted(model, loss, first=True)
        finally:
            for weight in frozen:
                weight.requires_grad_(False)
        return {name: _flow_of(total, found) for name, found in steps.items()}


def _flow_of(loss: Tensor, steps: list[CellStep]) -> GradientFlow:
    def gradients(tensors: list[Tensor]) -> list[Tensor]:
        found = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
        pairs = zip(found, tensors, strict=True)
        return [torch.zeros_like(tensor) if d is None else d for d, tensor in pairs]

    h = torch.stack(gradients([step.h for step in steps]))
    made = [step.made.c for step in steps if step.made is not None]
    if not made:
        return GradientFlow(h, None)
    d_new = gradients(made)
    # Where a step is not live, the cell that it found goes on, and not the one that it made.
    d_after = gradients([step.c for step in steps if step.c is not None])
    d_c = [
        new if step.live is None else torch.where(step.live, new, after)
        for step, new, after in zip(steps, d_new, d_after, strict=True)
    ]
    return GradientFlow(h, torch.stack(d_c))


def _lstms(model: nn.Module) -> dict[str, LSTM]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LSTM)}


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
