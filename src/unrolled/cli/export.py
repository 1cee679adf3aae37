"""`unrolled export`: a run's network as a file that something else runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from unrolled.cli.refusals import Parser, Refusal, need
from unrolled.estimators.opened import open_trained
from unrolled.export.targets import TARGETS, write
from unrolled.files.whole import check_place
from unrolled.training import runs

__all__ = ["export"]

DESCRIPTION = (
    "Write a run's network, with its weights, as a file that runs without Python or with another "
    "library. It holds the LSTM and its linear output: how a recipe scales what is read, or turns "
    "words and symbols into numbers, is not in it. What a target cannot say, it declines."
)


def export(arguments: list[str]) -> int:
    """`unrolled export`."""
    found = _options(arguments)
    need("safetensors")
    _, recipe, model, _ = open_trained(found.folder, trust=found.trust)
    path = _place(found.out, found.folder, found.to)
    network = _chosen(recipe.exported(model), found.network, found.folder)
    for written in write(network, found.to, path):
        print(written)
    return 0


def _place(out: Path | None, folder: Path, target: str) -> Path:
    """Where it goes: into the run's folder, if nothing else is said."""
    suffix = TARGETS[target].suffix
    alone = sum(one.suffix == suffix for one in TARGETS.values()) == 1
    path = out or folder / f"{'network' if alone else target}{suffix}"
    if path.parent.resolve() == folder.resolve() and path.name in (*runs.FILES, runs.DATA):
        raise Refusal(f"--out {path} is a file of the run itself: give another name.")
    if path.suffix != suffix:
        raise Refusal(f"--out {path} does not end in {suffix}, as a file of {target} does.")
    check_place(path)
    return path


def _chosen(networks: Mapping[str, nn.Module], name: str | None, folder: Path) -> nn.Module:
    """The network that is meant, of those in a run."""
    there = ", ".join(networks)
    if name is None:
        if len(networks) > 1:
            raise Refusal(f"{folder} holds the networks {there}: say which, by --network NAME.")
        return next(iter(networks.values()))
    if name not in networks:
        raise Refusal(f"--network {name!r} is not in {folder}: expected one of {there}.")
    return networks[name]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="unrolled export",
        description=DESCRIPTION,
        epilog="Targets: " + "; ".join(f"{name}, {t.summary}" for name, t in TARGETS.items()) + ".",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run's folder")
    parser.add_argument("--to", choices=TARGETS, required=True, help="what is written")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where it goes (DIR/network… or DIR/TARGET…)"
    )
    parser.add_argument(
        "--network", metavar="NAME", help="which network, of a run that holds several"
    )
    parser.add_argument("--trust", action="store_true", help=runs.TRUST)
    return parser.parse_args(arguments)
