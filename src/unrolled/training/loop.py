"""`train`: a recipe's steps, one by one, in a folder from which they can go on.

A recipe says what is learnt; this file says what learning is: draw, loss, gradient, update, report,
checkpoint.  It receives a recipe and knows none by name.  The same seed and the same number of
threads give the same bits, and torch's own random state is left as the caller had it.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from unrolled.errors import InvalidValueError
from unrolled.files.whole import check_place, is_full
from unrolled.steps.program import TrainingError
from unrolled.training import checkpoint, documents, runs
from unrolled.training.fields import completed
from unrolled.training.recipe import Recipe, check
from unrolled.training.session import Randomness, Session

__all__ = ["Step", "build", "train"]

_FILES = (*runs.FILES, runs.DATA)


class Step(NamedTuple):
    """One update, or several that the kernel made in one call: the last one's number and loss.

    ``metrics`` and ``report`` are empty but every ``report_every`` steps and after the last one;
    no call goes beyond these.  ``seconds`` is the time in training, less what the caller did
    between steps.  ``losses`` are those of every update since the `Step` before; ``model`` is as it
    is after the last of them.
    """

    step: int
    loss: float
    metrics: dict[str, float]
    report: str
    seconds: float
    model: nn.Module
    losses: Sequence[float] = ()


def build(recipe: Recipe) -> nn.Module:
    """The recipe's model as it is before the first step; torch's random state stays as it was."""
    with Randomness(recipe.seed):
        return recipe.model()


def train(
    recipe: Recipe,
    out: Path | None = None,
    resume: bool = False,
    *,
    save_every: float = 1.0,
    plain: bool = False,
) -> Generator[Step, None, None]:
    """Train, one update at a time, or some hundredths of a second's where the kernel makes them.

    What is wrong with the arguments is found here; the work is done as the steps are taken.
    Leaving early (``break``, ``close()``) saves a checkpoint of the step that was reached.

    Parameters
    ----------
    recipe : Recipe
    out : Path, optional
        The run's folder; None: nothing is written.
    resume : bool
        Go on with the run in ``out``; ``recipe`` must be its own, but ``steps`` may be more.
    save_every : float
        Seconds from one checkpoint to the next, or longer where writing would take more than a
        twentieth of the time; 0: one at every step.
    plain : bool
        Whether every update goes through autograd and `torch.optim`, also where the kernel could
        make it.  It is the same update, but for rounding.

    Yields
    ------
    Step

    Raises
    ------
    ValueError
        If a field makes no sense, or ``out`` is not what it must be (`runs.RunError`).
    TrainingError
        If a loss, gradient or weight is not finite.  What was saved before stays.

    Examples
    --------
    >>> from unrolled.recipes.adder import Recipe
    >>> steps = [step.step for step in train(Recipe(steps=3))]
    >>> steps
    [1, 2, 3]
    """
    check(recipe)
    if out is None:
        if resume:
            raise InvalidValueError("resume = True needs out, the folder of the run to go on with.")
        return _steps(Session(recipe, plain), None)
    check_place(out, folder=True, files=_FILES)
    if resume:
        _compare(recipe, out)
    session = Session(recipe, plain)  # before the folder: what cannot be built leaves none
    made = not out.exists()
    if not resume:
        runs.create(out)
    folder = _Folder(out, save_every, begun=not resume, made=made)
    try:
        folder.open(session)
    except BaseException as error:
        folder.leave(error)
        folder.close()
        raise
    return _steps(session, folder)


def _compare(recipe: Recipe, out: Path) -> None:
    """Raise where the recipe is not the one that the run was begun with."""
    if out.is_dir() and runs.is_empty(out):
        return  # killed before it had written anything
    config = runs.read_config(out)
    ours = runs.encode_fields(recipe)
    if config.recipe != _origin(recipe):
        raise runs.RunError(f"{out} is a run of {config.recipe}, not of {_origin(recipe)}.")
    theirs = completed(type(recipe), config.fields)
    for name in ours.keys() | theirs.keys():
        value, stored = ours.get(name), theirs.get(name)
        if name == "steps" and isinstance(stored, int) and recipe.steps >= stored:
            continue
        if value != stored:
            raise runs.RunError(
                f"--{name.replace('_', '-')} {value} contradicts the run in {out}, which has "
                f"{stored}: leave it out to go on, or start a run of its own."
            )


def _origin(recipe: Recipe) -> str:
    """By what the command line finds the recipe again: its name, or its file."""
    package, _, name = type(recipe).__module__.rpartition(".")
    return name if package == "unrolled.recipes" else inspect.getfile(type(recipe))


class _Folder:
    """The writing side of a run's folder.

    Parameters
    ----------
    path, save_every
        As of `train`.
    begun
        Whether the run begins here: what is in the folder is ours.
    made
        Whether the folder is, too.
    """

    def __init__(self, path: Path, save_every: float, *, begun: bool, made: bool) -> None:
        self.path = path
        self._save_every = save_every
        self._begun, self._made = begun, made
        self._saved: int | None = None  # the step of the weights
        self._state: int | None = None  # the step from which it can go on
        self._due = 0.0  # at once: a run that blows up early leaves the weights it began with
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(runs.locked(path))

    def open(self, session: Session) -> None:
        """Bring the session to where the run is, and the folder to where the session is."""
        recipe = session.recipe
        fields = runs.encode_fields(recipe)
        if (self.path / runs.CONFIG).is_file():
            config = runs.read_config(self.path)._replace(fields=fields)
        else:
            config = runs.new_config(_origin(recipe), fields)
        if (self.path / runs.RESUME).is_file():
            self._restore(session)
        checkpoint.seal_folder(self.path)
        runs.write_config(self.path, config)
        runs.cut_metrics(self.path, session.step)
        if session.step < recipe.steps:
            (self.path / runs.RESULT).unlink(missing_ok=True)

    def _restore(self, session: Session) -> None:
        path = self.path / runs.RESUME
        saved = checkpoint.read_tree(path)
        try:
            session.restore(saved)
        except InvalidValueError as error:
            what = str(error).rstrip(".")
            raise runs.RunError(
                f"{path} does not fit the recipe: {what}; {documents.remedy(path)}."
            ) from error
        self._saved = self._state = session.step

    @property
    def most(self) -> float:
        """How many updates may pass until it is to be asked again whether to save."""
        return math.inf if self._save_every else 1

    def save_if_due(self) -> Callable[[dict[str, Any]], None] | None:
        return self.save if time.perf_counter() >= self._due else None

    def save(self, snapshot: dict[str, Any], chosen: dict[str, Any] | None = None) -> None:
        """Write what going on needs, and the weights: its last ones, or others that were chosen."""
        began = time.perf_counter()
        checkpoint.write_tree(self.path / runs.RESUME, snapshot)
        self._state = snapshot["step"]
        checkpoint.write_weights(self.path / runs.WEIGHTS, chosen or snapshot["model"])
        self._saved = snapshot["step"]
        ended = time.perf_counter()
        if self._save_every:
            self._due = ended + max(self._save_every, 20 * (ended - began))

    def kept(self) -> str:
        """What stays when a run ends badly."""
        if self._saved is None:
            return f"{self.path} has no weights"
        return f"{self.path} keeps the weights of step {self._saved}"

    def leave(self, error: BaseException) -> None:
        """Note beside an error what stays of the run; where nothing was saved, nothing stays."""
        if not isinstance(error, Exception):
            return  # Ctrl-C
        if isinstance(error, OSError) and is_full(error):
            error.filename = error.filename or f"{self.path}/"  # to add a line names no file
        if (self.path / runs.RESULT).is_file():
            error.add_note(f"{self.path}/ keeps the run's weights and figures")
        elif self._state is not None:
            mend = "free some space and go on" if is_full(error) else "go on"
            kept = f"{self.path}/ keeps the run's state of step {self._state}"
            error.add_note(f"{kept}: {mend} with --resume")
        elif self._begun:
            self._remove()
            error.add_note("nothing of the run was saved")

    def _remove(self) -> None:
        for name in (runs.CONFIG, runs.METRICS, ".lock"):
            (self.path / name).unlink(missing_ok=True)
        if self._made:
            with contextlib.suppress(OSError):  # there is something that is not ours
                self.path.rmdir()

    def report(self, step: Step) -> None:
        row = {"step": step.step, "loss": step.loss, "seconds": step.seconds}
        runs.append_metrics(self.path, row | step.metrics)

    def finish(self, session: Session) -> None:
        """The last checkpoint, the pictures, and the figures that say that the run is done."""
        if runs.read_result(self.path) is not None and (self.path / runs.WEIGHTS).is_file():
            return
        session.settle()
        self.save(session.snapshot(), session.model.state_dict())
        with session.looking():
            figures = session.recipe.result(session.model)
            if (kept := session.recipe.kept(session.model)) is not None:
                checkpoint.write_tree(self.path / runs.DATA, kept)
            history = runs.read_metrics(self.path)
            try:
                pictures = session.recipe.draw(session.model, history, self.path)
            except Exception:  # without matplotlib there are figures all the same
                self._done(session, figures, [])
                raise
            # Not where a stop was asked for: the run is gone on with, and drawn then.
            self._done(session, figures, pictures)

    def _done(self, session: Session, figures: dict[str, Any], pictures: list[Path]) -> None:
        result = {
            "step": session.step,
            "seconds": session.seconds,
            "figures": figures,
            "pictures": [picture.name for picture in pictures],
        }
        runs.write_result(self.path, result)

    def close(self) -> None:
        self._lock.close()


def _next_report(session: Session) -> int:
    every = session.recipe.report_every
    return (session.step // every + 1) * every


def _steps(session: Session, folder: _Folder | None) -> Generator[Step, None, None]:
    recipe = session.recipe
    began = time.perf_counter() - session.seconds
    try:
        while session.step < recipe.steps:
            most = min(recipe.steps, _next_report(session)) - session.step
            if folder:
                most = int(min(most, folder.most))
            losses = session.advance_many(most, folder.save_if_due() if folder else None)
            metrics: dict[str, float] = {}
            report = ""
            if session.step % recipe.report_every == 0 or session.step == recipe.steps:
                session.check_weights()
                metrics, report = session.look()
            session.seconds = time.perf_counter() - began
            about = (metrics, report, session.seconds, session.model, losses)
            step = Step(session.step, losses[-1], *about)
            if folder and metrics:
                folder.report(step)
            try:
                yield step
            except GeneratorExit:
                if folder:
                    session.check_weights()
                    folder.save(session.snapshot())
                raise
            began = time.perf_counter() - session.seconds
        if folder:
            folder.finish(session)
    except TrainingError as error:
        kept = f"; {folder.kept()}" if folder else ""
        raise TrainingError(
            f"{error}; a smaller learning_rate or clip = 1 may help{kept}."
        ) from None
    except Exception as error:
        if folder:
            folder.leave(error)
        raise
    finally:
        if folder:
            folder.close()
