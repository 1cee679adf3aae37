"""An optimiser of `torch.optim` as the kernel takes it: its rule, and its own state's tensors.

The state stays where torch keeps it, under torch's names, and is made as torch makes it, so that
torch can make the next update at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unrolled.engines.calls import Rule
from unrolled.engines.memory import check
from unrolled.engines.watching import is_zero, optimizer_hooked, sees_operations
from unrolled.errors import InvalidStateError

__all__ = ["State", "reason", "rule_of", "settings", "state_of"]

_METHODS: dict[type[torch.optim.Optimizer], str] = {
    torch.optim.SGD: "sgd",
    torch.optim.Adagrad: "adagrad",
    torch.optim.Adam: "adam",
    torch.optim.AdamW: "adamw",
    torch.optim.RMSprop: "rmsprop",
}
_NO_SUCH = ("amsgrad", "maximize", "capturable", "differentiable")


class State(NamedTuple):
    """What an optimiser keeps of one parameter; None where it keeps no such tensor.

    Which of torch's tensors is ``first``, ``second`` and ``third`` says ``training.hpp``.
    """

    first: Tensor | None
    second: Tensor | None
    third: Tensor | None
    step: Tensor | None
    fresh: bool


def reason(optimizer: torch.optim.Optimizer, learned: Sequence[Tensor]) -> str | None:
    """Why C++ cannot make this optimiser's updates of just these parameters; or None."""
    if type(optimizer) not in _METHODS:
        known = ", ".join(method.__name__ for method in _METHODS)
        return f"it has {known}, not {type(optimizer).__name__}"
    if optimizer_hooked(optimizer):
        return "the optimizer has hooks"
    first, *others = ({k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups)
    if any(other != first for other in others):
        return "the optimizer's groups of parameters differ"
    for name in _NO_SUCH:
        if first.get(name):
            return f"it has no {type(optimizer).__name__} with {name}"
    held = [p for group in optimizer.param_groups for p in group["params"]]
    missing = {id(p) for p in learned} - {id(p) for p in held}
    if missing:
        return f"{len(missing)} of the network's parameters are not the optimizer's"
    if any(p.requires_grad for p in held if id(p) not in {id(q) for q in learned}):
        return "the optimizer has parameters that are not the network's"
    for p in learned:
        for name, t in optimizer.state.get(p, {}).items():
            if t is None:
                continue
            fits = isinstance(t, Tensor) and t.device.type == "cpu" and t.is_contiguous()
            wanted = (torch.float32, torch.Size()) if name == "step" else (p.dtype, p.shape)
            if not fits or (t.dtype, t.shape) != wanted:
                return f"the optimizer's {name} is not the dense {wanted[0]} that torch makes"
            if is_zero(t):
                return f"the optimizer's {name} has no memory to write to"
    return None


def check_state(optimizer: torch.optim.Optimizer) -> None:
    """Refuse an optimiser's state that has no memory where its parameter has some.

    Raises
    ------
    InvalidStateError
    """
    for p, state in optimizer.state.items():
        for name, t in state.items():
            if isinstance(t, Tensor) and not sees_operations(p):
                if sees_operations(t):
                    raise InvalidStateError(
                        f"the optimizer's {name} is a {type(t).__name__} and its parameter is not: "
                        "expected a tensor like it."
                    )
                check(f"the optimizer's {name}", t)


def settings(optimizer: torch.optim.Optimizer) -> list[tuple[Rule, list[bool]]]:
    """Each group's hyperparameters now; what `reason` found holds until they change."""
    return [
        (_rule(optimizer, group), [bool(group.get(name)) for name in _NO_SUCH])
        for group in optimizer.param_groups
    ]


def rule_of(optimizer: torch.optim.Optimizer) -> Rule:
    """An optimiser's hyperparameters as they are now, in the order of the native engine."""
    return _rule(optimizer, optimizer.param_groups[0])


def _rule(optimizer: torch.optim.Optimizer, given: dict[str, Any]) -> Rule:
    method = type(optimizer)
    if issubclass(method, torch.optim.Adam):  # the group decides, also in an AdamW
        decoupled = given.get("decoupled_weight_decay", method is torch.optim.AdamW)
        method = torch.optim.AdamW if decoupled else torch.optim.Adam
    beta1, beta2 = given.get("betas", (0.0, given.get("alpha", 0.0)))
    return Rule(
        method=_METHODS[method],
        rate=float(given["lr"]),
        decay=float(given["weight_decay"]),
        momentum=float(given.get("momentum", 0.0)),
        dampening=float(given.get("dampening", 0.0)),
        beta1=float(beta1),
        beta2=float(beta2),
        eps=float(given.get("eps", 0.0)),
        rate_decay=float(given.get("lr_decay", 0.0)),
        nesterov=bool(given.get("nesterov", False)),
        centered=bool(given.get("centered", False)),
    )


def state_of(optimizer: torch.optim.Optimizer, p: Tensor) -> State:
    """The tensors of a parameter's state; what is not there yet is made."""
    given = optimizer.param_groups[0]
    if isinstance(optimizer, torch.optim.SGD) and not given["momentum"]:
        return State(None, None, None, None, False)
    state: dict[str, Any] = optimizer.state[p]

    def held(name: str) -> Tensor:
        if state.get(name) is None:
            state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
        found: Tensor = state[name]
        return found

    if isinstance(optimizer, torch.optim.SGD):
        fresh = state.get("momentum_buffer") is None
        return State(held("momentum_buffer"), None, None, None, fresh)
    if "step" not in state:
        state["step"] = torch.zeros((), dtype=torch.float32, device="cpu")
    step = state["step"]
    if isinstance(optimizer, torch.optim.Adagrad):
        return State(held("sum"), None, None, step, False)
    if isinstance(optimizer, torch.optim.RMSprop):
        square = held("square_avg")
        buffer = held("momentum_buffer") if given["momentum"] > 0 else None
        return State(buffer, square, held("grad_avg") if given["centered"] else None, step, False)
    return State(held("exp_avg"), held("exp_avg_sq"), None, step, False)
