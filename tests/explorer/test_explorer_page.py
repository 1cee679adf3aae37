"""The explorer in a real browser, activities 1 to 4, on runs of four recipes, against Python."""

from __future__ import annotations

import pytest
import torch

from explorer_browser import RUNS, Visit, number, typed
from explorer_needs import needs

pytestmark = needs("chromium")


@pytest.mark.parametrize("name", RUNS)
def test_type_and_watch(visit: Visit, name: str) -> None:
    page = visit(name)
    page.check_values()
    text = typed(page, name)
    found = page.check_values(text=text)
    steps = len(found["values"])
    assert page.page.locator(".step").count() == steps
    # a click in the map of h: the lowest row, the last column
    page.page.locator(".maps canvas[role]").nth(5).scroll_into_view_if_needed()
    box = page.page.locator(".maps canvas[role]").nth(5).bounding_box()
    page.page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2)
    page.settle()
    hidden = page.networks[0].stack()[0].hidden_size
    assert (page.state("step"), page.state("unit")) == (steps - 1, hidden - 1)
    h = found["layers"][0]["h"][-1][-1].item()
    assert number(page.text(".maps .map:nth-child(6) .map-value").split(":")[-1]) == pytest.approx(
        h, abs=6e-4
    )
    # hover tells a value without choosing it
    page.page.mouse.move(box["x"] + 2, box["y"] + 2)
    said = page.text(".maps .map:nth-child(6) .map-value")
    assert said.startswith("step 0, unit 0: ")
    assert number(said.split(":")[1]) == pytest.approx(
        found["layers"][0]["h"][0][0].item(), abs=6e-4
    )
    assert page.state("step") == steps - 1
    # sorted by c at this step, and searched
    page.page.click(".segments [data-value=c]")
    page.settle()
    rows = page.page.locator(".units tbody tr")
    values = [number(row.locator("td").nth(4).inner_text()) for row in rows.all()]
    assert values == sorted(values, reverse=True)
    page.page.fill("input[type=search]", "2 0")
    page.settle()
    assert rows.count() == 2
    page.page.fill("input[type=search]", "f > 0.5")
    page.settle()
    open_gates = (found["layers"][0]["f"][-1] > 0.5).sum().item()
    assert rows.count() == open_gates


def test_what_is_wrong_is_said_and_changes_nothing(visit: Visit) -> None:
    page = visit("adder")
    page.page.locator(".editor input").first.fill("1e9")
    page.settle()
    assert "two whole numbers" in page.text(".editor .wrong")
    assert page.state("input") == {"a": "11", "b": "6"}
    page.page.locator(".editor input").first.fill("12")
    page.settle()
    assert page.text(".editor .wrong") == ""
    assert page.state("input") == {"a": "12", "b": "6"}


def test_the_sum_is_read_off(visit: Visit) -> None:
    page = visit("adder")
    page.page.click("text=127 + 1")
    page.settle()
    assert page.text(".editor .sum") == "128"
    assert page.text(".editor .verdict") == "right"
    page.page.click("text=two at random")
    page.settle()
    assert page.text(".editor .verdict") == "right"


@pytest.mark.parametrize("name", RUNS)
def test_one_cell_with_its_arithmetic(visit: Visit, name: str) -> None:
    page = visit(name)
    page.tab("cell")
    page.page.locator(".strip-steps").focus()
    for _ in range(2):
        page.page.keyboard.press("ArrowRight")
    page.page.locator(".maps canvas[role]").first.focus()
    page.page.keyboard.press("ArrowDown")
    found = page.check_values()
    assert (page.state("step"), page.state("unit")) == (2, 1)
    layer = found["layers"][0]
    for equation, gate in zip(("E1", "E2", "E3", "E4", "E5", "E6"), "ifgcoh", strict=True):
        shown = number(page.text(f"[data-equation={equation}] .eq-value"))
        assert shown == pytest.approx(layer[gate][2][1].item(), abs=6e-4)
    # E3 opened: the terms add up to what tanh takes
    page.page.click("[data-equation=E3] summary")
    total = number(page.text("[data-equation=E3] tfoot td:nth-child(4)"))
    assert torch.tanh(torch.tensor(total)).item() == pytest.approx(
        layer["g"][2][1].item(), abs=2e-3
    )
    terms = page.page.locator("[data-equation=E3] tbody tr td:nth-child(4)").all_inner_texts()
    assert sum(map(number, terms)) == pytest.approx(total, abs=0.01)
    assert page.page.locator(".cell-drawing .flow").count() == 8


