"""A network, its loss and its optimiser, as the native engine is told of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, optim
from torch.autograd.graph import increment_version

from unrolled.engines import cpu
from unrolled.engines.calls import Rule
from unrolled.engines.watching import mark_stepped, parameters_of
from unrolled.errors import InvalidStateError, UnrolledError
from unrolled.layer.elman import Elman
from unrolled.layer.lstm import LSTM
from unrolled.layer.settings import WEIGHTS
from unrolled.steps import updates
from unrolled.steps.batches import Batches, Places
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network
from unrolled.steps.support import supports

__all__ = ["Native", "Program", "State", "TrainingError"]

State = Any  # (h, c), each [L, B, H]; of an Elman network h [1, B, H]

_CALL = 2e8  # multiplications of one native call
_STEP = 2e4  # what a step costs beside its products, in multiplications

_MEANWHILE = (
    "the network or its optimizer was changed while steps were being made: do that between two "
    "calls; an iterable of batches runs one block ahead."
)


class TrainingError(UnrolledError, RuntimeError):
    """A run that cannot go on: a loss, a gradient or a weight that is not finite.

    Attributes
    ----------
    losses : Tensor or None
        Of the steps that were made before.
    """

    losses: Tensor | None = None


class Native(NamedTuple):
    """A recipe's network and loss, in the form in which the native engine trains them.

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


class _Seen(NamedTuple):
    """What the kernel was told: the optimiser's settings, and where all that it writes to lies."""

    settings: list[tuple[Rule, list[bool]]]
    places: list[object]


