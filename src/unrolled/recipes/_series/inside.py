"""What the explorer and `show --plots` look at: one network, over the end of its series.

Of several that are averaged it is the first one heard that a page can compute, and that is said.

A run keeps the end of every series, so both answer without the file that it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.explorer import Explorable, Numbers, Output, Units, Window
from unrolled.files.columns import Floats, Integers
from unrolled.inside.passage import Passage
from unrolled.recipes._series.forecaster import Forecaster
from unrolled.recipes._series.member import Member
from unrolled.recipes._series.panel import Panel
from unrolled.recipes._series.predicting import batch_at
from unrolled.recipes._series.settings import described

__all__ = ["explorable", "passage", "shown"]

LONGEST = 400  # values of a series that a page holds
EXAMPLES = 12  # windows that a page offers


def shown(whole: Forecaster) -> tuple[Member, str]:
    """The network that is looked at, and what it is among those that there are; "": the only one.

    Values that are seen as ratios are no straight line on a page: such a network is not shown.
    """
    heard = [member for member in whole.speaking if not member.setting.bent]
    member = heard[0] if heard else whole.first
    if len(whole.each) == 1:
        return member, ""
    many = len(whole.speaking)
    which = described(member.setting)
    if not heard:
        return member, f"{which}: not among those that are heard, which see values as ratios"
    return member, which if many == 1 else f"{which}: one of {many} that are averaged"


def explorable(model: Member, panel: Panel, name: str = "") -> Explorable:
    """The network as a page shows it: one series alone can be drawn, of others windows are read.

    Raises
    ------
    ValueError
        If no window is whole, or it is longer than a page shows.
    """
    alone = model.groups == 1 and panel.values.shape[1] == 1 and not panel.ahead
    if alone and not model.setting.season and not model.setting.level:
        return _alone(model, panel, name)
    origins = _whole(model, panel)
    given = batch_at(panel, origins, model.setting.context, model.horizon)
    x, _, bases = model.inputs(*given)
    about = _units(model, bases, given[2], len(x))
    names = [_named(panel, int(origin)) for origin in origins]
    examples = {name: x[:, n] for n, name in enumerate(names)}
    low, high = float(x.min()), float(x.max())
    return Explorable(
        [model.lstm],
        _head(model),
        Numbers(
            _channels(panel, bool(model.setting.season)),
            examples,
            low,
            high,
            labels={n: _steps(model, panel, int(o)) for n, o in zip(names, origins, strict=True)},
            units=dict(zip(names, about, strict=True)),
        ),
        _output(model, panel.targets, None),
        name=name,
    )


def _channels(panel: Panel, season: bool = False) -> list[str]:
    """A word for each number that a network reads at a step, scaled as it is there."""
    names = [*panel.targets, *panel.past]
    if season:
        names += [f"{target}, over a season" for target in panel.targets]
    if panel.ahead:
        names += [*panel.ahead, "still to come"]
    return names + (list(panel.groups) if len(panel.groups) > 1 else [])


def _alone(model: Member, panel: Panel, name: str) -> Explorable:
    line = panel.timelines[0]
    values = panel.series(0)
    shown = _unbroken(values[-LONGEST:])
    first = max(len(values) - LONGEST, 0)
    seen = slice(first + shown.start, first + shown.stop)
    length = model.setting.window
    if seen.stop - seen.start < length:
        raise InvalidValueError(
            f"among the last {min(len(values), LONGEST)} values there are no {length} without a "
            "gap: the explorer has no window to show."
        )
    inputs = Window(
        values[seen].tolist(),
        list(line.labels[seen]),
        length,
        None if model.changes else model.mean.item(),
        model.scale.item(),
        panel.subject,
    )
    scale = model.target_scale.reshape(-1).tolist()
    output = _output(model, panel.targets, scale)
    return Explorable([model.lstm], _head(model), inputs, output, name=name)


def _unbroken(values: Floats) -> slice:
    """The longest stretch without a gap; of two, the later one."""
    edges = np.concatenate(([-1], np.flatnonzero(np.isnan(values)), [len(values)]))
    lengths = np.diff(edges)
    place = len(lengths) - 1 - int(lengths[::-1].argmax())
    return slice(int(edges[place]) + 1, int(edges[place + 1]))


def _head(model: Member) -> nn.Linear:
    """The output's rows, all medians first, then all lower ends and all upper ends."""
    q = max(len(model.quantiles), 1)
    rows = torch.arange(model.readout.out_features).reshape(-1, model.width, q)
    ends = [0, -1] if q > 1 else []
    order = torch.cat([rows[:, :, k].T.flatten() for k in (q // 2, *ends)])
    head = nn.Linear(model.readout.in_features, len(order), dtype=model.readout.weight.dtype)
    with torch.no_grad():
        head.weight.copy_(model.readout.weight[order])
        head.bias.copy_(model.readout.bias[order])
    return head


def _output(model: Member, targets: Sequence[str], scale: list[float] | None) -> Output:
    """What the rows of `_head` are called."""
    steps = 0 if model.reads_on else model.horizon
    several = model.width > 1 or model.reads_on
    names = [
        ", ".join(filter(None, (target if several else "", f"{n} ahead" if n else "")))
        for target in targets
        for n in (range(1, steps + 1) if steps else [0])
    ]
    interval = ""
    if len(model.quantiles) > 1:
        interval = f"{100 * (model.quantiles[-1] - model.quantiles[0]):g} %"
        ends = (f"{which} end of {interval}" for which in ("lower", "upper"))
        names += [f"{name}, {end}" for end in ends for name in names]
        scale = None if scale is None else scale * 3
    at = "every" if model.reads_on else "last"
    return Output("linear", names, at, scale, interval)  # type: ignore[arg-type]


def _units(model: Member, bases: Tensor, groups: Tensor | None, steps: int) -> list[Units]:
    """For each window, by how much and from where `_head`'s numbers count: in own units."""
    rows = len(groups) if groups is not None else bases.shape[1]
    scales = model.steps_scale(groups)  # [horizon, B or 1, targets]
    bases = bases.expand(model.horizon, rows, model.width)
    scales = scales.expand(model.horizon, rows, model.width)
    many = 3 if len(model.quantiles) > 1 else 1
    found = []
    for n in range(rows):
        base, scale = bases[:, n], scales[:, n]  # [horizon, targets]
        if not model.reads_on:
            base, scale = base.T.reshape(1, -1), scale.T.reshape(1, -1)
        first = steps - model.horizon if model.reads_on else 0
        found.append(Units(first, base.repeat(1, many).tolist(), scale.repeat(1, many).tolist()))
    return found


def _whole(model: Member, panel: Panel) -> Integers:
    """The last origin of each series, and those before it, whose windows have no blank."""
    length = model.setting.context
    steps = model.setting.window + (model.horizon if model.reads_on else 0)
    if steps > LONGEST:
        raise InvalidValueError(
            f"a window of {steps} steps is longer than the {LONGEST} that the explorer shows."
        )
    blank = np.concatenate(([0], np.cumsum(np.isnan(panel.values).any(1))))
    beyond = model.horizon if model.reads_on else 0
    found = []
    for start, count in zip(panel.starts, panel.counts, strict=True):
        ends = np.arange(start + length - 1, start + count - beyond)
        found.append(ends[blank[ends + 1] == blank[ends + 1 - length]][::-1])
    # One of each series in turn, the latest first.
    each = max(EXAMPLES // max(len(found), 1), 1)
    spread = [ends[:: max(len(ends) // each, 1)][:each] for ends in found]
    origins = np.concatenate(spread)[:EXAMPLES]
    if not len(origins):
        raise InvalidValueError(
            f"no window of {length} steps is without a gap at the end of {panel.subject}: the "
            "explorer has none to show."
        )
    return origins


def _named(panel: Panel, origin: int) -> str:
    """A window by its series and its last step."""
    group = int(panel.group_of[origin])
    when = f"to {panel.timelines[group].labels[origin - int(panel.starts[group])]}"
    return f"{panel.groups[group]} {when}".strip()


def _steps(model: Member, panel: Panel, origin: int) -> list[str]:
    """A word for every step that is read up to an origin, and beyond it what is still to come."""
    group = int(panel.group_of[origin])
    line, end = panel.timelines[group], origin + 1 - int(panel.starts[group])
    labels = list(line.labels[end - model.setting.window : end])
    return labels + (list(line.labels[end : end + model.horizon]) if model.reads_on else [])


def passage(model: Member, panel: Panel, name: str = "", most: int = 200) -> Passage:
    """The last windows of all series; behind each step, the value just read and its change."""
    which = f"the forecast of {name}" if name else "the forecast"
    length = model.setting.context
    beyond = model.horizon if model.reads_on else 0
    each = max(most // len(panel.groups), 1)
    found = [
        np.arange(start + length - 1, start + count - beyond)[::-1][:each]
        for start, count in zip(panel.starts, panel.counts, strict=True)
    ]
    origins = np.concatenate(found)
    if not len(origins):
        raise InvalidValueError(f"{panel.subject} keeps no window of {length} steps to look at.")
    given = batch_at(panel, origins, length, model.horizon)
    one = tuple(None if t is None else t[..., :1] if t.dim() == 1 else t[:, :1] for t in given)
    with torch.no_grad():
        read = model.inputs(*given)[0][..., 0]
        ahead = _median(model, one).item()
    at = len(read) - max(beyond, 1)  # where the first forecast is given
    return Passage(
        call=lambda: model.spread(*given),
        inputs=_steps(model, panel, int(origins[0])),
        outputs=[f"{ahead:.4g}" if t == at else "" for t in range(len(read))],
        followed=lambda: _median(model, one),
        following=which,
        properties={
            f"{panel.targets[0]}, as it is read" if panel.width > 1 else "the value": read,
            "its change": read.diff(dim=0, prepend=read[:1]),
        },
    )


def _median(model: Member, one: Sequence[Tensor | None]) -> Tensor:
    """The first forecast of one window: of quantiles, the median."""
    values, known, groups = one
    assert values is not None
    return model.spread(values, known, groups)[0, 0, 0, len(model.quantiles) // 2]
