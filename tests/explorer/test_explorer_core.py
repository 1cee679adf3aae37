"""The page's LSTM, run in node, against torch: E1–E6, the way back, and every kind of hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from explorer_cases import asked, cases, gradients, plain, sample, walk
from explorer_needs import needs
from unrolled import explorer
from unrolled.explorer import Bits, Explorable, Numbers, Tokens, Window, payload
from unrolled.explorer.tracing import trace
from unrolled.recipes import adder

HERE = Path(__file__).parent
TEXT = "It\u2019s “so”, she said: (don't) \U0001f600\n\té  x_1 two  words ."


def test_walking_by_hand_is_what_the_layers_do() -> None:
    for what, net, changes in cases():
        if not changes:
            (x,) = net.inputs.examples.values()  # type: ignore[attr-defined]
            ours, theirs = plain(walk(net, x, [])), trace(net)
            for key in ("x", "logits", "values"):
                np.testing.assert_allclose(ours[key], theirs[key], atol=1e-12, err_msg=what)
            for a, b in zip(ours["layers"], theirs["layers"], strict=True):
                for gate in "ifgoch":
                    np.testing.assert_allclose(a[gate], b[gate], atol=1e-12, err_msg=what)


def _cases() -> list[dict[str, Any]]:
    made = []
    for number, (what, net, changes) in enumerate(cases()):
        (x,) = net.inputs.examples.values()  # type: ignore[attr-defined]
        found = walk(net, x, changes)
        step, output = 5 - number % 3, number % 4
        assert asked(net, found, step, output).isfinite()
        made.append(
            {
                "what": what,
                "network": payload.network(net, "run", ""),
                "changes": changes,
                "trace": plain(found),
                "asked": {"step": step, "output": output},
                "gradient": gradients(net, found, step, output),
            }
        )
    return made


def _readings() -> list[dict[str, Any]]:
    vectors = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    known = ["\N{REPLACEMENT CHARACTER}", "a", "\U0001f600", "</script>"]
    kinds: list[tuple[Any, list[str]]] = [
        (Bits(), ["", "57 68", "0 + 0", f"{2**90} + 1"]),
        (Tokens(known, "characters", vectors, "ab", ""), ["", "a\U0001f600z", "</script>"]),
        (Tokens(known[:3], "words", None, "a b", ""), ["", "a  a, \U0001f600"]),
        (Window([1.5, -2.0, 3.25], ["x", "y", "z"], 2, None, 0.5, "s"), ["", "1 2.5 -3"]),
        (Window([1.5, -2.0, 3.25], ["x", "y", "z"], 2, 1.25, 0.5, "s"), ["", "1 2.5 -3"]),
        (Numbers(["n"], {"one": torch.tensor([[0.5], [-1.0]])}), ["", "0.25 1 -1"]),
        (Numbers(["n", "m"], {"one": torch.rand(2, 2)}), ["", "1 2, 3 -4"]),
    ]
    made = []
    for inputs, texts in kinds:
        told = {"kind": inputs.kind, **payload.packed(inputs.told())}
        for typed in texts:
            reading = inputs.read(typed)
            row = {"typed": typed, "x": reading.x.tolist(), "labels": reading.labels}
            made.append({"told": told, **row})
    return made


def _following() -> dict[str, Any]:
    """The carry, over the page's own sums: they are few lines to draw again (xorshift32)."""
    recipe = adder.Recipe(hidden=6, network="peephole")
    model = recipe.model().double().eval()
    (net,) = recipe.explorer(model)
    x, draws = 2, []
    for _ in range(400):
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        draws.append(int(x / 2**32 * 128))
    cells: list[list[float]] = []
    carries: list[int] = []
    for n in range(200):
        a, b = draws[2 * n : 2 * n + 2]
        b = b if n % 2 else b & ~a
        found = trace(net, f"{a} {b}")
        cells += found["layers"][0]["c"]
        carry = 0
        for t in range(len(found["steps"])):
            carry = (a >> t & 1) + (b >> t & 1) + carry >> 1
            carries.append(carry)
    c, p = np.array(cells), np.array(carries)
    r = [np.corrcoef(c[:, u], p)[0, 1] for u in range(6)]
    absent = c[p == 0].mean(0).tolist()
    return {"network": payload.network(net, "r", ""), "r": r, "c": absent, "property": carries}


@needs("node")
def test_the_page_computes_what_torch_does(tmp_path: Path) -> None:
    words = Tokens(["?"], "words", None, "a", "")
    fixture = {
        "cases": _cases(),
        "readings": _readings(),
        "cut": [{"text": text, "words": list(words.cut(text))} for text in (TEXT, "a b", " a", "")],
        "following": _following(),
    }
    path = tmp_path / "fixture.json"
    path.write_text(json.dumps(fixture), encoding="utf-8")
    # The page that is installed, where node takes it for modules.
    page = Path(shutil.copytree(Path(explorer.__file__).parent / "page", tmp_path / "page"))
    (page / "package.json").write_text('{"type": "module"}')
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, "--test", str(HERE / "core.test.js")],
        env={**os.environ, "UNROLLED_FIXTURE": str(path), "UNROLLED_PAGE": str(page)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    # A runner that found nothing to run would be content, too.
    ran = int(done.stdout.split("# pass ")[1].split()[0])
    assert ran >= 2 * len(fixture["cases"]) + len(fixture["readings"])


def test_several_layers_of_one_module_are_those_of_several_modules() -> None:
    deep = sample("vanilla", layers=2)
    assert len(payload.network(deep, "", "")["layers"]) == 2
    assert isinstance(deep, Explorable)
