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
    target = TARGETS[found.to]
    path: Path = found.out or found.folder / f"network{target.suffix}"
    check_place(path)
    _, recipe, model, _ = open_trained(found.folder, trust=found.trust)
    network = _chosen(recipe.exported(model), found.network, found.folder)
    for written in write(network, found.to, path):
        print(written)
    return 0


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
        "--out", type=Path, metavar="FILE", help="where it goes (DIR/network and the target's end)"
    )
    parser.add_argument(
        "--network", metavar="NAME", help="which network, of a run that holds several"
    )
    parser.add_argument("--trust", action="store_true", help=runs.TRUST)
    return parser.parse_args(arguments)
