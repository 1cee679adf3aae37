"""`unrolled train`: a recipe, its flags, and its steps one after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unrolled.cli.failures import is_memory
from unrolled.cli.refusals import RUNS, Refusal, need
from unrolled.cli.report import describe
from unrolled.errors.expected import Expected, between, check_flag
from unrolled.steps.stepping import MOST_THREADS

if TYPE_CHECKING:
    from unrolled.recipes import RecipeFile
    from unrolled.training import Recipe
    from unrolled.training.runs import Config

__all__ = ["train"]

NO_SIZES = ("seed", "steps", "report_every")  # whole numbers of a recipe that take no memory
_SAVE_EVERY = Expected("0 or more", lambda seconds: seconds >= 0)  # inf: at the end alone

_TRAIN_HELP = """usage: unrolled train RECIPE [--published] [--out DIR] [--resume] [flags]

Train a recipe. RECIPE is a name or the path of a .py file that defines Recipe:
{recipes}

  unrolled train RECIPE --help  shows the recipe's own flags."""


def train(arguments: list[str]) -> int:
    """`unrolled train`."""
    import torch

    from unrolled import recipes

    if not arguments or arguments[0].startswith("-"):
        if arguments[:1] in (["-h"], ["--help"]):
            lines = [f"  {name:<10} {recipes.find(name).summary}" for name in recipes.names()]
            print(_TRAIN_HELP.format(recipes="\n".join(lines)))
            return 0
        raise Refusal(
            "train needs a recipe as its first word: `unrolled train RECIPE [flags]`; "
            f"there are {', '.join(recipes.names())}."
        )
    need("tyro", "rich", "safetensors", "matplotlib")
    name, flags = arguments[0], arguments[1:]
    file = recipes.find(name)
    options = _options(file, name, flags)
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        return _train(name, options)
    finally:
        torch.set_num_threads(before)


def _train(name: str, options: Any) -> int:
    from unrolled import training
    from unrolled.training.runs import free_folder

    recipe = options.recipe
    folder = options.out
    try:
        training.check(recipe)
        folder = folder or free_folder(RUNS, Path(name).stem)
        often, plain = options.save_every, options.plain
        steps = training.train(recipe, folder, options.resume, save_every=often, plain=plain)
        again = f"unrolled train {shlex.quote(name)} --resume --out {shlex.quote(str(folder))}"
        return _follow(steps, recipe.steps, folder, again)
    except Exception as error:
        if options.out is None and folder is not None:
            with contextlib.suppress(OSError):  # it holds something
                folder.rmdir()
        if is_memory(error):
            raise Refusal(_too_much(recipe)) from error
        raise


def _too_much(recipe: Recipe) -> str:
    """The sentence that refuses sizes that cannot be had, with those that are not the recipe's."""
    given = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    own = {f.name: f.default for f in dataclasses.fields(recipe)}
    sizes = [
        f"--{name.replace('_', '-')} {value}"
        for name, value in given.items()
        if type(value) is int and value != own[name] and name not in NO_SIZES
    ]
    asked = f" {' '.join(sizes)}" if sizes else " this recipe"
    return f"there is not enough memory for{asked}: take smaller sizes."


def _options(file: RecipeFile, name: str, flags: list[str]) -> Any:
    """The flags; those not typed are the recipe's, the published or the resumed run's."""
    from unrolled.cli.flags import FlagError, parse
    from unrolled.training import runs

    def read(default: Any = None) -> Any:
        try:
            return parse(
                file.recipe,
                flags,
                prog=f"unrolled train {name}",
                description=f"{file.summary}\n\nSource: {file.source or 'not given'}.",
                default=default,
            )
        except FlagError as error:
            raise Refusal(str(error)) from error

    options = read()
    threads = 1 if options.threads is None else options.threads
    try:
        check_flag("--threads", threads, between(1, MOST_THREADS))
        check_flag("--save-every", options.save_every, _SAVE_EVERY)
    except ValueError as error:
        raise Refusal(str(error)) from error
    if options.resume:
        if options.out is None:
            options.out = runs.latest_folder(RUNS, Path(name).stem)
        if options.out is None:
            raise Refusal(f"there is no run of {name} in {RUNS}/ to resume: name one with --out.")
        out = options.out
        if out.is_dir() and runs.is_empty(out):
            # What it was to learn is not on record; the recipe's own settings would be a guess.
            raise Refusal(
                f"{out} is empty, so there is nothing to go on with: a run that was killed in its "
                f"first moment is begun again with its flags, without --resume."
            )
        stored = runs.read_config(out)
        _same_recipe(stored, name, out)
        options = read(runs.decode_fields(file.recipe, stored.fields))
        options.out = out
        if options.threads is None:
            threads = stored.threads
    if options.published:
        out = options.out
        options = read(options.recipe.published())
        options.out = out
    options.threads = threads
    return options


def _same_recipe(stored: Config, name: str, folder: Path) -> None:
    ours = str(Path(name).resolve()) if name.endswith(".py") else name
    if stored.recipe != ours:
        raise Refusal(f"{folder} is a run of {stored.recipe}, not of {ours}.")


def _follow(steps: Generator[Any], total: int, folder: Path, again: str) -> int:
    """Take the steps; stop at the first Ctrl-C, between two of them or within a second."""
    from unrolled.cli import interrupts

    print(f"{folder}: {total:,} steps", flush=True)
    last = None
    finished = False
    with interrupts.caught() as stop:
        try:
            for step in _told(steps, total):
                last = step
                if stop:
                    break
            else:
                finished = True
        except interrupts.GivenUp:
            pass
        stop.heard()
        steps.close()
    if not finished:
        reached = "before the first step" if last is None else f"after step {last.step:,}"
        print(f"Stopped {reached} of {total:,}. To go on:\n  {again}")
        return 128 + stop.number
    if last is None:
        print(f"This run was finished already; a larger --steps goes further:\n  {again} --steps …")
    print(describe(folder, trained=last is not None))
    return 0


def _told(steps: Generator[Any], total: int) -> Generator[Any]:
    """The steps, of which is told how they go."""
    from unrolled.cli import progress

    first = next(steps, None)
    if first is None:
        return
    with progress.telling(total, first.step - 1) as teller:
        teller.tell(first)
        yield first
        for step in steps:
            teller.tell(step)
            yield step
