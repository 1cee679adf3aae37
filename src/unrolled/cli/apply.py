"""`unrolled apply`: what a run's effect makes of a file of any length, written as another."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unrolled.cli.refusals import Parser, Refusal, need
from unrolled.files.whole import check_place

if TYPE_CHECKING:
    from unrolled.files.sound import SoundFile
    from unrolled.recipes._signal.network import SignalNetwork
    from unrolled.recipes._signal.reading import Numbers
    from unrolled.recipes.signal import Recipe

__all__ = ["apply"]

DESCRIPTION = (
    "Play a file of any length through what a run of `unrolled train signal` has learnt, block by "
    "block with the state carried on, and write what comes out. Sound becomes sound of the same "
    "rate and depth; a table becomes a .csv file with the columns that come out; .npy stays .npy. "
    "The file that is written is there when all of it is."
)


class _Written(NamedTuple):
    """What was written: its steps, and how many numbers lay beyond full scale."""

    steps: int
    clipped: int


def apply(arguments: list[str]) -> int:
    """`unrolled apply`."""
    options = _options(arguments)
    need("safetensors")
    from unrolled.estimators.opened import open_signal
    from unrolled.recipes._signal.reading import kind_of

    recipe, model = open_signal(options.folder)
    kind = kind_of(options.data)
    own = "sound" if recipe.signal.is_sound else "table"
    if (kind == "sound") != (own == "sound"):
        raise Refusal(
            f"{options.data.name} is {_a(kind)}, and {options.folder} has learnt from {_a(own)}: "
            "give a file like those."
        )
    _check_out(options)
    began = time.perf_counter()
    written = (_sound if kind == "sound" else _columns)(recipe, model, options)
    print(_told(written, recipe.signal.rate, time.perf_counter() - began))
    if written.clipped:
        print(
            f"{written.clipped:,} numbers lay beyond full scale and are clipped: --depth "
            "'32-bit float' keeps them."
        )
    print(options.out)
    return 0


def _a(kind: str) -> str:
    return {"sound": "sound", "array": "a NumPy file", "table": "a table"}[kind]


def _told(written: _Written, rate: int, seconds: float) -> str:
    """How much it was, and how fast it went."""
    if not rate:
        return f"{written.steps:,} steps in {seconds:.2f} s"
    length = written.steps / rate
    return f"{length:,.2f} s of sound in {seconds:.2f} s: {length / seconds:,.1f} times real time"


# --- sound ---


def _sound(recipe: Recipe, model: SignalNetwork, options: argparse.Namespace) -> _Written:
    from unrolled.files.sound import sound_blocks, sound_file, write_sound
    from unrolled.recipes._signal.network import stream

    found, own = sound_file(options.data), recipe.signal
    print(f"{options.data.name}: {found.told}")
    if found.rate != own.rate:
        raise Refusal(
            f"{options.data.name} has {found.rate:,} Hz and {options.folder} has learnt at "
            f"{own.rate:,} Hz: write the file again at {own.rate:,} Hz, or train on one of "
            f"{found.rate:,} Hz."
        )
    ins = len(own.names[0])
    each = ins == 1 and len(own.names[1]) == 1  # each channel by itself
    if found.channels != ins and not each:
        raise Refusal(
            f"{options.data.name} has {found.channels} of the {ins} channels that {options.folder} "
            "has learnt from: expected as many."
        )
    if each and found.channels > 1:
        print(f"each of the {found.channels} channels goes through the network by itself")
    pieces = sound_blocks(options.data, options.block)
    played = stream(model, pieces, side_by_side=each)
    depth = options.depth or _depth(found, options.out)
    clipped = write_sound(options.out, played, found.rate, depth)
    return _Written(found.length, clipped)


def _depth(found: SoundFile, out: Path) -> str:
    """The file's own depth, or where that cannot be written another, which is said."""
    from unrolled.files.sound import depths_of

    known = depths_of(out)
    if found.depth in known:
        return found.depth
    depth = "32-bit float" if "32-bit float" in known else "24-bit"
    print(f"{found.depth} cannot be written into {out.name}: it becomes {depth} (--depth)")
    return depth


# --- tables and arrays ---


def _columns(recipe: Recipe, model: SignalNetwork, options: argparse.Namespace) -> _Written:
    from unrolled.files.whole import replace_file
    from unrolled.recipes._signal.network import stream
    from unrolled.recipes._signal.reading import read_inputs

    ins, outs = recipe.signal.names
    values = read_inputs(options.data, ins, recipe)
    print(f"{options.data.name}: {len(values):,} steps of {', '.join(ins)}")
    pieces = (values[k : k + options.block] for k in range(0, len(values), options.block))
    played = stream(model, pieces)

    def write(beside: Path) -> None:
        if options.out.suffix.lower() == ".npy":
            with open(beside, "wb") as file:
                whole = np.concatenate(list(_finite(played)))
                np.lib.format.write_array(file, whole, allow_pickle=False)
        else:
            _write_csv(beside, outs, _finite(played))

    replace_file(options.out, write)
    return _Written(len(values), 0)


def _finite(pieces: Iterable[Numbers]) -> Iterator[Numbers]:
    at = 0
    for piece in pieces:
        bad = np.argwhere(~np.isfinite(piece))
        if len(bad):
            raise Refusal(f"step {at + bad[0][0]:,} comes out as no finite number: none is kept.")
        at += len(piece)
        yield piece


def _write_csv(beside: Path, names: tuple[str, ...], pieces: Iterable[Numbers]) -> None:
    import csv

    with open(beside, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(names)
        for piece in pieces:
            table.writerows([f"{value:.9g}" for value in row] for row in piece.tolist())


# --- what is typed ---


def _check_out(options: argparse.Namespace) -> None:
    """Refuse a place that cannot be written to, or that is the file itself, before the work."""
    from unrolled.files.sound import DEPTHS
    from unrolled.recipes._signal.reading import kind_of

    out, data = options.out, options.data
    if out.exists() and out.samefile(data):
        raise Refusal(f"--out {out} is what goes in: give another name.")
    if options.depth is not None and options.depth not in DEPTHS:
        raise Refusal(f"--depth {options.depth!r} is not known: expected {', '.join(DEPTHS)}.")
    if kind_of(data) != "sound":
        if options.depth is not None:
            raise Refusal(f"--depth is of sound, and {data.name} is none: leave it out.")
        if out.suffix.lower() not in (".csv", ".npy"):
            raise Refusal(f"--out {out} makes no sense: expected a name ending with .csv or .npy.")
    if out.exists() and out.parent.resolve() == options.folder.resolve():
        raise Refusal(f"--out {out} is a file of the run itself: give another name.")
    check_place(out)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(prog="unrolled apply", description=DESCRIPTION)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run's folder")
    parser.add_argument("data", metavar="FILE", type=Path, help="what goes in")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="where what comes out goes"
    )
    parser.add_argument(
        "--depth",
        metavar="DEPTH",
        help="of sound: how it is stored, such as 16-bit or '32-bit float'; that of FILE",
    )
    parser.add_argument(
        "--block",
        type=int,
        metavar="N",
        default=65_536,
        help="steps that are read at once (65,536), which changes no bit of what comes out",
    )
    options = parser.parse_args(arguments)
    if options.block < 1:
        raise Refusal(f"--block {options.block} makes no sense: expected 1 or more.")
    return options
