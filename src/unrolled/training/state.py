"""What a checkpoint has to hold, made from what the recipe makes: every shape, dtype and range.

Before anything is given a tensor of a file, the tensor was held to the parameter it is for: the
kernels of torch's fused optimisers write where a state lies, and ask no shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Expected, whole
from unrolled.training.declared import (
    ANYTHING,
    CARRIED,
    FIGURE,
    SECONDS,
    WORDS,
    Declared,
    Some,
    held,
    same,
    tensor_like,
    tensor_of_shape,
)
from unrolled.training.documents import RunError, remedy

__all__ = ["declared_best", "declared_optimizer", "declared_session", "fit"]

Make = Callable[[Sequence[Tensor]], torch.optim.Optimizer]

# What an optimiser of torch keeps under these names are sums of squares, sizes and products.
_NEVER_BELOW_ZERO = {
    "acc_delta",
    "col_var",
    "eta",
    "exp_avg_sq",
    "exp_inf",
    "max_exp_avg_sq",
    "mu",
    "mu_product",
    "row_var",
    "square_avg",
    "step_size",
    "sum",
    "variance",
}


def fit(path: Path, weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Give a model the weights of a file.

    Raises
    ------
    RunError
        In one sentence, where they are not the model's.
    """
    own = {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    try:
        held(dict(weights), {name: tensor_of_shape(t) for name, t in own.items()})
        model.load_state_dict(weights)
    except (InvalidValueError, RuntimeError) as error:
        first = str(error).splitlines()[-1].strip().rstrip(".")
        raise RunError(
            f"{path}: the weights do not fit the recipe: {first}; {remedy(path)}."
        ) from error


def declared_session(
    model: nn.Module, optimizer: torch.optim.Optimizer, make: Make, step: int
) -> dict[str, Declared]:
    """What `Session.snapshot` gives after ``step`` updates."""
    return {
        "step": same(step),
        "seconds": SECONDS,
        "model": _weights(model),
        "optimizer": declared_optimizer(optimizer, make, step),
        "random": RANDOM,
        "generator": RANDOM,
        "window": whole(0, step),
        "state": CARRIED,
        "data": WORDS,
    }


def declared_best(model: nn.Module, saved: Mapping[str, Any], step: int) -> Declared:
    """What a snapshot after ``step`` updates holds of the weights with the least figure, if any."""
    if saved.get("best") is None:
        return same(None)
    return {"value": FIGURE, "step": whole(0, step), "model": _weights(model)}


def _weights(model: nn.Module) -> Declared:
    weights = model.state_dict().items()
    return {n: tensor_like(t) if isinstance(t, Tensor) else ANYTHING for n, t in weights}


def declared_optimizer(optimizer: torch.optim.Optimizer, make: Make, step: int) -> Declared:
    """An optimiser's state after at most ``step`` updates, with the settings that it has now."""
    settings = optimizer.state_dict()["param_groups"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        "state": Some(
            (number, {name: _slot(name, value, step) for name, value in slots.items()})
            for number, slots in _after_one(parameters, make).items()
        ),
        "param_groups": [{key: same(value) for key, value in g.items()} for g in settings],
    }


def _after_one(parameters: Sequence[Tensor], make: Make) -> dict[int, dict[str, Any]]:
    """What such an optimiser keeps of each parameter once it has made an update: of zeros here."""
    zeros = [torch.zeros_like(p).requires_grad_() for p in parameters]
    for zero in zeros:
        zero.grad = torch.zeros_like(zero)
    optimizer = make(zeros)
    optimizer.step()
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return state


def _slot(name: str, model: Any, step: int) -> Expected:
    """What is expected of one thing that an optimiser keeps of a parameter."""
    if not isinstance(model, Tensor):
        return whole(0, step) if name == "step" else same(model)
    like = tensor_like(model)
    if name == "step":
        count = whole(0, step)
        words = f"{like.words} that is {count.words}"
        return Expected(words, lambda t: like.holds(t) and count.holds(_number(t)))
    if name in _NEVER_BELOW_ZERO and not model.is_complex():
        words = f"{like.words}, nowhere below 0"
        return Expected(words, lambda t: like.holds(t) and not bool((t < 0).any()))
    return like


def _number(tensor: Tensor) -> Any:
    value = tensor.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_random(value: Any) -> bool:
    if not isinstance(value, Tensor) or value.dtype != torch.uint8:
        return False
    try:
        torch.Generator("cpu").set_state(value)
    except (RuntimeError, TypeError):
        return False
    return True


RANDOM = Expected("the state of a random generator of torch", _is_random)
