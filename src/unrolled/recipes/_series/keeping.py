"""The end of every series as a run keeps it, so that it can be gone on with without the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from unrolled.files.columns import Floats
from unrolled.files.spacing import Spacing
from unrolled.files.timeline import Clock, Timeline
from unrolled.recipes._series.panel import Panel, Strand, joined
from unrolled.recipes._series.settings import Setting

__all__ = ["kept", "revived"]

STRETCH = 200  # values beyond the last window: pictures begin with them, and windows end there


def kept(panel: Panel, context: int, settings: Sequence[Setting]) -> dict[str, Any]:
    """A tree of tensors and words: the last values of each series, and what the networks are."""
    rows = context + STRETCH
    return {
        "targets": list(panel.targets),
        "past": list(panel.past),
        "ahead": list(panel.ahead),
        "subject": panel.subject,
        "settings": [dataclasses.asdict(setting) for setting in settings],
        "series": [_series(panel, group, rows) for group in range(len(panel.groups))],
    }


def _series(panel: Panel, group: int, rows: int) -> dict[str, Any]:
    count = int(panel.counts[group])
    end = int(panel.starts[group]) + count
    first = end - min(rows, count)
    after = [*panel.starts.tolist(), len(panel.values)][group + 1]
    return {
        "name": panel.groups[group],
        "values": torch.from_numpy(panel.values[first:end].copy()),
        "known": torch.from_numpy(panel.known[first:after].copy()),
        "time": _time(panel.timelines[group], end - first),
    }


def _time(line: Timeline, rows: int) -> dict[str, Any]:
    clock = line.clock
    if clock is None:
        places = torch.from_numpy(np.asarray(line.places, dtype=np.float64)[-rows:].copy())
        return {"name": line.name, "places": places, "labels": list(line.labels[-rows:])}
    start = clock.at(np.array([len(line) - rows]))[0]
    dates = np.asarray(start).dtype.kind == "M"
    spacing = clock.spacing
    return {
        "name": line.name,
        "style": clock.style,
        "start": int(start.astype("datetime64[us]").astype(np.int64)) if dates else float(start),
        "spacing": None
        if spacing is None
        else [float(spacing.count), spacing.unit, spacing.anchor],
    }


def revived(tree: Mapping[str, Any], horizon: int) -> Panel:
    """The panel that `kept` made a tree of.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError, IndexError
        If it is no such tree.
    """
    targets, past, ahead = (tuple(map(str, tree[name])) for name in ("targets", "past", "ahead"))
    strands = [_strand(one, len(targets) + len(past), len(ahead)) for one in tree["series"]]
    room = max(horizon, *(len(strand.known) - len(strand.values) for strand in strands))
    return joined(strands, targets, past, ahead, room, str(tree["subject"]))


def _strand(one: Mapping[str, Any], columns: int, ahead: int) -> Strand:
    values, known = _floats(one["values"], columns), _floats(one["known"], ahead)
    return Strand(str(one["name"]), _line(one["time"], len(values)), values, known)


def _floats(tensor: torch.Tensor, columns: int) -> Floats:
    if tensor.dtype != torch.float64 or tensor.dim() != 2 or tensor.shape[1] != columns:
        raise ValueError("its series are no columns of float64")
    found: Floats = tensor.numpy()
    return found


def _line(time: Mapping[str, Any], count: int) -> Timeline:
    if "places" in time:
        labels = [str(label) for label in time["labels"]]
        if len(labels) != count or time["places"].shape != (count,):
            raise ValueError("its times are not as many as its values")
        return Timeline(labels, time["places"].numpy(), str(time["name"]))
    start = time["start"]
    begin: Any = np.datetime64(start, "us") if isinstance(start, int) else np.float64(start)
    spacing = None
    if time["spacing"] is not None:
        length, unit, anchor = time["spacing"]
        spacing = Spacing(length if unit == "number" else int(length), str(unit), int(anchor))
    return Timeline.of_clock(Clock(begin, spacing, str(time["style"]), str(time["name"])), count)
