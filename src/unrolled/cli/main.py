"""`unrolled`: train a recipe, look at a run, try what it has learnt; measure the layer.

Every failure is one sentence on standard error, with an exit status (`unrolled.cli.failures`).
"""

from __future__ import annotations

import argparse
import difflib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, NoReturn

from unrolled.cli.apply import apply
from unrolled.cli.check import check
from unrolled.cli.explore import explore
from unrolled.cli.export import export
from unrolled.cli.failures import DEBUG, debugged, ended, flush
from unrolled.cli.forecast import forecast
from unrolled.cli.refusals import RUNS, Parser, Refusal, need
from unrolled.cli.show import show
from unrolled.cli.train import train

__all__ = ["main", "process"]

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


class Command(NamedTuple):
    """A subcommand: how it is called, what it does, and the function that does it."""

    usage: str
    summary: str
    run: Callable[[list[str]], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words, debug = debugged(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _dispatch(words)
        flush()
        return status
    except BaseException as error:
        return ended(error, debug)


def process() -> NoReturn:
    """Run the command line as this process, which ends with its status."""
    status = main()
    if status in STOPPED:
        # Whoever asked for the end waits for it, and libraries take a second to tidy up.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if words else 2
    name = words[0]
    if name in ("-V", "--version"):
        print(f"unrolled {version('unrolled')} (torch {version('torch')})")
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
            f"  --debug  with any command: {DEBUG}.",
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

    Parser(prog="unrolled list", description=COMMANDS["list"].summary).parse_args(arguments)
    for name in recipes.names():
        file = recipes.find(name)
        print(f"{name:<10}  {file.summary}")
        print(f"{'':<10}  {file.source}")
    return 0


# --- try ------------------------------------------------------------------------------------


def attempt(arguments: list[str]) -> int:
    """`unrolled try`."""
    from unrolled.estimators import opened
    from unrolled.training import runs

    parser = Parser(
        prog="unrolled try",
        description=COMMANDS["try"].summary,
        epilog="For an adder: `unrolled try runs/adder 57 68`. Among ARGS, two words are not the "
        f"recipe's. --trust, {runs.TRUST}. --debug: {DEBUG}.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run's folder")
    parser.add_argument(
        "words", metavar="ARGS", nargs=argparse.REMAINDER, help="what the recipe takes"
    )
    rest = [word for word in arguments if word != "--trust"]  # which may stand anywhere
    found = parser.parse_args(rest)
    need("safetensors")
    _, recipe, model, _ = opened.open_trained(found.folder, trust=rest != arguments)
    print(recipe.attempt(model, found.words))
    return 0


# --- bench ----------------------------------------------------------------------------------


def measure(arguments: list[str]) -> int:
    """`unrolled bench`."""
    need("matplotlib")
    from unrolled import bench

    try:
        parser = Parser(prog="unrolled bench", description=COMMANDS["bench"].summary)
        options = bench.options_from(parser, arguments)
    except bench.BenchError as error:
        raise Refusal(str(error)) from error
    bench.run(options)
    return 0


# --- reproduce ------------------------------------------------------------------------------


def reproduce(arguments: list[str]) -> int:
    """`unrolled reproduce`."""
    need("matplotlib", "statsmodels")
    from unrolled.reproduce import command

    parser = Parser(prog="unrolled reproduce", description=COMMANDS["reproduce"].summary)
    return command(arguments, parser, RUNS)


# --- audit ----------------------------------------------------------------------------------


def audit(arguments: list[str]) -> int:
    """`unrolled audit`."""
    from unrolled.auditing import AuditError, command

    parser = Parser(prog="unrolled audit", description=command.DESCRIPTION)
    options = command.options_from(parser, arguments)
    if options.out is not None:
        need("matplotlib")
    try:
        return command.run(options)
    except AuditError as error:
        raise Refusal(str(error)) from error


COMMANDS: dict[str, Command] = {
    "list": Command("list", "the recipes there are", list_recipes),
    "train": Command("train RECIPE [flags]", "train a recipe, into a folder of its own", train),
    "show": Command("show DIR [--plots]", "a run's figures; what goes on inside it", show),
    "check": Command("check DIR", "whether each file of a run is as it was written", check),
    "try": Command("try DIR ARGS...", "put what a run has learnt to use", attempt),
    "forecast": Command("forecast DIR", "what comes after a series, with intervals", forecast),
    "apply": Command("apply DIR FILE", "play a file through what `signal` has learnt", apply),
    "explore": Command("explore DIR [DIR]", "a page to see inside a run, and to reach in", explore),
    "export": Command("export DIR --to TARGET", "a run's network as ONNX, C and others", export),
    "bench": Command("bench [flags]", "time the layer beside torch's and others", measure),
    "reproduce": Command("reproduce [NAME...]", "every published figure beside ours", reproduce),
    "audit": Command("audit [FILE]", "what is wrong with your pass or layer, or theirs", audit),
}