class Program:
    """Trains a network in C++, and tells the native engine anew whenever something has changed.

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
        self.dtype = recurrent.weight_ih_l0.dtype
        self._clip, self._state, self._threads = clip, state, threads
        self._sizes = self._shapes()
        self._work = 3.0 * recurrent.hidden_size * network.outputs  # multiplications a row and step
        for weight in recurrent.parameters():
            self._work += 3.0 * weight.numel() if weight.dim() == 2 else 0
        self._told: _Seen | None = None  # what the trainer's addresses and numbers hold for

    def _shapes(self) -> list[tuple[torch.Size, torch.dtype]]:
        return [(p.shape, p.dtype) for p in self.network.parameters()]

    def _now(self) -> _Seen:
        """All that the kernel was told and that anybody may change between two calls."""
        settings = updates.settings(self.optimizer)
        seen: list[object] = []
        for p in self.network.parameters():
            seen.append((id(p), p.requires_grad, p.is_neg(), *_place(p)))
            for name, t in list(self.optimizer.state.get(p, {}).items()):
                seen.append((name, id(t), *(_place(t) if isinstance(t, Tensor) else ())))
        seen.extend(map(_place, _parts(self._state)))
        return _Seen(settings, seen)

    def _look(self) -> None:
        """Tell the kernel, if it does not know yet how things are now.

        Raises
        ------
        RuntimeError
            If they have become what it cannot do, in one sentence.
        """
        if self._told is not None and self._follows(self._told, self._now()):
            return
        if self._shapes() != self._sizes:
            raise InvalidStateError(
                "the network's weights have another shape or dtype than when its training began: "
                "begin another."
            )
        reason = supports(self.network, self.optimizer, self.loss)
        if reason is not None:
            raise InvalidStateError(
                f"the network or its optimizer was changed during its training: {reason}."
            )
        self._tell()
        self._told = self._now()
        weights = zip(self._kept, self.network.parameters(), strict=False)
        if any(kept.data_ptr() != p.data_ptr() for kept, p in weights):  # by another thread
            self._settle(False)
            self._told = None
            raise InvalidStateError(_MEANWHILE)

    def _follows(self, told: _Seen, now: _Seen) -> bool:
        """Whether the kernel knows how things are now; of the rate, if it alone is new, it is told.

        A schedule changes that from step to step, and to tell all takes ten times as long.
        """
        if told == now:
            return True
        rule = now.settings[0][0]
        settings = [(one._replace(rate=rule.rate), flags) for one, flags in told.settings]
        if now != (settings, told.places):
            return False
        self._set_rule(rule)
        self._told = now
        return True

    def _set_rule(self, rule: Rule) -> None:
        rule = rule._replace(method=cpu.number("Method", rule.method))
        self._trainer.set_rule(rule, self._clip)

    def _tell(self) -> None:
        # Their memory must last as long as the kernel writes to it, whatever takes its place.
        self._kept = [p.detach() for p in self.network.parameters()]
        network, loss, optimizer = self.network, self.loss, self.optimizer
        self._trainer = cpu.trainer(self.dtype, self._threads)
        self._add_layers(network.recurrent, self._state)
        head = network.head
        self._trainer.set_head(
            network.outputs,
            cpu.address(None if head is None else head.weight),
            cpu.address(None if head is None else head.bias),
            network.read == "last",
        )
        quantiles = torch.tensor(loss.quantiles, dtype=torch.float64, device="cpu")
        self._trainer.set_loss(
            cpu.number("Criterion", loss.kind),
            cpu.number("Over", loss.over),
            loss.factor,
            loss.ignore_index,
            quantiles.data_ptr(),
            len(quantiles),
            loss.emphasis,
            loss.offset,
        )
        self._set_rule(updates.rule_of(optimizer))
        self._changed = [*_parts(self._state)]
        self._created: list[tuple[int, Tensor, dict[str, Any] | None, updates.State, Any]] = []
        for k, p in enumerate(p for p in network.parameters() if p.requires_grad):
            before = dict(optimizer.state[p]) if p in optimizer.state else None
            held = updates.state_of(optimizer, p)
            self._trainer.add_parameter(
                value=p.data_ptr(),
                count=p.numel(),
                first=cpu.address(held.first),
                second=cpu.address(held.second),
                third=cpu.address(held.third),
                step=cpu.address(held.step),
                fresh=held.fresh,
            )
            tensors = [t for t in held[:4] if t is not None]
            self._changed += [p, *tensors]
            known = {id(t) for t in (before or {}).values()}
            if any(id(t) not in known for t in tensors):
                step = None if held.step is None else held.step.clone()
                self._created.append((k, p, before, held, step))
        self._kept += [t.detach() for t in self._changed]

    def _add_layers(self, recurrent: LSTM | Elman, state: State) -> None:
        hidden, held = recurrent.hidden_size, parameters_of(recurrent)
        for k in range(recurrent.num_layers if isinstance(recurrent, LSTM) else 1):
            weights = [cpu.address(held.get(f"{name}_l{k}")) for name in WEIGHTS]
            width = hidden if k else recurrent.input_size
            if isinstance(recurrent, Elman):
                kind = cpu.number("Activation", recurrent.activation)
                self._trainer.add_elman(width, hidden, kind, weights, cpu.address(state))
                continue
            h, c = (0, 0) if state is None else (s[k].data_ptr() for s in state)
            layer = cpu.layer(recurrent.cell, width, hidden, weights)
            self._trainer.add_lstm(layer, h, c)

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

        Raises
        ------
        RuntimeError
            If the network or its optimiser has become what the kernel cannot do, or one of their
            tensors was replaced while the kernel wrote to it.
        """
        self._look()
        self._trainer.reserve(block.steps * block.rows, block.rows)
        table, size, some = block.table, losses.element_size(), self.at_once(block)
        row_size = table.shape[1] * table.element_size()
        at = first
        try:
            while at < last and not halt():
                take = min(some, last - at)
                row = table.data_ptr() + at * row_size
                into = losses.data_ptr() + (at - first) * size
                made = self._trainer.run(row, take, into)
                at += made
                if made < take:
                    break
            if self._told != self._now():
                raise InvalidStateError(_MEANWHILE)
        finally:
            increment_version(self._changed)
            self._settle(at > first)
        return at - first

    def _settle(self, made: bool) -> None:
        """Leave the optimiser as its own steps would: a state that none was made with is none.

        An interrupt may have taken the number of steps away, so the state itself is asked.
        """
        state = self.optimizer.state
        for k, _, _, held, step in self._created:
            made |= not self._trainer.fresh(k) if step is None else bool(held.step != step)
        if made:
            mark_stepped(self.optimizer)
        elif self._created:
            for _, p, before, held, _ in self._created:
                if any(t is mine for t in state[p].values() for mine in held[:4] if t is not None):
                    state[p].clear()
                    state[p].update(before or {})
                    if before is None:
                        del state[p]
            self._told = None
        self._created = []

    def error(self, step: int) -> TrainingError:
        """Why it stopped before ``step``."""
        stop, found = self._trainer.stopped
        what = "the loss" if stop == "loss" else "the gradient's norm"
        return TrainingError(f"step {step}: {what} is {found}")


def _parts(state: State) -> tuple[Tensor, ...]:
    return () if state is None else state if isinstance(state, tuple) else (state,)


def _place(t: Tensor) -> tuple[object, ...]:
    return t.data_ptr(), t.shape, t.dtype, t.is_contiguous()
