"""Make the pictures and the numbers of docs/lstm.md again.

    .venv/bin/python docs/lstm/make.py            the pictures, and the numbers in the page
    .venv/bin/python docs/lstm/make.py --train    train the adder first

The adder that the page is about lies beside this file, as any run does.  The numbers are computed
from its weights in float64, so that they are the same on every machine; tests/test_docs.py holds
the page to them.
"""

from __future__ import annotations

import math
import re
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unrolled import training
from unrolled.equations import Gates, step
from unrolled.estimators.opened import open_trained
from unrolled.inside import intervention, units
from unrolled.inside.ablation import ablate
from unrolled.inside.inspection import Inspection
from unrolled.recipes._adder.carry import carries
from unrolled.recipes._adder.sums import Adder, add, bits_of, to_int
from unrolled.recipes._memory.recall import Recall, flow
from unrolled.recipes.adder import Recipe
from unrolled.training import runs

HERE = Path(__file__).parent
PAGE = HERE.parent / "lstm.md"
RUN = HERE / "adder"
RECIPE = Recipe(hidden=8, steps=1000, seed=0)
SUM = (11, 6)
FADING = ("elman", "vanilla", "carousel")
NAMES = {"elman": "Elman network", "vanilla": "forget gate", "carousel": "carousel of 1997"}
LENGTH = 50


class Taught(NamedTuple):
    """The adder, what was found in it, and the unit that is the carry."""

    model: Adder
    inspection: Inspection
    unit: int


@cache
def taught() -> Taught:
    """Open the run."""
    model = open_trained(RUN).model
    assert isinstance(model, Adder)
    inspection = Inspection(model, RECIPE.look(model)[0])
    assert inspection.search is not None
    return Taught(model, inspection, inspection.search.chosen[0].units[0])


# --- one cell's arithmetic ---


class Reading(NamedTuple):
    """Each step's pre-activations by their parts, gates and states, and what is said."""

    parts: list[dict[str, Tensor]]
    gates: list[Gates]
    logits: list[float]


def read(numbers: tuple[int, int], length: int) -> tuple[Tensor, Reading]:
    """Add two numbers in float64, by `unrolled.equations.step`."""
    model = taught().model
    lstm = model.recurrent
    w_ih, w_hh, b_ih, b_hh = (weight.detach().double() for weight in lstm.parameters())
    out, bias = (weight.detach().double() for weight in model.readout.parameters())
    x = bits_of(torch.tensor(numbers), length).double()
    h = c = torch.zeros(lstm.hidden_size, dtype=torch.float64)
    reading = Reading([], [], [])
    for x_t in x:
        parts = {"x": w_ih * x_t, "b": b_ih + b_hh, "h": w_hh @ h}
        gates = step(lstm.cell, parts["x"].sum(1) + parts["b"] + parts["h"], c)
        c, h = gates.c, gates.h
        reading.parts.append(parts)
        reading.gates.append(gates)
        reading.logits.append(float(out[0] @ h + bias[0]))
    return x, reading


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, as it stands in a sum."""
    return f"{'−' if value < 0 else '+'} {abs(value):.{digits}f}"


def plain(value: float, digits: int = 2) -> str:
    """A number, with a proper minus."""
    return f"{value:.{digits}f}".replace("-", "−")


def wrapped(value: float) -> str:
    """A factor of three digits, in brackets where it has a sign."""
    return f"({plain(value, 3)})" if value < 0 else plain(value, 3)


def arithmetic(t: int = 1) -> str:
    """E1–E6 of the carry's unit at one step, with the numbers."""
    unit, (_, reading) = taught().unit, read(SUM, 5)
    hidden = taught().model.recurrent.hidden_size
    gates, parts = reading.gates[t], reading.parts[t]
    before = float(reading.gates[t - 1].c[unit])
    lines = [f"unit {unit} at step {t}, where {SUM[0]} + {SUM[1]} has the bits 1 and 1", ""]
    lines.append(f"{'':10}{'W_ih x':^13}{'b':>7}{'W_hh h':>8}")
    for number, gate in enumerate("ifgo"):
        row = number * hidden + unit
        first, second = (float(value) for value in parts["x"][row])
        b, from_h = float(parts["b"][row]), float(parts["h"][row])
        total = first + second + b + from_h
        lines.append(
            f"    a_{gate} = {plain(first):>6} {signed(second)} {signed(b)} {signed(from_h)} = "
            f"{plain(total):>5}"
        )
    i, f, g, o, c, h = (float(value[unit]) for value in gates)
    lines += [
        "",
        f"E1  i  = σ(a_i)    = {plain(i, 3)}",
        f"E2  f  = σ(a_f)    = {plain(f, 3)}",
        f"E3  g  = tanh(a_g) = {plain(g, 3)}",
        f"E4  c' = f·c + i·g = {plain(f, 3)}·{wrapped(before)} + {plain(i, 3)}·{wrapped(g)}"
        f" = {plain(c, 3)}",
        f"E5  o  = σ(a_o)    = {plain(o, 3)}",
        f"E6  h' = o·tanh(c') = {plain(o, 3)}·{wrapped(math.tanh(c))} = {plain(h, 3)}",
    ]
    return "\n".join(lines)


