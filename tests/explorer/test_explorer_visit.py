"""The explorer in a real browser: first visit, keys, touch, links, hostile runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch

import unrolled
from explorer_browser import AGAIN, Chromium, Opened, Visit
from explorer_needs import needs
from unrolled import LSTM, cli
from unrolled.cli.explore import explorables
from unrolled.training import checkpoint, runs

pytestmark = needs("chromium")

NASTY = """</script><img src=x onerror="alert('1')"><!--<script>&lt;\u2028 '"""


# --- the browser ---------------------------------------------------------------------------


def test_a_browser_that_was_killed_is_started_again_for_the_next_visit(
    browser: Chromium, folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    networks = [one for one, _, _ in explorables(folders["adder"], "adder")]

    def once() -> None:
        page = Opened(browser, folders["adder"] / "explorer.html", networks)
        page.check_values()
        page.close()

    once()
    assert AGAIN not in caplog.text
    before = browser.process()
    os.kill(before, signal.SIGKILL)
    once()
    assert browser.process() != before
    assert caplog.text.count(AGAIN) == 1
    once()
    assert caplog.text.count(AGAIN) == 1


def test_a_page_that_no_browser_opens_is_tried_twice(
    browser: Chromium, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Exception, match="ERR_FILE_NOT_FOUND"):
        Opened(browser, tmp_path / "nowhere.html", [])
    assert caplog.text.count(AGAIN) == 1


# --- the first visit ------------------------------------------------------------------------


def test_a_first_visitor_is_led_through_the_carry(visit: Visit) -> None:
    page = visit("adder", first_visit=True)
    page.page.wait_for_selector(".tour:not([hidden])")
    titles = []
    for n in range(5):
        assert page.text(".tour .quiet") == f"{n + 1} of 5"
        titles.append(page.text(".tour h2"))
        assert page.page.evaluate("document.activeElement.textContent") in ("Next", "Done")
        page.page.keyboard.press("Enter")
        page.settle()
    assert titles[0] == "11 + 6, bit by bit"
    assert titles[2] == f"Unit {page.state('unit')} remembers it"
    assert page.page.locator(".tour").is_hidden()
    # what the last step did is an ordinary change: the sum is broken until it is undone
    assert page.text(".editor .sum") != "17"
    page.page.click(".tool:has-text('Undo')")
    page.settle()
    assert page.text(".editor .sum") == "17"
    page.page.reload()
    page.page.wait_for_selector("#panel h2:not(:empty)")
    page.settle()
    assert page.page.locator(".tour").is_hidden()
    page.asked.pop()  # the reload


@pytest.mark.parametrize("name", ["adder", "text", "series", "memory"])
def test_the_tour_can_be_skipped_and_had_again(visit: Visit, name: str) -> None:
    page = visit(name, first_visit=True, width=390)
    page.page.wait_for_selector(".tour:not([hidden])")
    page.page.keyboard.press("Escape")
    assert page.page.locator(".tour").is_hidden()
    page.page.click("text=Show me round")
    for _ in range(4):
        page.page.click(".tour .primary")
        page.settle()
    page.page.click(".tour >> text=Skip")
    assert page.page.locator(".tour").is_hidden()
    page.check_values(text="11 6" if name == "adder" else "")


# --- everybody can use it -------------------------------------------------------------------


def test_everything_has_a_name_and_can_be_reached_by_keys(visit: Visit) -> None:
    page = visit("memory")
    for tab in ("watch", "cell", "reach", "gradient", "find", "compare"):
        page.tab(tab)
        nameless = page.page.evaluate(
            """() => [...document.querySelectorAll(
              "button, input, select, textarea, [tabindex='0'], [role=img], canvas[role]")]
            .filter((e) => e.checkVisibility() && !e.closest("[aria-hidden=true]"))
            .filter((e) => !(e.getAttribute("aria-label") ?? e.textContent ?? "").trim()
              && !e.labels?.length && !e.getAttribute("aria-labelledby"))
            .map((e) => e.outerHTML)"""
        )
        assert nameless == []
    page.page.focus("#tab-compare")
    page.page.keyboard.press("ArrowRight")
    page.settle()
    assert page.state("tab") == "watch"
    assert page.page.evaluate("document.activeElement.id") == "tab-watch"
    page.page.focus(".chart")
    before = page.state("input.rows[0][0]")
    page.page.keyboard.press("ArrowUp")
    page.settle()
    assert page.state("input.rows[0][0]") == pytest.approx(before + 0.04)
    assert "Step 0" in page.text("[role=status].unseen")


def test_a_map_is_walked_by_keys(visit: Visit) -> None:
    page = visit("adder")
    canvas = page.page.locator(".maps canvas[role]").nth(4)
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "Shift+ArrowDown"):
        page.page.keyboard.press(key)
    page.settle()
    assert (page.state("step"), page.state("unit")) == (1, 11)
    page.page.keyboard.press("End")
    page.settle()
    assert page.state("step") == 4
    assert "Step 4, unit 11" in canvas.get_attribute("aria-label")