def test_the_flow_is_as_broad_as_its_value(visit: Visit) -> None:
    page = visit("adder")
    page.tab("cell")
    page.page.click(".step[data-step='3'] .number")
    page.settle()
    widths = page.page.evaluate(
        "[...document.querySelectorAll('.cell-drawing .flow')]"
        ".map((path) => parseFloat(path.style.strokeWidth) - 1.2)"
    )
    s = {key: values[3][0].item() for key, values in page.expected()["layers"][0].items()}
    c_in = page.expected()["layers"][0]["c"][2][0].item()
    c = s["c"]
    ratio = abs(c_in / c)
    assert widths[0] / widths[2] == pytest.approx(ratio, rel=1e-3)
    assert widths[1] / widths[2] == pytest.approx(abs(s["f"] * c_in / c), rel=1e-3)


@pytest.mark.parametrize("name", RUNS)
def test_reach_in(visit: Visit, name: str) -> None:
    page = visit(name)
    page.tab("reach")
    assert "Nothing is touched" in page.text(".effect")
    page.page.click(".act:has-text('f = 0')")
    page.check_values()
    assert page.state("changes")[0]["value"] == 0
    assert page.page.locator(".chip").count() == 1
    assert "Untouched" in page.text(".effect")
    # a slider, by its keys: many inputs, one thing to undo
    slider = page.page.locator("[aria-label='the value to clamp the gate to']")
    slider.focus()
    for _ in range(3):
        page.page.keyboard.press("ArrowRight")
    page.check_values()
    assert page.state("changes")[0]["value"] == pytest.approx(0.03)
    # one unit, from a step on: silenced; then its cell held, the carousel cut, a weight edited
    page.page.click(".segments [data-value=one]")
    page.page.click(".step[data-step='2'] .number")
    page.page.click(".segments [data-value=on]")
    page.page.click("text=Silence the unit")
    page.check_values()
    page.page.click("text=Hold the cell")
    page.check_values()
    page.page.click("text=Cut the carousel")
    page.check_values()
    page.page.select_option("[aria-label='from where']", index=2)
    page.page.fill("[aria-label='the weight’s value']", "-1.5")
    page.page.keyboard.press("Enter")
    page.check_values()
    kinds = [change["kind"] for change in page.state("changes")]
    assert kinds == ["clamp", "put", "hold", "cut", "weight"]
    # what it was like before, and how it differs
    page.page.click(".hands .segments [data-value=difference]")
    page.settle()
    for _ in range(4):
        page.page.click(".tool:has-text('Undo')")
    page.settle()
    assert [change["kind"] for change in page.state("changes")] == ["clamp"]
    page.check_values()
    page.page.keyboard.press("Control+z")
    page.settle()
    assert page.state("changes")[0]["value"] == 0
    page.page.click(".tool:has-text('Reset')")
    page.settle()
    assert page.state("changes") == []
    page.check_values()
    page.page.click(".tool:has-text('Undo')")
    page.settle()
    assert page.state("changes")[0]["value"] == 0


