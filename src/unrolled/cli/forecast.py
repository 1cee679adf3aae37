"""`unrolled forecast`: what comes after the end of a run's series, or of a new file's."""

from __future__ import annotations

import argparse
from pathlib import Path

from unrolled.cli.refusals import Parser, Refusal, need
from unrolled.errors.expected import at_least, check_flag
from unrolled.training import runs

__all__ = ["forecast"]

DESCRIPTION = (
    "Forecast what comes after the end of the series that a run of `unrolled train series` was "
    "trained on, with dates and intervals. The run holds what that needs: its file may be gone."
)


def forecast(arguments: list[str]) -> int:
    """`unrolled forecast`."""
    options = _options(arguments)
    need("safetensors", *(("matplotlib",) if options.out else ()))
    from unrolled.estimators.opened import open_forecaster
    from unrolled.recipes._series import future

    opened = open_forecaster(options.folder)
    panel = opened.panel(options.data, options.data_future)
    steps = options.steps or future.as_far(panel, opened.recipe.horizon) or 1
    ahead = opened.ahead(panel, steps)
    levels = opened.recipe.quantiles
    for line in (*panel.said, *future.table(panel, ahead, levels)):
        print(runs.printable(line))
    if steps > opened.recipe.horizon:
        print(
            f"It forecasts {opened.recipe.horizon} steps at once; what lies beyond is from its own "
            "forecasts, and the intervals there grow with theirs."
        )
    if options.out:
        future.write_csv(panel, ahead, levels, options.out)
        picture = future.draw(panel, ahead, levels, options.out.with_suffix(".png"))
        print(f"\n{options.out}\n{picture}")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(prog="unrolled forecast", description=DESCRIPTION)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run's folder")
    parser.add_argument(
        "--steps", type=int, metavar="N", help="how many steps: the run's horizon, if not given"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="go on from the end of this file, read alike"
    )
    parser.add_argument(
        "--data-future", type=Path, metavar="FILE", help="what --future names, for steps to come"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.csv",
        help="write every row into it, and a picture beside it",
    )
    options = parser.parse_args(arguments)
    try:
        if options.steps is not None:
            check_flag("--steps", options.steps, at_least(1))
    except ValueError as error:
        raise Refusal(str(error)) from error
    if options.out is not None and options.out.suffix.lower() != ".csv":
        raise Refusal(f"--out {options.out} makes no sense: expected a name that ends with .csv.")
    if options.out is not None:
        _check_places(options.out)
    return options


def _check_places(out: Path) -> None:
    from unrolled.files.whole import check_place

    check_place(out)
    check_place(out.with_suffix(".png"))