def test_a_series_is_drawn_by_hand(visit: Visit) -> None:
    page = visit("series")
    box = page.page.locator(".chart").bounding_box()
    page.page.mouse.move(box["x"] + 46, box["y"] + 100)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 46, box["y"] + 40, steps=4)
    page.page.mouse.up()
    page.settle()
    assert page.text(".slide .quiet") == "drawn by hand"
    values = page.state("input.values")
    page.check_values(text=" ".join(map(repr, values)))
    page.page.fill("[aria-label='where in the series']", "7")
    page.settle()
    start = page.networks[0].inputs.values[7:17]  # type: ignore[attr-defined]
    assert page.state("input.values") == list(start)


def test_touch_and_a_narrow_screen(visit: Visit) -> None:
    page = visit("adder", width=390, has_touch=True, is_mobile=True)
    canvas = page.page.locator(".maps canvas[role]").nth(1)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.page.touchscreen.tap(box["x"] + box["width"] - 3, box["y"] + 3)
    page.settle()
    assert (page.state("step"), page.state("unit")) == (4, 0)
    for tab in ("watch", "cell", "reach", "gradient", "find", "compare"):
        page.tab(tab)
        wide = page.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, tab


def test_light_and_dark(visit: Visit) -> None:
    page = visit("adder", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.page.evaluate(ground)
    page.page.click("[aria-label='light or dark']")
    page.settle()
    light = page.page.evaluate(ground)
    assert dark != light
    page.page.emulate_media(color_scheme="light")
    page.settle()
    page.page.emulate_media(color_scheme="dark")
    page.settle()
    assert page.page.evaluate(ground) == dark


# --- links ----------------------------------------------------------------------------------


def test_a_link_keeps_the_input_and_what_was_changed(visit: Visit) -> None:
    page = visit("adder", permissions=["clipboard-read", "clipboard-write"])
    page.page.click("text=57 + 68")
    page.tab("reach")
    page.page.click(".act:has-text('f = 0')")
    page.settle()
    page.page.click("text=Copy link")
    page.page.wait_for_selector("text=The link is")
    link = page.page.evaluate("location.hash")
    other = visit("adder", fragment=link)
    for key in ("input", "changes", "tab", "step"):
        assert other.state(key) == page.state(key)
    other.check_values(text="57 68")


@pytest.mark.parametrize(
    "fragment",
    [
        "#%",
        "#null",
        "#" + quote(NASTY),
        "#" + quote('{"network": 9, "input": {"a": "<b>", "b": 3}, "step": -1, "unit": 1e9}'),
        "#"
        + quote('{"changes": [{"kind": "clamp", "layer": 0, "gate": "__proto__"}], "tab": "x"}'),
        "#" + quote('{"__proto__": {"tab": "cell"}, "target": {"step": 99, "output": 99}}'),
    ],
)
def test_a_link_from_anybody_is_harmless(visit: Visit, fragment: str) -> None:
    page = visit("adder", fragment=fragment)
    page.check_values(text="11 6")
    assert page.state("changes") == []


# --- hostile runs ---------------------------------------------------------------------------


def _tags(page: Opened) -> list[int]:
    count = "[...['script', 'img', 'b', 'iframe']].map((t) => document.querySelectorAll(t).length)"
    found: list[int] = page.page.evaluate(count)
    return found


def test_a_text_full_of_tags_is_text(browser: Chromium, tmp_path: Path) -> None:
    story = tmp_path / "story.txt"
    story.write_text((NASTY + "\n") * 60, encoding="utf-8")
    folder = tmp_path / """run "><b>'&"""
    words = ["--hidden", "4", "--layers", "1", "--steps", "3", "--learning-on", "0"]
    assert cli.main(["train", "text", "--data", str(story), *words, "--out", str(folder)]) == 0
    assert cli.main(["explore", str(folder)]) == 0
    page = Opened(browser, folder / "explorer.html", [explorables(folder, "")[0][0]])
    page.page.on("dialog", lambda dialog: page.complaints.append("a dialog"))
    assert page.text(".run") == folder.name
    page.page.fill("textarea", NASTY)
    for tab in ("watch", "cell", "reach", "gradient", "find", "compare"):
        page.tab(tab)
        assert _tags(page) == [2, 0, 0, 0], tab
    page.check_values(text=NASTY)
    assert page.page.evaluate("unrolled.trace().steps.join('')") == NASTY
    page.close()


def test_a_column_with_a_nasty_name_is_a_name(browser: Chromium, tmp_path: Path) -> None:
    name = """<b onclick="x">'y'"""
    data = tmp_path / "d.csv"
    rows = [f"{np.sin(n / 3):.4f},{1900 + n}" for n in range(80)]
    data.write_text('"' + name.replace('"', '""') + '",when\n' + "\n".join(rows) + "\n")
    folder = tmp_path / "run"
    words = ["series", "--data", str(data), "--column", name, "--time", "when", "--steps", "2"]
    assert cli.main(["train", *words, "--out", str(folder)]) == 0
    assert cli.main(["explore", str(folder)]) == 0
    page = Opened(browser, folder / "explorer.html", [explorables(folder, "")[0][0]])
    assert name in page.page.get_attribute(".chart", "aria-label")
    assert "19" in page.text(".step .number")
    assert _tags(page) == [2, 0, 0, 0]
    page.check_values()
    page.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(
    browser: Chromium, folders: dict[str, Path], tmp_path: Path, value: float
) -> None:
    folder = Path(shutil.copytree(folders["adder"], tmp_path / "run"))
    weights = checkpoint.read_weights(folder / runs.WEIGHTS)
    weights["recurrent.weight_hh_l0"][0, 0] = value
    checkpoint.write_weights(folder / runs.WEIGHTS, weights)
    assert cli.main(["explore", str(folder)]) == 0
    (net,) = [one for one, _, _ in explorables(folder, "")]
    page = Opened(browser, folder / "explorer.html", [net])
    assert "1 of this network’s weights are not finite" in page.text(".broken")
    ours = page.page.evaluate("unrolled.trace().layers[0].i.map((row) => row.map(String))")
    gates = net.stack()[0].trace(net.inputs.read("").x)
    np.testing.assert_allclose(np.array(ours, float), gates.i.detach().numpy(), atol=1e-5)
    for tab in ("watch", "cell", "reach", "gradient", "find", "compare"):
        page.tab(tab)
    if np.isnan(value):
        assert "not a number" in page.text(".editor")
    page.close()


def test_a_page_made_from_python(browser: Chromium, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 3, generator=generator)
    page = unrolled.explore(
        LSTM(3, 6, num_layers=2, cell="coupled"),
        x,
        beside=LSTM(3, 4, cell="carousel"),
        title=NASTY,
    )
    opened = Opened(browser, page.save(tmp_path / "p.html"), page.networks)
    opened.check_values(0)
    opened.check_values(1)
    for tab in ("watch", "cell", "reach", "gradient", "find", "compare"):
        opened.tab(tab)
    opened.check_gradient(0)
    opened.page.click(".segments [data-value='1']:has-text('layer 1')")
    opened.settle()
    assert opened.state("layer") == 1
    opened.tab("cell")
    opened.page.fill("input.list", "1 2 3, -1 0 0.5")
    opened.settle()
    opened.check_values(0, "1 2 3, -1 0 0.5")
    opened.close()


def test_in_a_notebook_the_page_runs_in_a_frame_that_reaches_nothing(
    browser: Chromium, tmp_path: Path
) -> None:
    page = unrolled.explore(LSTM(2, 3), torch.zeros(4, 2))
    (tmp_path / "notebook.html").write_text(
        f"<!doctype html><meta charset=utf-8><title>n</title>{page._repr_html_()}", encoding="utf-8"
    )
    context = browser.new_context()
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto((tmp_path / "notebook.html").as_uri())
    frame = tab.frame_locator("iframe")
    frame.locator(".map").nth(5).wait_for()
    assert frame.locator(".map").count() == 6
    frame.locator("#tab-reach").click()
    frame.locator("text=f = 0").first.click()
    frame.locator(".chip").wait_for()  # a frame's own drawing takes its time
    assert frame.locator(".chip").count() == 1
    frame.locator("text=Copy link").click()
    frame.locator("text=The link").wait_for()
    assert complaints == []
    context.close()


def test_what_the_page_says_is_valid_json_too(visit: Visit) -> None:
    page = visit("text")
    assert json.loads(json.dumps(page.page.evaluate("unrolled.trace()")))["steps"]
