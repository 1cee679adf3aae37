"""`unrolled show`: a run in words, and with ``--plots`` what goes on inside it, in pictures."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unrolled.cli import report
from unrolled.cli.refusals import Parser, need
from unrolled.files.whole import check_place, make_folder
from unrolled.training import runs

if TYPE_CHECKING:
    from unrolled.inside.inspection import InspectedLayer, Inspection
    from unrolled.pictures.toolkit import Theme

__all__ = ["Easel", "ShowError", "options_from", "run", "show"]

FOLDER = "plots"
MOST_LAYERS = 4  # that are drawn unless one is asked for


class ShowError(runs.RunError):
    """What was asked cannot be shown, in one sentence."""


def show(arguments: list[str]) -> int:
    """`unrolled show`."""
    parser = Parser(prog="unrolled show", description="A run's figures; what goes on inside it.")
    options = options_from(parser, arguments)
    if options.plots:
        need("matplotlib", "safetensors")
    return run(options)


def options_from(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Read what was typed.

    Raises
    ------
    ShowError
        If it makes no sense together.
    """
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run's folder")
    parser.add_argument(
        "--plots",
        action="store_true",
        help="draw what goes on inside: gates and states, memory, gradients, what units track",
    )
    parser.add_argument(
        "--unit",
        type=int,
        metavar="N",
        help="draw this unit, counted from 0: over a text, or as lines",
    )
    parser.add_argument(
        "--layer", metavar="L", help="of this layer: a number from 0, or its name in the model"
    )
    parser.add_argument("--dark", action="store_true", help="on a dark ground")
    parser.add_argument("--out", metavar="PATH", type=Path, help="the folder for them: DIR/plots")
    parser.add_argument("--trust", action="store_true", help=runs.TRUST)
    options = parser.parse_args(list(arguments))
    for name in ("unit", "layer", "dark", "out"):
        if getattr(options, name) not in (None, False) and not options.plots:
            raise ShowError(f"--{name} says what is drawn and how: add --plots.")
    return options


def run(options: argparse.Namespace) -> int:
    """Say what the run is, and draw what was asked for."""
    print(report.describe(options.folder))
    if options.plots:
        for line in _draw_all(options):
            print(line, flush=True)
    return 0


def _draw_all(options: argparse.Namespace) -> Iterator[str]:
    """Lines to print: what was found, then the pictures, each when it is there."""
    from unrolled.estimators.opened import open_trained
    from unrolled.inside.inspection import Inspection
    from unrolled.pictures.toolkit import DARK, LIGHT

    out = options.folder / FOLDER if options.out is None else options.out
    check_place(out, folder=True, files=[picture.name for picture in out.glob("*.png")])
    trained = open_trained(options.folder, options.trust)
    theme = DARK if options.dark else LIGHT
    inspections = [
        Inspection(trained.model, passage) for passage in trained.recipe.look(trained.model)
    ]
    _check(inspections, options)
    make_folder(out)
    yield ""
    if not options.trust:
        yield from (f"  data from {runs.printable(str(path))}" for path in trained.data)
    for inspection in inspections:
        name = inspection.passage.name
        yield from (f"  {f'{name}: ' if name else ''}{line}" for line in inspection.summary())
    yield ""
    yield "inside:"
    easel = Easel(out, theme, Path(trained.config.recipe).stem, options.dark)
    yield f"  {easel.learning(options.folder, trained)}"
    for inspection in inspections:
        for path in easel.inside(inspection, options.unit, options.layer):
            yield f"  {path}"
    for path in easel.together(inspections):
        yield f"  {path}"


def _check(inspections: list[Inspection], options: argparse.Namespace) -> None:
    """Raise, before anything is drawn, where what is asked for is not there."""
    from unrolled.inside.intervention import UnitError

    if not any(inspection.layers for inspection in inspections):
        raise ShowError(
            f"{options.folder} holds no unrolled.LSTM that ran: there are no units to draw; "
            "without --plots it is shown in words."
        )
    try:
        for inspection in inspections:
            layer = inspection.layer(options.layer)
            if options.unit is not None and layer is not None:
                layer.check(options.unit)
    except UnitError as error:
        raise ShowError(str(error)) from error