def test_a_weight_is_found_from_the_arithmetic_and_edited(visit: Visit) -> None:
    page = visit("adder")
    page.tab("cell")
    page.page.click(".step[data-step='2'] .number")
    page.page.locator(".maps canvas[role]").first.focus()
    page.page.keyboard.press("ArrowDown")
    page.settle()
    page.page.click("[data-equation=E2] summary")
    page.page.click("[aria-label='show the others']")
    assert page.page.locator("[data-equation=E2] tbody tr").count() == 2 + 1 + 16
    page.page.click("[aria-label='edit the weight from a']")
    page.settle()
    assert page.state("tab") == "reach"
    lstm = page.networks[0].stack()[0]
    learnt = lstm.weight_ih_l0[lstm.hidden_size + 1, 0].item()
    assert page.text(".weight .quiet") == (
        f"f of unit 1 ← input 0: learnt {learnt:.4f}".replace("-", "\N{MINUS SIGN}")
    )
    page.page.locator("[aria-label='the weight’s value, by a slider']").focus()
    page.page.keyboard.press("Home")
    page.check_values()
    (change,) = page.state("changes")
    assert (change["name"], change["row"], change["column"]) == (
        "weight_ih",
        lstm.hidden_size + 1,
        0,
    )
    # another unit: the same weight of that one; and the head's
    page.page.keyboard.press("Escape")
    page.page.locator(".maps canvas[role]").first.focus()
    page.page.keyboard.press("ArrowDown")
    page.settle()
    assert page.text(".weight .quiet").startswith("f of unit 2 ← input 0")
    page.page.select_option("[aria-label='into which gate']", value="head")
    page.page.fill("[aria-label='the weight’s value']", "3")
    page.page.keyboard.press("Enter")
    page.check_values()
    assert page.state("changes")[1] == {
        "kind": "weight",
        "layer": -1,
        "name": "head",
        "row": 0,
        "column": 2,
        "value": 3,
    }


def test_after_a_reset_the_maps_show_the_network_again(visit: Visit) -> None:
    page = visit("adder")
    page.tab("reach")
    shown = ".maps .map:nth-child(2) .map-value"
    before = page.text(shown)
    page.page.click(".act:has-text('f = 0')")
    page.page.click(".hands .segments [data-value=difference]")
    page.settle()
    assert number(page.text(shown)) == pytest.approx(-number(before), abs=2e-3)
    page.page.click(".tool:has-text('Reset')")
    page.settle()
    assert page.text(shown) == before


def test_a_clamp_is_seen_beside_the_untouched_output(visit: Visit) -> None:
    page = visit("adder")
    page.page.click("text=1023 + 1023")
    page.tab("reach")
    page.page.click(".act:has-text('o = 0')")
    page.settle()
    now, before, _ = page.page.locator(".versus dd").all_inner_texts()
    assert before == "2046"
    assert now != "2046"
    assert page.page.locator(".step.differs").count() > 0
    assert page.text(".strip-names").split() == ["step", "a", "b", "output", "untouched"]


@pytest.mark.parametrize("name", RUNS)
def test_what_mattered(visit: Visit, name: str) -> None:
    page = visit(name)
    text = typed(page, name)
    page.settle()
    page.tab("gradient")
    page.check_gradient(text=text)
    if name in ("adder", "text"):
        page.page.click(".step[data-step='4'] [data-output=output]")
        page.settle()
        assert page.page.evaluate("unrolled.store.target().step") == 4
    if name == "series":
        page.page.select_option("[aria-label='which output']", index=2)
        page.settle()
        assert page.page.evaluate("unrolled.store.target().output") == 2
    page.page.click(".step[data-step='1'] .number")
    theirs = page.check_gradient(text=text)
    shown = number(page.text("[data-gradient='∂/∂c, unit 0']"))
    assert shown == pytest.approx(theirs["layers"][0]["c"][1][0], abs=1e-4)
    # more forget bias: by its keys, and exact again
    slider = page.page.locator("[aria-label='move the bias of the forget gate']")
    slider.focus()
    for _ in range(10):
        page.page.keyboard.press("ArrowRight")
    theirs = page.check_gradient(text=text)
    assert page.state("changes") == [
        {"kind": "bias", "layer": 0, "gate": "f", "value": pytest.approx(1)}
    ]
    ribbon = page.text(".ribbon-row[data-quantity=c] .figure")
    norm = torch.tensor(theirs["layers"][0]["c"][1]).norm().item()
    assert number(ribbon.split(":")[1]) == pytest.approx(norm, abs=1e-4)
