"""`train_steps`: whole training steps in one native call, forward to update.

For a small network autograd and the optimiser take a hundred times what the arithmetic takes.
Here the kernel makes many steps in one call: forward, head, loss, backward, clipping, update.
Parameters and the optimiser's state are torch's own tensors, so either can make the next step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.engines import Declined
from unrolled.engines.memory import check
from unrolled.engines.watching import is_zero, sees_operations
from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.errors.expected import check_argument, whole
from unrolled.layer.elman import Elman
from unrolled.steps import updates
from unrolled.steps.ahead import each_ahead
from unrolled.steps.batches import Batches, as_batches, places
from unrolled.steps.losses import Loss, as_loss
from unrolled.steps.network import Network
from unrolled.steps.program import Program, State, TrainingError
from unrolled.steps.support import supports

__all__ = ["MOST_THREADS", "check_engine", "steps_until", "train_steps"]

MOST_THREADS = 1024  # with too many, OpenMP ends the process without a word


class _Plain:
    """The same steps through autograd and the optimiser itself: what a `Program` is held to."""

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        clip: float,
        state: State,
    ) -> None:
        self._network, self._optimizer, self._loss = network, optimizer, loss
        self._clip, self._state = clip, state
        self._why = ("", math.nan)

    def run(self, batches: Batches, losses: Tensor, halt: Callable[[], bool]) -> int:
        inside = batches.inside()
        for k in range(len(batches.x)):
            if halt():
                return k
            batch = batches.at(k)
            masks = {"lengths": batch.lengths, "resets": batch.resets, "mask": batch.mask}
            given = {name: mask for name, mask in masks.items() if mask is not None}
            begins = batches.begins is not None and bool(batches.begins[k])
            output, state = self._network(batch.x, None if begins else self._state, **given)
            every = inside is not None and self._network.read == "every"
            loss = self._loss(
                output, batch.target, inside[k] if every and inside is not None else None
            )
            losses[k] = loss.detach()
            if not self._update(loss):
                return k
            if self._state is not None:
                for ours, after in zip(_tensors(self._state), _tensors(state), strict=True):
                    ours.copy_(after.detach())
        return len(batches.x)

    def _update(self, loss: Tensor) -> bool:
        if not math.isfinite(loss.item()):
            self._why = ("the loss", loss.item())
            return False
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._clip:
            parameters = [p for p in self._network.parameters() if p.grad is not None]
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            if not math.isfinite(norm.item()):
                self._why = ("the gradient's norm", norm.item())
                return False
            nn.utils.clip_grads_with_norm_(parameters, self._clip, norm)
        self._optimizer.step()
        return True

    def error(self, step: int) -> TrainingError:
        return TrainingError(f"step {step}: {self._why[0]} is {self._why[1]}")


def _tensors(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def _check_state(state: State, network: Network) -> None:
    """Raise where the state is not what the network has, for whatever number of rows."""
    if state is None:
        return
    recurrent = network.recurrent
    elman = isinstance(recurrent, Elman)
    layers = 1 if isinstance(recurrent, Elman) else recurrent.num_layers
    weight, held = recurrent.weight_ih_l0, _tensors(state)
    enough = not isinstance(state, tuple) if elman else len(held) == 2
    kinds = all(isinstance(t, Tensor) for t in held)
    if not kinds or (isinstance(state, tuple) and not enough):
        kinds_given = ", ".join(type(t).__name__ for t in held)
        raise InvalidTypeError(
            f"state is {f'({kinds_given})' if isinstance(state, tuple) else kinds_given}, expected "
            f"{'the tensor h' if elman else 'a tuple of tensors, (h, c)'}."
        )
    for t in held:
        sizes = (t.dim(), t.shape[0], t.shape[-1]) if t.dim() else ()
        fits = sizes == (3, layers, recurrent.hidden_size) and t.dtype == weight.dtype
        if not (enough and fits) or t.device != weight.device:
            given = " and ".join(f"{t.dtype} {list(t.shape)}" for t in held)
            raise InvalidValueError(
                f"state is {given}, expected {'h' if elman else '(h, c)'}, {weight.dtype} "
                f"[{layers}, B, {recurrent.hidden_size}]."
            )
        if sees_operations(t) or is_zero(t):
            what = "autograd's zero" if is_zero(t) else f"a {type(t).__name__}"
            raise InvalidValueError(f"state is {what}: expected a tensor that is written to.")
        check("state", t)
        if not t.is_contiguous() or t.requires_grad:
            raise InvalidValueError(
                "state must be contiguous and without a gradient: it is written to."
            )


def _check_rows(state: State, rows: int) -> None:
    if state is not None and any(t.shape[1] != rows for t in _tensors(state)):
        raise InvalidValueError(
            f"state has {_tensors(state)[0].shape[1]} rows, and the batches {rows}."
        )


def train_steps(
    network: Network,
    optimizer: torch.optim.Optimizer,
    loss: Loss | str | nn.Module,
    batches: Any,
    *,
    clip: float = 0.0,
    state: State = None,
    engine: str = "auto",
    threads: int | None = None,
) -> Tensor:
    """Train: one update for each batch, all of a block in one native call.

    Parameters
    ----------
    network : Network
    optimizer : torch.optim.Optimizer
        Over the network's parameters.  SGD, Adagrad, Adam, AdamW and RMSprop are made natively,
        with torch's formulas and on torch's own state: ``optimizer.step()`` can go on from there.
    loss : Loss, str or torch.nn.Module
        `Loss`, one of its kinds by name, or `nn.MSELoss`, `nn.BCEWithLogitsLoss`,
        `nn.CrossEntropyLoss`.
    batches : Batches, (x, target) or an iterable of them
        A block of N batches; see `Batches`.  Of an iterable, the next block is made in a thread of
        its own while this one trains: it runs one block ahead, so what it changes in the network or
        the optimizer would change in the middle of a step.  What it gives is copied before it is
        asked for the next, so it may fill one buffer again and again; a block that is given whole,
        or in a list, is read where it lies.  Between two blocks, and so between two calls, the
        optimizer's settings are read again.
    clip : float
        The largest norm of the gradient, as `torch.nn.utils.clip_grad_norm_` has it; 0: any.
    state : (Tensor, Tensor) or Tensor, optional
        h and c, each [L, B, H] (of an `Elman` h, [1, B, H]).  Where each step begins; what it ended
        with is written there, and the next step begins with that.  Left out: each begins at zero.
    engine : {"auto", "native", "plain"}
        Native where that is supported; or native, or an exception; or autograd and
        ``optimizer.step()``.
    threads : int, optional
        As many as torch uses, if left out.

    Returns
    -------
    Tensor, [N]
        The loss of each step, before its update.

    Raises
    ------
    unrolled.Declined
        With ``engine="native"``, where it is not supported: in one sentence, why.
    unrolled.TrainingError
        If a loss (or, with ``clip``, a gradient) is not finite.  Parameters and the optimiser's
        state are as they were before that step; the losses until then are its ``losses``.
    RuntimeError
        If the network or the optimiser is changed, meanwhile, to what cannot go on.
    TypeError, ValueError
        For shapes, types and values that do not fit, in one sentence.

    Examples
    --------
    >>> from unrolled import LSTM
    >>> network = Network(LSTM(1, 8), nn.Linear(8, 1))
    >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    >>> x = torch.rand(1000, 10, 1, 1)
    >>> losses = train_steps(network, optimizer, "squared_error", (x, x.cumsum(1)))
    >>> losses.shape
    torch.Size([1000])
    """
    return steps_until(_never, network, optimizer, loss, batches, clip, state, engine, threads)


def check_engine(engine: str) -> None:
    """Raise ValueError where there is no such way to make whole steps."""
    if engine not in ("auto", "native", "plain"):
        raise InvalidValueError(f"engine={engine!r} is not known: use 'auto', 'native' or 'plain'.")


def _never() -> bool:
    return False


def steps_until(
    halt: Callable[[], bool],
    network: Network,
    optimizer: torch.optim.Optimizer,
    loss: Loss | str | nn.Module,
    batches: Any,
    clip: float,
    state: State,
    engine: str,
    threads: int | None,
) -> Tensor:
    """`train_steps`, which ends early, between two calls of the kernel, once ``halt`` says so."""
    check_engine(engine)
    if not (0 <= clip < math.inf):
        raise InvalidValueError(f"clip={clip} makes no sense: expected 0 (any) or a norm above 0.")
    if not isinstance(network, Network):
        raise InvalidTypeError(
            f"network is a {type(network).__name__}, expected an unrolled.Network: "
            "Network(LSTM(…), nn.Linear(…))."
        )
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InvalidTypeError(
            f"optimizer is a {type(optimizer).__name__}, expected one of torch.optim."
        )
    if threads is not None:
        check_argument("threads", threads, whole(1, MOST_THREADS))
    updates.check_state(optimizer)
    reason = supports(network, optimizer, loss)
    if engine == "native" and reason is not None:
        raise Declined(f"engine='native' declined: {reason}; engine='auto' takes autograd.")
    found = as_loss(loss)
    if isinstance(found, str):
        raise InvalidTypeError(f"{found}: use unrolled.Loss.")
    _check_state(state, network)
    native = engine != "plain" and reason is None
    threads = torch.get_num_threads() if threads is None else threads
    with _resolved(state) as state:
        run: Program | _Plain = (
            Program(network, optimizer, found, clip, state, threads)
            if native
            else _Plain(network, optimizer, found, clip, state)
        )
        return _each(run, halt, network, found, batches, state)


@contextmanager
def _resolved(state: State) -> Iterator[State]:
    """The state without a negative bit, which the kernel cannot see; written back at the end."""
    if state is None or not any(t.is_neg() for t in _tensors(state)):
        yield state
        return
    plain = tuple(t.resolve_neg().clone() for t in _tensors(state))
    try:
        yield plain if isinstance(state, tuple) else plain[0]
    finally:
        for ours, after in zip(_tensors(state), plain, strict=True):
            ours.copy_(after)


def _each(
    run: Program | _Plain,
    halt: Callable[[], bool],
    network: Network,
    loss: Loss,
    batches: Any,
    state: State,
) -> Tensor:
    """Block after block."""
    losses: list[Tensor] = []
    made = 0
    with each_ahead(batches, halt) as blocks:
        for given in blocks:
            block = as_batches(given, network, loss)
            _check_rows(state, block.x.shape[2])
            count = len(block.x)
            losses.append(torch.empty(count, dtype=block.x.dtype, device="cpu"))
            if isinstance(run, Program):
                some = run.run(places(block, state is not None), losses[-1], 0, count, halt)
            else:
                some = run.run(block, losses[-1], halt)
            made += some
            if halt():
                break
            if some < count:
                error = run.error(made + 1)
                error.losses = torch.cat(losses)[:made]
                raise error
    return torch.cat(losses)[:made] if losses else torch.empty(0, device="cpu")