class Easel:
    """Where pictures go, and how they look."""

    def __init__(self, folder: Path, theme: Theme, recipe: str, dark: bool) -> None:
        self.folder, self.theme, self.recipe = folder, theme, recipe
        self.end = "_dark" if dark else ""

    def path(self, *words: str) -> Path:
        """A file for a picture of that name."""
        name = "_".join(re.sub(r"\W+", "_", word).strip("_") for word in words if word)
        return self.folder / f"{name}{self.end}.png"

    def title(self, *words: str) -> str:
        """What stands above a picture."""
        return ": ".join([", ".join(filter(None, (self.recipe, *words[:-1]))), words[-1]])

    def learning(self, folder: Path, trained: Any) -> Path:
        """How it learned, with what was published."""
        from unrolled import recipes
        from unrolled.pictures.curves import draw_learning

        history = runs.read_metrics(folder)
        known = [name for name in (history[-1] if history else {}) if name not in _NOT_FIGURES]
        published = {}
        if trained.recipe.comparable:
            for one in reversed(recipes.find(trained.config.recipe).published):
                published[one.metric] = (one.value, _short(one.what))
        shown = [name for name in published if name in known] or known[:1]
        return draw_learning(
            history,
            self.path("learning"),
            self.theme,
            metrics=shown[:3],
            published=published,
            title=self.title("learning"),
        )

    def inside(self, found: Inspection, unit: int | None, layer: str | None) -> Iterator[Path]:
        """What the layers did, and what they track."""
        from unrolled.pictures.findings import draw_search, draw_tracking

        passage, who = found.passage, found.passage.name
        asked = found.layer(layer)
        for one in found.layers[:MOST_LAYERS] if layer is None else [asked]:
            if one is not None:
                yield self.states(found, one)
        if passage.properties:
            yield draw_tracking(
                {
                    name: [(_named(t.layer, t.unit), t.r) for t in found.tracking(name)]
                    for name in passage.properties
                },
                self.path("tracking", who),
                self.theme,
                title=self.title(who, "the units that best track"),
            )
        if passage.question is not None and found.search is not None:
            yield draw_search(
                found.search,
                passage.question,
                self.path(passage.question.property, who),
                self.theme,
                title=self.title(who, f"the units that are the {passage.question.property}"),
            )
        yield from self.units(found, unit, asked)

    def states(self, found: Inspection, layer: InspectedLayer) -> Path:
        """Gates, cell and hidden state of the first sequence."""
        from unrolled.pictures.states import draw_states

        passage = found.passage
        return draw_states(
            {name: values[:, 0].double().numpy() for name, values in layer.seen.values.items()},
            self.path("states", passage.name, layer.label),
            self.theme,
            inputs=passage.inputs,
            outputs=passage.outputs,
            there=_there(found),
            title=self.title(passage.name, layer.label, "gates, cell and hidden state"),
        )

    def units(
        self, found: Inspection, unit: int | None, layer: InspectedLayer | None
    ) -> Iterator[Path]:
        """The unit that was asked for, or those that are of interest by themselves."""
        chosen: dict[tuple[str, int], tuple[InspectedLayer, str]] = {}
        if unit is not None:
            if layer is not None:
                chosen[layer.name, unit] = (layer, "")
        elif found.search is not None:
            for one in found.search.chosen[-1].units:
                chosen[found.layers[0].name, one] = (found.layers[0], "")
        elif found.passage.text:
            for property in found.passage.properties:
                for best in found.tracking(property, most=1):
                    note = f"r = {best.r:.2f} with {property}".replace("-", "−")
                    chosen.setdefault((best.layer.name, best.unit), (best.layer, note))
        for (_, number), (of, note) in chosen.items():
            yield self.unit(found, of, number, note)

    def unit(self, found: Inspection, layer: InspectedLayer, unit: int, note: str) -> Path:
        """One unit, over a text or as lines."""
        from unrolled.pictures.states import draw_text, draw_unit

        passage = found.passage
        path = self.path("unit", passage.name, layer.label, str(unit))
        name = _named(layer, unit)
        if passage.text:
            return draw_text(
                passage.inputs,
                layer.memory[:, 0, unit].double().numpy(),
                path,
                self.theme,
                title=self.title(passage.name, f"{name}, tanh(c) behind each token"),
                note=note,
            )
        return draw_unit(
            {
                letter: values[:, 0, unit].double().numpy()
                for letter, values in layer.seen.values.items()
            },
            path,
            self.theme,
            inputs=passage.inputs,
            there=_there(found),
            title=self.title(passage.name, name),
        )

    def together(self, inspections: list[Inspection]) -> Iterator[Path]:
        """How long units remember, and how the gradient fades, of all networks of the run."""
        from unrolled.pictures.curves import draw_flow, draw_half_lives

        lives = {
            ", ".join(filter(None, (found.passage.name, label))): life.double().numpy()
            for found in inspections
            for label, life in found.half_lives.items()
        }
        if lives:
            yield draw_half_lives(
                lives,
                self.path("half_lives"),
                self.theme,
                title=self.title("how long its units remember"),
            )
        groups: dict[tuple[str, int], dict[str, Any]] = {}
        names: dict[tuple[str, int], list[str]] = {}
        for found in inspections:
            for label, flow in found.flow.items():
                who = found.passage.name
                key = (found.passage.following, len(flow[0]))
                groups.setdefault(key, {})[", ".join(filter(None, (who, label)))] = flow
                names.setdefault(key, []).append(who)
        for (following, steps), flows in groups.items():
            word = names[following, steps][0] if len(groups) > 1 else ""
            yield draw_flow(
                flows,
                self.path("flow", word),
                self.theme,
                following=following,
                title=self.title(word, "what gets back to step t"),
            )


_NOT_FIGURES = ("step", "loss", "seconds")


def _short(text: str) -> str:
    """The part of a description before its first comma: it has to fit a legend."""
    return text.partition(",")[0]


def _named(layer: InspectedLayer, unit: int) -> str:
    return ", ".join(filter(None, (layer.label, f"unit {unit}")))


def _there(found: Inspection) -> Mapping[str, Any]:
    """The properties of yes and no along the first sequence."""
    return {
        name: values[:, 0].double().numpy()
        for name, values in found.passage.properties.items()
        if not values.dtype.is_floating_point and values.dtype.itemsize == 1
    }