def addition() -> str:
    """The whole sum, step by step: the carry's unit beside the carry."""
    unit, (x, reading) = taught().unit, read(SUM, 5)
    bits = x.long()
    out = carries(bits[:, :1], bits[:, 1:])[:, 0].tolist()
    lines = ["t  a  b  carry out      i      f      g      o       c       h   said"]
    for t, gates in enumerate(reading.gates):
        i, f, g, o, c, h = (plain(float(value[unit]), 2) for value in gates)
        said = int(reading.logits[t] > 0)
        a, b = bits[t].tolist()
        lines.append(
            f"{t}  {a}  {b}  {'yes' if out[t] else 'no':<9}  {i:>5}  {f:>5}  {g:>5}  {o:>5}"
            f"  {c:>6}  {h:>6}   {said}"
        )
    return "\n".join(lines)


# --- forgetting, and the gradient ---


def forgetting() -> str:
    """How long something lasts that is multiplied by f at every step."""
    lines = ["   f    half-life   left after 10 steps   after 100"]
    for f in (0.5, 0.731, 0.9, 0.99, 0.999, 1.0):
        life = units.half_life(torch.tensor([[f]], dtype=torch.float64)).item()
        said = "never" if life == float("inf") else f"{life:.1f}"
        lines.append(f"{f:<5}  {said:>9}   {f**10:>18.3f}   {f**100:>11.2g}")
    return "\n".join(lines)


@cache
def fading() -> dict[str, tuple[list[float], list[float]]]:
    """How much of the gradient of the last answer gets back, in networks that have learnt nothing.

    By name, the norms of ∂/∂h_t and ∂/∂c_t over 50 steps, each over its own at the last step.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(LENGTH, 100, generator=generator, dtype=torch.float64) * 2 - 1
    found = {}
    for name in FADING:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = Recall(name, 16, "torch", 1.0).double()
        h, c = flow(network, x)
        found[NAMES[name]] = ([d / h[-1] for d in h], [d / c[-1] for d in c])
    return found


def faded() -> str:
    """The shares that reach some steps back."""
    back = (1, 10, 20, 40)
    lines = ["steps back                 " + "".join(f"{n:>9}" for n in back)]
    for name, (h, c) in fading().items():
        norms, state = (c, "c") if c else (h, "h")
        shares = "".join(f"{norms[LENGTH - 1 - n]:>9.2g}" for n in back)
        lines.append(f"{name:<17} |∂/∂{state}_t| {shares}")
    return "\n".join(lines)


# --- the carry ---


def kill() -> str:
    """What is right without each unit."""
    found = taught().inspection.search
    assert found is not None
    intact = found.intact
    lines = ["without        sums with a carry   sums without"]
    lines.append(f"nothing        {intact.needing:>17.1%}   {intact.others:>12.1%}")
    for one in found.alone:
        mark = "   ← the carry" if one.units == (taught().unit,) else ""
        lines.append(
            f"unit {one.units[0]}         {one.needing:>17.1%}   {one.others:>12.1%}{mark}"
        )
    always = forced(True)
    lines.append(f"unit {taught().unit}, “carry” {always.needing:>16.1%}   {always.others:>12.1%}")
    return "\n".join(lines)


def forced(say: bool) -> Any:
    """The carry's unit always says "no", or always "yes"."""
    model, inspection, unit = taught()
    question = inspection.passage.question
    assert question is not None
    layer = inspection.layers[0]
    there = inspection.passage.properties["carry"]
    return ablate(model, layer.name, [unit], layer.seen, there, question, say=say)


