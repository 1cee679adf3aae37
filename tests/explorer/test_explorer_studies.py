"""The explorer in a real browser, activities 5 and 6: find the unit, compare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer_browser import RUNS, Chromium, Opened, Visit, number, typed
from explorer_needs import needs
from unrolled import cli
from unrolled.cli.explore import explorables
from unrolled.equations import step
from unrolled.explorer import Explorable

pytestmark = needs("chromium")


def _sums(net: Explorable, pairs: list[dict[str, Any]], changes: list[dict[str, Any]]) -> list[int]:
    """How many sums come out right, without a carry and with one, units put as the page does."""
    (lstm,) = net.stack()
    lstm.double()
    assert net.head is not None
    net.head.double()
    w = {name: weight.detach() for name, weight in lstm.named_parameters()}
    right = [0, 0]
    for pair in pairs:
        x = net.inputs.read(f"{pair['a']} {pair['b']}").x.double()
        total, said = pair["a"] + pair["b"], 0
        h = c = torch.zeros(lstm.hidden_size, dtype=torch.float64)
        for t, row in enumerate(x):
            a = w["weight_ih_l0"] @ row + w["bias_ih_l0"] + w["weight_hh_l0"] @ h + w["bias_hh_l0"]
            gates = step(lstm.cell, a, c)
            h, c = gates.h.clone(), gates.c.clone()
            for change in changes:
                h[change["unit"]], c[change["unit"]] = change["h"], change["c"]
            said |= int((net.head(h) > 0).item()) << t
        right[pair["carries"]] += said == total
    return right


def test_find_the_carry_and_kill_it(visit: Visit, folders: dict[str, Path]) -> None:
    page = visit("adder")
    page.tab("find")
    pairs = page.page.evaluate(
        """() => unrolled.store.memory.get('study 0')[1].samples.map(({ input: { a, b } }) =>
        ({ a: Number(a), b: Number(b), carries: (Number(a) & Number(b)) !== 0 }))"""
    )
    assert len(pairs) == 200

    def meters() -> list[int]:
        texts = page.page.locator(".meter .figure").all_inner_texts()
        return [int(text.split()[0]) for text in texts]

    untouched = meters()
    assert untouched == [sum(not p["carries"] for p in pairs), sum(p["carries"] for p in pairs)]
    kills = page.page.locator(".found .kill")
    r = [abs(number(text)) for text in page.page.locator(".found .figure").all_inner_texts()]
    assert r == sorted(r, reverse=True)
    assert r[0] > 0.8
    for n in range(sum(value > 0.6 for value in r)):
        kills.nth(n).click()
        page.settle()
    killed = meters()
    assert killed == _sums(page.networks[0], pairs, page.state("changes"))
    assert killed[0] == untouched[0]
    assert killed[1] < 0.2 * untouched[1]
    while page.state("changes"):
        page.page.click(".tool:has-text('Undo')")
        page.settle()
    assert meters() == untouched


@pytest.mark.parametrize("name", ["text", "series", "memory"])
def test_find_the_unit(visit: Visit, name: str) -> None:
    page = visit(name)
    page.tab("find")
    offered = page.page.locator("[aria-label='what to look for'] option").all_inner_texts()
    expected = {"text": "quotes", "series": "the value read", "memory": "the first number"}
    assert expected[name] in offered
    for n in range(len(offered)):
        page.page.select_option("[aria-label='what to look for']", index=n)
        page.settle()
        r = [number(text) for text in page.page.locator(".found .figure").all_inner_texts()]
        assert [abs(v) for v in r] == sorted((abs(v) for v in r), reverse=True)
        assert all(abs(v) <= 1 for v in r)
    before = page.page.locator(".meter .figure").all_inner_texts()
    for n in range(4):
        page.page.locator(".found .kill").nth(n).click()
        page.settle()
    assert page.page.locator(".meter .figure").all_inner_texts() != before
    page.check_values()
    if name == "text":
        assert page.page.locator(".passage span").count() > 200
    page.page.click(".tool:has-text('Reset')")
    page.settle()
    assert page.page.locator(".meter .figure").all_inner_texts() == before


def test_compare_networks_of_a_run(visit: Visit) -> None:
    page = visit("memory")
    assert len(page.networks) == 3
    page.tab("compare")
    for n in (1, 2):
        page.page.select_option("[aria-label='compare with']", value=str(n))
        page.settle()
        page.check_values(0)
        page.check_values(n)
        page.check_gradient(n)
        said = number(page.page.locator(".side .sum").nth(1).inner_text())
        found = page.expected(n)
        assert said == pytest.approx(found["values"][-1, 0].item(), abs=6e-4)
    # what is clamped is clamped in both
    page.tab("reach")
    page.page.click(".act:has-text('i = 0')")
    page.tab("compare")
    page.check_values(0)
    page.check_values(2)
    page.page.select_option("[aria-label='which network']", value="1")
    page.settle()
    assert page.state("network") == 1
    assert "carousel" in page.page.locator(".side h3").first.inner_text()
    page.tab("gradient")
    assert page.page.locator("[aria-label='move the bias of the forget gate']").is_disabled()


@pytest.mark.parametrize("name", ["adder", "text", "series"])
def test_compare_two_runs(
    browser: Chromium, folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    other = tmp_path / "other"
    words = [word if word != "60" else "20" for word in RUNS[name]]
    words[words.index("--steps") + 1] = "20"
    data = ["--data", str(folders["text"].parent / "story.txt")] if name == "text" else []
    assert cli.main(["train", *words, *data, "--seed", "1", "--out", str(other)]) == 0
    out = tmp_path / "both.html"
    assert cli.main(["explore", str(folders[name]), str(other), "--out", str(out)]) == 0
    networks = [explorables(folder, "")[0][0] for folder in (folders[name], other)]
    page = Opened(browser, out, networks)
    text = typed(page, name)
    page.tab("compare")
    page.check_values(0, text)
    page.check_values(1, text)
    page.check_gradient(1, text)
    heads = page.page.locator(".side h3").all_inner_texts()
    assert heads == [name, "other"]
    page.close()


def test_nothing_to_compare_is_said(visit: Visit) -> None:
    page = visit("adder")
    page.tab("compare")
    assert re.search("unrolled explore RUN OTHER_RUN", page.text(".panel"))
