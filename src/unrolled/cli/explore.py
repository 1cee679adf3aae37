"""`unrolled explore`: a page, or its data, out of trained runs."""

from __future__ import annotations

import argparse
import json
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from unrolled import recipes
from unrolled.cli.refusals import Parser, Refusal, need
from unrolled.estimators.opened import open_trained
from unrolled.explorer.explorable import Explorable, ExplorerError
from unrolled.explorer.pages import page_of
from unrolled.explorer.tracing import trace
from unrolled.files.whole import check_place
from unrolled.training import Recipe, runs

__all__ = ["explorables", "explore"]

DESCRIPTION = (
    "Write one page that holds a trained network and computes it as you type, drag and reach in: "
    "no server, no network. Two runs stand side by side."
)


def explore(arguments: list[str]) -> int:
    """`unrolled explore`."""
    need("safetensors")
    parser = Parser(prog="unrolled explore", description=DESCRIPTION)
    try:
        return run(options_from(parser, arguments))
    except ExplorerError as error:
        raise Refusal(str(error)) from error


def options_from(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """The flags of `unrolled explore`."""
    parser.add_argument("folders", metavar="DIR", type=Path, nargs="+", help="the runs' folders")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where the page goes (DIR/explorer.html)"
    )
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument(
        "--json", action="store_true", help="print every gate at every step instead, as JSON"
    )
    parser.add_argument(
        "--input", default="", metavar="TEXT", help="what is read, of --json: such as '11 + 6'"
    )
    parser.add_argument("--trust", action="store_true", help=runs.TRUST)
    return parser.parse_args(arguments)


def _names(folders: Sequence[Path]) -> list[str]:
    """A short name for each run: where it lies on this machine is nobody's business."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def explorables(folder: Path, name: str, trust: bool = False) -> list[tuple[Explorable, str, str]]:
    """A run's networks, each with the run's name and what it is; ``trust``: see `open_run`.

    Raises
    ------
    RunError, RecipeError, ExplorerError
        If the folder is no run, or its recipe has nothing to explore.
    """
    trained = open_trained(folder, trust)
    config, recipe, model, data = trained
    if not trust:
        for path in data:  # a stranger's run may name any file of the reader's
            print(f"data from {runs.printable(str(path))}", file=sys.stderr)
    found = recipe.explorer(model)
    if not found:
        able = [
            n for n in recipes.names() if recipes.find(n).recipe.explorer is not Recipe.explorer
        ]
        raise ExplorerError(
            f"{folder} is a run of {config.recipe}, which the explorer cannot show: its Recipe has "
            f"no method explorer(model), as those of {', '.join(able)} have."
        )
    told = []
    for one in found:
        stack = one.stack()
        count = sum(lstm.num_layers for lstm in stack)
        layers = f"{count} layers of " if count > 1 else ""
        units = f"{layers}{stack[0].hidden_size} units"
        # Of several networks in one page each is named; one alone says here which it is.
        own = f"{units}; {one.name}" if one.name and len(found) == 1 else units
        told.append((one, name, f"{Path(config.recipe).stem}, {own}"))
    return told


def run(options: argparse.Namespace) -> int:
    """Do what was asked; returns the exit status.

    Raises
    ------
    RunError, RecipeError, ExplorerError, OSError
    """
    names = _names(options.folders)
    out = options.out or options.folders[0] / "explorer.html"
    if not options.json and options.folders[0].is_dir():  # else it is no run, which is told below
        check_place(out)
    networks = [
        one
        for folder, name in zip(options.folders, names, strict=True)
        for one in explorables(folder, name, options.trust)
    ]
    if options.json:
        traces = [{"run": where, **trace(one, options.input)} for one, where, _ in networks]
        json.dump(runs.finite({"networks": traces}), sys.stdout, allow_nan=False)
        print()
        return 0
    if options.input:
        raise ExplorerError("--input goes with --json: in the page the input is typed.")
    title = " and ".join(names)
    page = page_of(title, networks)
    page.save(out)
    print(f"{out}: {len(page.html.encode()) / 1e6:.2f} MB, opens in any browser")
    if options.open:
        webbrowser.open(out.resolve().as_uri())
    return 0
