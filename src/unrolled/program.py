"""A network, its loss and its optimiser as the kernel is told of them: see `unrolled.stepping`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn, optim, strided

from unrolled import updates
from unrolled.blocks import Batches, Places
from unrolled.elman import Elman
from unrolled.engines import Request, cpu
from unrolled.equations import Cell
from unrolled.losses import KINDS, OVER, Loss, as_loss
from unrolled.lstm import LSTM
from unrolled.network import Network
from unrolled.regularisation import Noise

__all__ = ["Native", "Program", "State", "TrainingError", "supports"]

State = Any  # (h, c), each [L, B, H]; of an Elman network h [1, B, H]

_CALL = 2e8  # multiplications of one native call
_STEP = 2e4  # what a step costs beside its products, in multiplications

_ACTIVATIONS = ("tanh", "sigmoid", "relu")
_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ph")


class TrainingError(RuntimeError):
    """A run that cannot go on: a loss, a gradient or a weight that is not finite.

    Attributes
    ----------
    losses : Tensor or None
        Of the steps that were made before.
    """

    losses: Tensor | None = None


def supports(network: Network, optimizer: optim.Optimizer, loss: object) -> str | None:
    """None where the kernel makes these training steps, or the reason why not."""
    found = as_loss(loss)
    if isinstance(found, str):
        return found
    recurrent = network.recurrent
    if type(network) is not Network or type(recurrent) not in (LSTM, Elman):
        return "it has Network of LSTM or Elman as they are, and no class made from them"
    if network.head is not None and type(network.head) is not nn.Linear:
        return "its head is an nn.Linear as it is, and no class made from it"
    for module in network.modules():
        hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        if any(getattr(module, name) for name in hooks):
            return f"there are hooks on {type(module).__name__}"
    return (
        _why_not_layer(recurrent)
        or _why_not_parameters(network)
        or updates.reason(optimizer, _learned(network))
    )


def _why_not_layer(recurrent: LSTM | Elman) -> str | None:
    weight = recurrent.weight_ih_l0
    cell = recurrent.cell if isinstance(recurrent, LSTM) else Cell()
    projected = isinstance(recurrent, LSTM) and recurrent.proj_size > 0
    reason = cpu.supports(Request(cell, (), weight.dtype, weight.device.type, projected))
    if reason is not None:
        return reason
    if isinstance(recurrent, Elman):
        return None
    if recurrent.bidirectional:
        return "it has one direction"
    if recurrent.noise != Noise() or (recurrent.dropout and recurrent.training):
        return "it has neither dropout nor zoneout"
    if recurrent.engine not in ("auto", "cpu"):
        return f"the layer was given engine={recurrent.engine!r}"
    return None


def _why_not_parameters(network: Network) -> str | None:
    kind = network.recurrent.weight_ih_l0.dtype
    seen: dict[int, str] = {}
    for name, p in network.named_parameters(remove_duplicate=False):
        plain = type(p) is nn.Parameter and p.layout is strided and p.is_contiguous()
        if not plain or p.is_neg() or p.dtype != kind or p.device.type != "cpu":
            return f"{name} is no dense parameter of {kind} on the CPU"
        if p.data_ptr() in seen:
            return f"{name} shares its memory with {seen[p.data_ptr()]}"
        seen[p.data_ptr()] = name
        if p._backward_hooks or getattr(p, "_post_accumulate_grad_hooks", None):
            return f"there are hooks on {name}"
    return None


def _learned(network: Network) -> list[Tensor]:
    return [p for p in network.parameters() if p.requires_grad]


class Native(NamedTuple):
    """How a recipe's loss is made by the kernel.

    Parameters
    ----------
    network : Network
        Of the model's own parts.
    loss : Loss
    read : callable
        From a block of batches, as they are drawn, to `Batches`; (x, target), if left out.
    """

    network: Network
    loss: Loss
    read: Callable[[tuple[Tensor, ...]], Batches] = lambda block: Batches(*block)


class Program:
    """A network and its optimiser as the kernel was told of them; for as long as neither changes.

    Parameters
    ----------
    network, optimizer, loss
        That `supports` has nothing against.
    clip : float
        The largest norm of the gradient; 0: any.
    state : State, optional
        Where each step begins, and where it leaves what it ended with; None: at zero, each.
    threads : int
    """

    def __init__(
        self,
        network: Network,
        optimizer: optim.Optimizer,
        loss: Loss,
        clip: float,
        state: State,
        threads: int,
    ) -> None:
        recurrent = network.recurrent
        self.network, self.optimizer, self.loss = network, optimizer, loss
        self.carried = state is not None
        self.dtype = recurrent.weight_ih_l0.dtype
        self._kept: list[object] = [network, state]
        self._trainer = cpu.trainer(self.dtype, threads)
        self._learned: list[tuple[Tensor, int, int]] = []
        sizes = self._add_layers(recurrent, state)
        head = network.head
        weights = (None, None) if head is None else (head.weight, head.bias)
        self._note(sizes, weights)
        self._trainer.set_head(network.outputs, *map(_address, weights), network.read == "last")
        ignored = loss.ignore_index
        self._trainer.set_loss(KINDS.index(loss.kind), OVER.index(loss.over), loss.factor, ignored)
        self._trainer.set_rule(*updates.rule_of(optimizer), clip)
        self._states = []
        for p, layer, slot in self._learned:
            held = updates.state_of(optimizer, p)
            self._states.append(held)
            self._trainer.add_parameter(
                layer, slot, p.numel(), p.data_ptr(), *map(_address, held[:4]), held.fresh
            )

    def _add_layers(self, recurrent: LSTM | Elman, state: State) -> int:
        hidden = recurrent.hidden_size
        layers = recurrent.num_layers if isinstance(recurrent, LSTM) else 1
        self._work = 3.0 * hidden * self.network.outputs  # multiplications for a row and step
        for k in range(layers):
            weights = [recurrent._parameters.get(f"{name}_l{k}") for name in _WEIGHTS]
            width = hidden if k else recurrent.input_size
            self._note(k, weights)
            at = list(map(_address, weights))
            if isinstance(recurrent, Elman):
                h = _address(state)
                kind = _ACTIVATIONS.index(recurrent.activation)
                self._trainer.add_elman(width, hidden, kind, *at[:4], h)
                self._work += 3 * hidden * (width + hidden)
                continue
            h, c = (0, 0) if state is None else (s[k].data_ptr() for s in state)
            cell = cpu.cell_numbers(recurrent.cell)
            self._trainer.add_lstm(width, hidden, *map(_as, (int, bool, bool), cell), *at, h, c)
            self._work += 3 * len(recurrent.cell.gates) * hidden * (width + hidden)
        return layers

    def _note(self, layer: int, weights: Any) -> None:
        for slot, p in enumerate(weights):
            if p is not None and p.requires_grad:
                self._learned.append((p, layer, slot))

    def at_once(self, block: Places) -> int:
        """How many steps one call makes: some hundredths of a second, after which all is heard."""
        return max(1, int(_CALL / (_STEP + block.steps * block.rows * self._work)))

    def run(
        self,
        block: Places,
        losses: Tensor,
        first: int,
        last: int,
        halt: Callable[[], bool] = lambda: False,
    ) -> int:
        """Make a step for each of the block's batches ``first`` to ``last`` − 1, or until ``halt``.

        Returns how many were made: where fewer, `error` says why.  ``losses`` [last − first] is
        given theirs.
        """
        self._trainer.reserve(block.steps * block.rows, block.rows)
        table, size, some = block.table, losses.element_size(), self.at_once(block)
        at = first
        try:
            while at < last and not halt():
                take = min(some, last - at)
                row, into = table.data_ptr() + at * 64, losses.data_ptr() + (at - first) * size
                made = self._trainer.run(row, take, into)
                at += made
                if made < take:
                    break
        finally:
            self._forget_unused()
        return at - first

    def _forget_unused(self) -> None:
        """A momentum that no step was made with is none."""
        for k, ((p, _, _), held) in enumerate(zip(self._learned, self._states, strict=True)):
            if held.fresh and self._trainer.fresh(k):
                self.optimizer.state.pop(p, None)

    def error(self, step: int) -> TrainingError:
        """Why it stopped before ``step``."""
        what = "the loss" if self._trainer.stop == 1 else "the gradient's norm"
        return TrainingError(f"step {step}: {what} is {self._trainer.found}")


def _as(kind: Callable[[int], Any], value: int) -> Any:
    return kind(value)


def _address(t: Tensor | None) -> int:
    return 0 if t is None else t.data_ptr()
