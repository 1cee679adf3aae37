"""`unrolled`: train a recipe, look at a run, try what it has learnt; measure the layer.

What the user gets wrong is answered in one sentence on standard error, with exit status 2.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import shlex
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from unrolled.recipes import RecipeFile
    from unrolled.training.runs import Config

__all__ = ["main"]

RUNS = Path("runs")
MOST_THREADS = 1024  # with too many, OpenMP ends the process without a word


class Refusal(Exception):
    """What the user asked cannot be done, in one sentence."""


class Command(NamedTuple):
    """A subcommand: how it is called, what it does, and the function that does it."""

    usage: str
    summary: str
    run: Callable[[list[str]], int]


class _Parser(argparse.ArgumentParser):
    """argparse, but refusing in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise Refusal(f"{message}; see `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    from unrolled.recipes import RecipeError
    from unrolled.training.runs import RunError

    try:
        return _dispatch(words)
    except (Refusal, RecipeError, RunError) as error:
        print(f"unrolled: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `unrolled … | head`
            sys.stderr.close()
            return 141
        print(f"unrolled: {error.filename or 'a file'}: {error.strerror}.", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"unrolled: there is not enough memory for that: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("unrolled: stopped at once.", file=sys.stderr)
        return 130
    except SystemExit as stop:  # --help
        return int(stop.code or 0)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if words else 2
    name = words[0]
    if name in ("-V", "--version"):
        import torch

        from unrolled import __version__

        print(f"unrolled {__version__} (torch {torch.__version__})")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}."
        raise Refusal(f"{name!r} is not a command: {hint}")
    return COMMANDS[name].run(words[1:])


def _help() -> str:
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"  unrolled {c.usage:<{width}}  {c.summary}" for c in COMMANDS.values()]
    return "\n".join(
        [
            "An LSTM you can read, check and see inside.",
            "",
            *lines,
            "",
            "  unrolled COMMAND --help  tells more; unrolled --version tells the version.",
            "",
            "For example:",
            "  unrolled train adder",
            "  unrolled try runs/adder 57 68",
        ]
    )


# --- list -----------------------------------------------------------------------------------


def list_recipes(arguments: list[str]) -> int:
    """`unrolled list`."""
    from unrolled import recipes

    _Parser(prog="unrolled list", description=COMMANDS["list"].summary).parse_args(arguments)
    for name in recipes.names():
        file = recipes.find(name)
        print(f"{name:<10}  {file.summary}")
        print(f"{'':<10}  {file.source}")
    return 0


# --- train ----------------------------------------------------------------------------------

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
            known = [f"  {name:<10} {recipes.find(name).summary}" for name in recipes.names()]
            print(_TRAIN_HELP.format(recipes="\n".join(known)))
            return 0
        raise Refusal(
            "train needs a recipe as its first word: `unrolled train RECIPE [flags]`; "
            f"there are {', '.join(recipes.names())}."
        )
    _need("tyro", "rich", "safetensors", "matplotlib")
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

    folder = options.out
    try:
        training.check(options.recipe)
        if folder is None:
            from unrolled.training.runs import free_folder

            folder = free_folder(RUNS, Path(name).stem)
        often, plain = options.save_every, options.plain
        steps = training.train(
            options.recipe, folder, options.resume, save_every=often, plain=plain
        )
    except ValueError as error:
        if options.out is None and folder is not None:
            folder.rmdir()  # made for this run, and still empty
        raise Refusal(str(error)) from error
    again = f"unrolled train {shlex.quote(name)} --resume --out {shlex.quote(str(folder))}"
    return _follow(steps, options.recipe.steps, folder, again)


def _options(file: RecipeFile, name: str, flags: list[str]) -> Any:
    """The flags; those not typed are the recipe's, the published or the resumed run's."""
    from unrolled.flags import FlagError, parse
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
    if not 1 <= threads <= MOST_THREADS:
        raise Refusal(f"--threads {threads} makes no sense: expected 1 to {MOST_THREADS}.")
    if not options.save_every >= 0:
        raise Refusal(f"--save-every {options.save_every} makes no sense: expected 0 or more.")
    if options.resume:
        if options.out is None:
            options.out = runs.latest_folder(RUNS, Path(name).stem)
        if options.out is None:
            raise Refusal(f"there is no run of {name} in {RUNS}/ to resume: name one with --out.")
        out = options.out
        if not (out.is_dir() and runs.is_empty(out)):
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
    """Take the steps; stop at the first Ctrl-C, between two of them."""
    from unrolled import interrupts, progress
    from unrolled.training import TrainingError

    print(f"{folder}: {total:,} steps", flush=True)
    last = None
    try:
        with interrupts.caught() as caught:
            first = next(steps, None)
            if first is not None:
                with progress.telling(total, first.step - 1) as teller:
                    last = first
                    teller.tell(first)
                    while not caught and (step := next(steps, None)) is not None:
                        last = step
                        teller.tell(step)
            stopped = caught[0] if caught and last is not None else 0
            if stopped and last is not None and last.step < total:
                steps.close()
                print(f"Stopped after step {last.step:,} of {total:,}. To go on:\n  {again}")
                return 128 + stopped
    except TrainingError as error:
        print(f"unrolled: {error}", file=sys.stderr)
        return 1
    if last is None:
        print(f"This run was finished already; a larger --steps goes further:\n  {again} --steps …")
    return show([str(folder)])


def _need(*modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise Refusal(
            f"this needs {' and '.join(missing)}: pip install 'unrolled[cli]' brings all of it."
        )


# --- show and try ---------------------------------------------------------------------------


def show(arguments: list[str]) -> int:
    """`unrolled show`."""
    from unrolled import showing

    parser = _Parser(prog="unrolled show", description=COMMANDS["show"].summary)
    options = showing.options_from(parser, arguments)
    if options.plots:
        _need("matplotlib", "safetensors")
    return showing.run(options)


def attempt(arguments: list[str]) -> int:
    """`unrolled try`."""
    from unrolled import trained
    from unrolled.training import runs

    parser = _Parser(
        prog="unrolled try",
        description=COMMANDS["try"].summary,
        epilog="For an adder: `unrolled try runs/adder 57 68`. A word --trust among ARGS is not "
        f"the recipe's: {runs.TRUST}.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run's folder")
    parser.add_argument(
        "words", metavar="ARGS", nargs=argparse.REMAINDER, help="what the recipe takes"
    )
    rest = [word for word in arguments if word != "--trust"]  # which may stand anywhere
    found = parser.parse_args(rest)
    _need("safetensors")
    _, recipe, model = trained.open_run(found.folder, trust=rest != arguments)
    try:
        print(recipe.attempt(model, found.words))
    except ValueError as error:
        raise Refusal(str(error)) from error
    return 0


# --- bench ----------------------------------------------------------------------------------


def measure(arguments: list[str]) -> int:
    """`unrolled bench`."""
    _need("matplotlib")
    from unrolled import bench

    try:
        parser = _Parser(prog="unrolled bench", description=COMMANDS["bench"].summary)
        options = bench.options_from(parser, arguments)
    except bench.BenchError as error:
        raise Refusal(str(error)) from error
    try:
        bench.run(options)
    except bench.BenchError as error:
        print(f"unrolled: {error}", file=sys.stderr)
        return 1
    return 0


# --- reproduce ------------------------------------------------------------------------------


def reproduce(arguments: list[str]) -> int:
    """`unrolled reproduce`."""
    _need("matplotlib", "statsmodels")
    from unrolled.reproduce import command

    parser = _Parser(prog="unrolled reproduce", description=COMMANDS["reproduce"].summary)
    return command(arguments, parser, RUNS)


# --- audit ----------------------------------------------------------------------------------


def audit(arguments: list[str]) -> int:
    """`unrolled audit`."""
    from unrolled.auditing import AuditError, command

    parser = _Parser(prog="unrolled audit", description=command.DESCRIPTION)
    options = command.options_from(parser, arguments)
    if options.out is not None:
        _need("matplotlib")
    try:
        return command.run(options)
    except AuditError as error:
        raise Refusal(str(error)) from error


# --- explore --------------------------------------------------------------------------------


def explore(arguments: list[str]) -> int:
    """`unrolled explore`."""
    _need("safetensors")
    from unrolled.explorer import ExplorerError, command

    parser = _Parser(prog="unrolled explore", description=command.DESCRIPTION)
    try:
        return command.run(command.options_from(parser, arguments))
    except ExplorerError as error:
        raise Refusal(str(error)) from error


COMMANDS: dict[str, Command] = {
    "list": Command("list", "the recipes there are", list_recipes),
    "train": Command("train RECIPE [flags]", "train a recipe, into a folder of its own", train),
    "show": Command("show DIR [--plots]", "a run's figures; what goes on inside it", show),
    "try": Command("try DIR ARGS...", "put what a run has learnt to use", attempt),
    "explore": Command("explore DIR [DIR]", "a page to see inside a run, and to reach in", explore),
    "bench": Command("bench [flags]", "time the layer beside torch's and others", measure),
    "reproduce": Command("reproduce [NAME...]", "every published figure beside ours", reproduce),
    "audit": Command("audit [FILE]", "what is wrong with a backward pass: yours, or theirs", audit),
}
