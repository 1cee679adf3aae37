"""The command line's flags, out of a recipe's fields; what tyro says amiss, in one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from unrolled.cli.failures import DEBUG
from unrolled.errors import UnrolledError
from unrolled.errors.expected import ending
from unrolled.errors.mistakes import place_of

__all__ = ["FlagError", "parse"]


class FlagError(UnrolledError, ValueError):
    """A flag that is not known, or whose value is not what it takes."""


def parse(
    recipe: type[Any], arguments: Sequence[str], *, prog: str, description: str, default: Any = None
) -> Any:
    """Read a recipe's flags and those of `unrolled train`.

    Parameters
    ----------
    recipe : type
        A dataclass; each field is a flag, and the words under it are its help.
    arguments : sequence of str
        What was typed.
    prog, description : str
        For the help.
    default : recipe, optional
        The values of the flags that were not typed; None: those of the fields.

    Returns
    -------
    object
        With the attributes ``recipe``, ``published``, ``out``, ``resume``, ``save_every``,
        ``plain`` and ``threads``.

    Raises
    ------
    FlagError
        In one sentence.
    """
    import tyro

    options = _options(recipe, default)
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            parsed, unknown = tyro.cli(
                options,
                args=arguments,
                prog=prog,
                description=description,
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if stop.code == 0 or place_of(stop) is not None:  # --help, or the recipe's own
            raise
        raise FlagError(f"{_sentence(box.getvalue())}; see `{prog} --help`.") from None
    if unknown:
        raise FlagError(_unknown(unknown[0], recipe, options, prog))
    return parsed


def _options(recipe: type[Any], default: Any) -> type[Any]:
    import tyro

    def flag(kind: Any, words: str) -> Any:
        return Annotated[kind, tyro.conf.arg(help=words)]

    switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
    fields = Annotated[recipe, tyro.conf.OmitArgPrefixes]  # type: ignore[valid-type]
    values = (fields,) if default is None else (fields, default)
    return dataclasses.make_dataclass(
        "Options",
        [
            ("recipe", *values),
            (
                "published",
                flag(switch, "The document's own hyperparameters; a flag given beside it wins."),
                False,
            ),
            (
                "out",
                flag(
                    Path | None,
                    "The run's folder; runs/RECIPE, or the next runs/RECIPE-2, … if not given.",
                ),
                None,
            ),
            (
                "resume",
                flag(
                    switch,
                    "Go on with the run in --out (else the latest of this recipe) from its last "
                    "checkpoint; a larger --steps goes further.",
                ),
                False,
            ),
            (
                "save_every",
                flag(float, "Seconds from one checkpoint to the next; 0: every step."),
                1.0,
            ),
            (
                "plain",
                flag(
                    switch,
                    "Every update through autograd and torch.optim, also where the kernel could "
                    "make it.",
                ),
                False,
            ),
            (
                "threads",
                flag(
                    int | None,
                    "Threads for torch and the kernels: 1, or those of the run resumed, if not "
                    "given. Small networks gain nothing from more; the same number, the same bits.",
                ),
                None,
            ),
            ("debug", flag(switch, f"{DEBUG[0].upper()}{DEBUG[1:]}."), False),  # taken out before
        ],
    )


def _unknown(word: str, recipe: type[Any], options: type[Any], prog: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is one word too many: flags begin with --; see `{prog} --help`."
    fields = [*dataclasses.fields(recipe), *dataclasses.fields(options)]
    flags = ["--" + field.name.replace("_", "-") for field in fields if field.name != "recipe"]
    meant = ending(word.split("=")[0], flags)
    return f"{word} is not a flag of this recipe: expected one of `{prog} --help`{meant}"


def _sentence(box: str) -> str:
    """The first words in tyro's box of words."""
    lines = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines():
        inside = line.strip("│ ")
        if inside.startswith("╭"):
            continue
        if not inside or inside[0] in "─╰" or inside.startswith("For full helptext"):
            break
        if inside.strip("-"):
            lines.append(inside)
    sentence = " ".join(lines).rstrip(".") or "the flags could not be understood"
    return sentence.partition("Error parsing recipe: ")[2] or sentence