def killed() -> str:
    """The page's sum, as it is said when the carry's unit is held."""
    model, inspection, unit = taught()
    seen, there = inspection.layers[0].seen, inspection.passage.properties["carry"]
    x = bits_of(torch.tensor(SUM), 5)
    a, b = x[:, :1], x[:, 1:]
    lines = []
    for words, flags in (("as it is", None), ("never a carry", ~there), ("always a carry", there)):
        held: list[int] = [] if flags is None else [unit]
        h, c = (
            units.mean_where(seen.values[name], there if flags is None else flags)[held]
            for name in "hc"
        )
        with torch.no_grad(), intervention.held(model, "recurrent.l0", held, h, c):
            said = (model(torch.stack((a, b), -1).float())[0][:, 0] > 0).long()
        bits = "".join(str(bit) for bit in reversed(said.tolist()))
        lines.append(f"{words:<14}  {SUM[0]} + {SUM[1]} = {to_int(said):>2}   {bits}")
    right = "".join(str(bit) for bit in reversed(add(a, b)[:, 0].tolist()))
    without = "".join(str(bit) for bit in reversed((a ^ b)[:, 0].tolist()))
    lines.append(f"the sum is {right}; without carries, bit by bit, it would be {without}")
    return "\n".join(lines)


def numbers() -> dict[str, str]:
    """Every block of numbers in the page, by its name."""
    return {
        "arithmetic": arithmetic(),
        "addition": addition(),
        "forgetting": forgetting(),
        "faded": faded(),
        "kill": kill(),
        "killed": killed(),
    }


def filled(page: str, blocks: dict[str, str]) -> str:
    """The page with its blocks of numbers put in anew."""
    for name, text in blocks.items():
        pattern = re.compile(rf"(<!-- numbers: {name} -->\n```text\n)(?:.*?\n)??(```)", re.DOTALL)
        page, count = pattern.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
        if count != 1:
            raise SystemExit(f"{PAGE.name} has {count} places for the numbers {name!r}, not one.")
    return page


def draw(folder: Path) -> list[Path]:
    """The page's pictures, light and dark."""
    from unrolled.cli.show import Easel
    from unrolled.pictures.curves import draw_flow
    from unrolled.pictures.toolkit import DARK, LIGHT

    _, inspection, unit = taught()
    paths = []
    for theme in (LIGHT, DARK):
        easel = Easel(folder, theme, "adder", theme is DARK)
        paths += list(easel.inside(inspection, unit, None))
        paths.append(
            draw_flow(
                fading(),
                easel.path("fading"),
                theme,
                following="the last error, over that at the end",
                title="before training: what gets back to step t",
            )
        )
    return paths


def main() -> None:
    """Train if asked, draw, and write the numbers into the page."""
    if "--train" in sys.argv[1:]:
        shutil.rmtree(RUN, ignore_errors=True)
        for _ in training.train(RECIPE, RUN):
            pass
        result = runs.read_result(RUN) or {}
        for name in ("resume.safetensors", ".lock", *result["pictures"]):
            (RUN / name).unlink()
        runs.write_result(RUN, result | {"pictures": []})
    for path in draw(HERE):
        print(path)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), numbers()), encoding="utf-8")


if __name__ == "__main__":
    main()
