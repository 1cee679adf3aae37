"""All that changes from one step of training to the next, and how it is saved and put back."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import whole
from unrolled.steps.batches import Batches, Places, as_batches, places
from unrolled.steps.program import Native, Program, TrainingError
from unrolled.steps.support import supports
from unrolled.training import checkpoint
from unrolled.training.declared import DICTIONARY, held
from unrolled.training.optimizers import make_optimizer
from unrolled.training.recipe import Recipe
from unrolled.training.schedules import Schedule
from unrolled.training.state import declared_best, declared_session

__all__ = ["Randomness", "Session"]

# torch's CPU generator takes 32 bits of a seed: the batches' stream must differ from the weights'.
_BATCHES = 0x9E3779B9


class Randomness:
    """torch's random state while training: ours inside ``with``, the caller's outside.

    Costs 2 µs a step; `torch.random.fork_rng` has no place for a state that goes on.
    """

    def __init__(self, seed: int) -> None:
        self.state = torch.Generator("cpu").manual_seed(seed).get_state()

    def __enter__(self) -> None:
        self._callers = torch.get_rng_state()
        torch.set_rng_state(self.state)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.state = torch.get_rng_state()
        torch.set_rng_state(self._callers)


class Session:
    """Everything that changes from step to step, and so everything that a checkpoint holds.

    Parameters
    ----------
    recipe : Recipe
    plain : bool
        Whether every update goes through autograd, also where the kernel could make it.
    """

    def __init__(self, recipe: Recipe, plain: bool = False) -> None:
        self.recipe = recipe
        self.step = 0
        self.seconds = 0.0
        self.state: Any = None
        self.batch: tuple[Tensor, ...] = ()
        self.best: dict[str, Any] | None = None  # the weights with the least figure so far
        self._last: dict[str, Any] | None = None  # the last weights, once others were chosen
        self.randomness = Randomness(recipe.seed)
        self.generator = torch.Generator("cpu").manual_seed(recipe.seed ^ _BATCHES)
        with self.randomness:
            self.model = recipe.model()
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = self._make_optimizer(self.parameters)
        self._schedule = Schedule(recipe.schedule, self.optimizer, recipe.steps)
        self._block: tuple[Tensor, ...] = ()  # batches drawn at once, [K, T, B, …]
        self._batches = 0  # K
        self._places: Places | None = None  # where they lie, for the kernel
        self._windows: list[tuple[Tensor, ...]] = []  # of the batch at hand
        self._parts = 1  # how many a batch has
        self._window = 0  # the next one, counted through the block
        self._before_batch = self.generator.get_state()
        self._program: Program | None = None
        self._native, self.why_plain = self._way(plain)

    def _make_optimizer(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        recipe = self.recipe
        return make_optimizer(
            recipe.optimizer, parameters, recipe.learning_rate, recipe.optimizer_options()
        )

    def _way(self, plain: bool) -> tuple[Native | None, str]:
        """What the kernel is to be told of, or why updates go through autograd."""
        if plain:
            return None, "it was asked to be plain"
        if self.recipe.steps_per_update:
            return None, "a batch is cut, and its state goes from one update to the next"
        found = self.recipe.native(self.model)
        if isinstance(found, str):
            return None, found
        reason = supports(found.network, self.optimizer, found.loss)
        return (None, reason) if reason is not None else (found, "")

    def _checked(self, native: Native) -> Batches:
        return as_batches(native.read(self._block), native.network, native.loss)

    def _draw(self) -> None:
        first = self.step - self._window
        self._block = self.recipe.batches(first, self.generator)
        self._batches = len(self._block[0])
        self._places = None
        self._take(0)

    def _take(self, number: int) -> None:
        """Make the block's batch of that number the one at hand."""
        self.batch = tuple(t[number] for t in self._block)
        self._windows = _cut(self.batch, self.recipe.steps_per_update)
        self._parts = len(self._windows)

    def _enough(self) -> None:
        """Draw, if all that was drawn has been used."""
        if self._window == self._batches * self._parts:
            self._before_batch = self.generator.get_state()
            self._window = 0
            self._draw()

    def _next(self) -> tuple[Tensor, ...]:
        self._enough()
        number, part = divmod(self._window, self._parts)
        if part == 0:
            if not self.recipe.carry_state:
                self.state = None
            self._take(number)
        return self._windows[part]

    def advance_many(
        self, most: int, save: Callable[[dict[str, Any]], None] | None = None
    ) -> list[float]:
        """One update, or up to ``most`` where the kernel makes them; the loss of each."""
        if self._native is None:
            return [self.advance(save)]
        before = None if save is None else self.snapshot()
        with self.randomness:
            self._enough()
        if self._program is None:
            self._program = self._programmed(self._native)
        if self._places is None:
            carried = self.recipe.carry_state
            self._places = places(self._checked(self._native), carried=carried)
        first = self._window
        most = min(most, self._batches - first, self._program.at_once(self._places))
        most = self._schedule.alike(self.step, most)
        losses = torch.empty(most, dtype=self._program.dtype, device="cpu")
        with self._schedule.during(self.step):
            made = self._program.run(self._places, losses, first, first + most)
        self.step += made
        self._window += made
        if made and save is not None and before is not None:
            save(before)
        if made < most:
            raise self._program.error(self.step + 1)
        self._take(self._window - 1)
        return losses.tolist()

    def _programmed(self, native: Native) -> Program:
        """The kernel, told of the network, and of the state if that is carried."""
        if self.recipe.carry_state:
            rows = native.read(self._block).x.shape[2]
            self.state = native.network.state_like(self.state, rows)
        count, clip = torch.get_num_threads(), self.recipe.clip
        return Program(native.network, self.optimizer, native.loss, clip, self.state, count)

    def advance(self, save: Callable[[dict[str, Any]], None] | None = None) -> float:
        """One update.  ``save`` is given what was before it, once its loss has come out finite."""
        before = None if save is None else self.snapshot()
        with self.randomness:
            loss, state = self.recipe.loss(self.model, self._next(), self.state)
            value = loss.item()
            if not math.isfinite(value):
                raise TrainingError(f"step {self.step + 1}: the loss is {value}")
            for parameter in self.parameters:  # 6 µs less than optimizer.zero_grad()
                parameter.grad = None
            loss.backward()  # type: ignore[no-untyped-call]
            if self.recipe.clip:
                self._clip()
            if save is not None and before is not None:
                save(before)
            with self._schedule.during(self.step):
                self.optimizer.step()
        self.state = _detach(state)
        self.step += 1
        self._window += 1
        return value

    def _clip(self) -> None:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        value = norm.item()
        if not math.isfinite(value):
            raise TrainingError(f"step {self.step + 1}: the gradient's norm is {value}")
        if value > self.recipe.clip:
            nn.utils.clip_grads_with_norm_(self.parameters, self.recipe.clip, norm)

    def look(self) -> tuple[dict[str, float], str]:
        """The recipe's figures and lines, with the model in ``eval()``."""
        with self.looking():
            metrics = {k: float(v) for k, v in self.recipe.metrics(self.model).items()}
            self._note(metrics)
            if self.step == self.recipe.steps:
                self._choose()
            return metrics, self.recipe.report(self.model, self.step, self.batch)

    def _note(self, metrics: dict[str, float]) -> None:
        """Keep the weights, if the recipe's figure was never as small."""
        value = metrics.get(self.recipe.chosen_by, math.nan)
        if math.isfinite(value) and (self.best is None or value < self.best["value"]):
            weights = checkpoint.copy_tree(self._weights())
            self.best = {"value": value, "step": self.step, "model": weights}

    def _weights(self) -> dict[str, Any]:
        return dict(self.model.state_dict())

    def settle(self) -> None:
        """Once all steps are made: give the model the weights that are kept, and what they need."""
        with self.looking():
            self._choose()

    def _choose(self) -> None:
        if self._last is not None:
            return
        self._last = checkpoint.copy_tree(self._weights())
        if self.best is not None:
            self.model.load_state_dict(self.best["model"])
        step = self.step if self.best is None else self.best["step"]
        self.recipe.settle(self.model, step)

    @contextlib.contextmanager
    def looking(self) -> Generator[None]:
        """No gradients, no dropout, and random numbers of our own."""
        with self.randomness, torch.no_grad():
            self.model.eval()
            yield
            self.model.train()

    def check_weights(self) -> None:
        """Raise where a weight is not finite: such weights are never saved."""
        for name, weight in self.model.named_parameters():
            if not torch.isfinite(weight).all():
                raise TrainingError(f"after step {self.step}: {name} is not finite")

    def snapshot(self) -> dict[str, Any]:
        """What `restore` needs, in copies: what is there is soon written over."""
        drawn = self._window < self._batches * self._parts
        return {
            "step": self.step,
            "seconds": self.seconds,
            "model": checkpoint.copy_tree(self._last or self._weights()),
            "optimizer": checkpoint.copy_tree(self.optimizer.state_dict()),
            "random": self.randomness.state,
            "generator": self._before_batch if drawn else self.generator.get_state(),
            "window": self._window if drawn else 0,
            "state": checkpoint.copy_tree(self.state),
            "data": self.recipe.digest(),
            **({"best": checkpoint.copy_tree(self.best)} if self.recipe.chosen_by else {}),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go back to a snapshot; a batch that was under way is drawn again.

        Raises
        ------
        InvalidValueError
            If it is not a snapshot of this recipe; nothing of it was used then.
        """
        self._check(saved)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.best = saved.get("best")
        self.state, self._window = saved["state"], saved["window"]
        self.generator.set_state(saved["generator"])
        self._before_batch = saved["generator"]
        if self._window:
            with self.randomness:
                self._draw()
            held(self._window, whole(1, self._batches * self._parts - 1), "window")
            self._take((self._window - 1) // self._parts)
        self._program = None  # its tensors were replaced
        self.randomness.state = saved["random"]

    def _check(self, saved: Any) -> None:
        """Hold all of a snapshot to what this recipe makes."""
        held(saved, DICTIONARY, "the state")
        held(step := saved.get("step"), whole(0, self.recipe.steps), "step")
        declared = declared_session(self.model, self.optimizer, self._make_optimizer, step)
        if self.recipe.chosen_by:
            declared["best"] = declared_best(self.model, saved, step)
        held(saved, declared)
        if saved["data"] != self.recipe.digest():
            raise InvalidValueError("its data is not what it was when the run began")


def _cut(batch: tuple[Tensor, ...], length: int) -> list[tuple[Tensor, ...]]:
    """A batch in stretches of ``length`` time steps."""
    if not length:
        return [batch]
    steps = {len(tensor) for tensor in batch}
    if len(steps) != 1:
        raise InvalidValueError(
            f"a batch is cut along time, so its tensors must be [T, B, …] with one T: found "
            f"{sorted(steps)}."
        )
    return list(zip(*(torch.split(tensor, length) for tensor in batch), strict=True))


def _detach(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach()
    if type(state) in (list, tuple):
        return type(state)(_detach(s) for s in state)
    if isinstance(state, dict):
        return {key: _detach(s) for key, s in state.items()}
    return state
