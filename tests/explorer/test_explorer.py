"""The explorer's page as a file: how it is put together, what it holds, what it declines."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import unrolled
from claims import claim
from explorer_cases import sample
from explorer_needs import ROOT
from fresh import FreshPython
from unrolled import LSTM, Elman, cli
from unrolled.cli import explore
from unrolled.explorer import (
    Bits,
    Explorable,
    ExplorerError,
    Numbers,
    Output,
    Tokens,
    Window,
    payload,
)
from unrolled.explorer.pages import page_of
from unrolled.training import checkpoint, runs

Captured = pytest.CaptureFixture[str]
PAGE = ROOT / "src" / "unrolled" / "explorer" / "page"
QUICK = ["--steps", "2", "--hidden", "3", "--bits", "4", "--report-every", "1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, trained once."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert cli.main(["train", "adder", *QUICK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def refused(capsys: Captured, *words: str) -> str:
    """The one sentence with which the command line declines."""
    capsys.readouterr()
    assert cli.main(["explore", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("unrolled: ")
    assert err.count("\n") == 1
    return err


def data(page: str) -> Any:
    """What a page holds."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


# --- what it holds --------------------------------------------------------------------------


def test_weights_go_in_as_they_are() -> None:
    net = sample("peephole", layers=2)
    told = payload.network(net, "r", "")
    packed = told["layers"][1]["weights"]["weight_ph"]
    assert packed["dtype"] == "f8"
    lstm = net.stack()[0]
    raw = np.frombuffer(__import__("base64").b64decode(packed["data"]), "<f8")
    assert (raw.reshape(packed["shape"]) == lstm.weight_ph_l1.detach().numpy()).all()
    assert payload.packed(torch.ones(2))["dtype"] == "f4"


def test_nothing_that_is_shown_can_become_a_tag() -> None:
    nasty = "</script><script>alert(1)</script><!--<script>&\u2028\ud800"
    tokens = Tokens([nasty, nasty], "characters", None, nasty, nasty)
    net = Explorable([LSTM(2, 3)], nn.Linear(3, 2), tokens, Output("softmax", [nasty] * 2), "all")
    page = page_of(nasty, [(net, nasty, nasty)]).html
    for word, count in {"<script": 2, "</script": 2, "<!--": 0}.items():
        assert page.count(word) == count, word
    assert data(page)["networks"][0]["inputs"]["tokens"] == [nasty] * 2
    assert page.encode()  # half of a pair of surrogates is no reason to fail


def test_json_is_the_trace(run: Path, capsys: Captured) -> None:
    capsys.readouterr()
    assert cli.main(["explore", str(run), "--json", "--input", "5 + 6"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    assert found["run"] == "run"
    assert found["steps"] == ["0", "1", "2", "3"]
    assert found["x"] == [[1, 0], [0, 1], [1, 1], [0, 0]]
    lstm = LSTM(2, 3)
    weights = checkpoint.read_weights(run / runs.WEIGHTS)
    lstm.load_state_dict(
        {k.removeprefix("recurrent."): w for k, w in weights.items() if "recurrent" in k}
    )
    with torch.no_grad():
        gates = lstm.trace(torch.tensor(found["x"]))["l0"]
    assert [layer["name"] for layer in found["layers"]] == ["l0"]
    for key, value in gates._asdict().items():
        np.testing.assert_allclose(found["layers"][0][key], value.numpy(), atol=1e-6)
    np.testing.assert_allclose(
        found["values"], 1 / (1 + np.exp(-np.array(found["logits"]))), atol=1e-6
    )


def test_the_page_goes_where_it_is_told(run: Path, tmp_path: Path, capsys: Captured) -> None:
    assert cli.main(["explore", str(run)]) == 0
    assert "explorer.html" in capsys.readouterr().out
    first = (run / "explorer.html").read_text(encoding="utf-8")
    assert data(first)["networks"][0]["run"] == "run"
    assert str(tmp_path) not in first  # where it lies on this machine is nobody's business
    other = shutil.copytree(run, tmp_path / "other")
    assert cli.main(["explore", str(run), str(other), "--out", str(tmp_path / "both.html")]) == 0
    both = data((tmp_path / "both.html").read_text(encoding="utf-8"))
    assert [net["run"] for net in both["networks"]] == ["run", "other"]
    assert both["title"] == "run and other"


def test_every_recipe_says_whether_it_can_be_explored(capsys: Captured, tmp_path: Path) -> None:
    folder = tmp_path / "primes"
    words = ["primes", "--steps", "1", "--count", "1000", "--window", "8", "--hidden", "2"]
    assert cli.main(["train", *words, "--out", str(folder)]) == 0
    said = refused(capsys, str(folder))
    assert "no method explorer(model), as those of adder, labels, memory, series," in said
    elman = tmp_path / "elman"
    assert cli.main(["train", "adder", *QUICK, "--network", "elman", "--out", str(elman)]) == 0
    assert "Elman network" in refused(capsys, str(elman))


def test_a_text_is_read_as_it_stands_though_it_changed_since(tmp_path: Path) -> None:
    story = tmp_path / "story.txt"
    story.write_text("aab b ab.\n" * 80, encoding="utf-8")
    folder = tmp_path / "run"
    words = ["text", "--data", str(story), "--hidden", "3", "--layers", "1", "--steps", "1"]
    assert cli.main(["train", *words, "--learning-on", "0", "--out", str(folder)]) == 0
    story.write_text("bba b bb.\n" * 80, encoding="utf-8")  # b is now the more frequent
    ((net, _, _),) = explore.explorables(folder, "run")
    told = net.inputs.told()
    assert told["passage"] in story.read_text(encoding="utf-8")
    assert told["tokens"].index("a") < told["tokens"].index("b")  # what the weights were learnt for


def test_code_that_a_run_names_is_not_run(run: Path, tmp_path: Path, capsys: Captured) -> None:
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'done')!r}, 'w')\n", encoding="utf-8")
    claim(run / runs.CONFIG, recipe=str(evil))
    assert "add --trust if it is yours" in refused(capsys, str(run))
    assert not (tmp_path / "done").exists()


def test_a_recipe_of_ones_own_can_be_explored(tmp_path: Path, capsys: Captured) -> None:
    example = str(ROOT / "examples" / "my_recipe.py")
    folder = tmp_path / "own"
    words = ["--steps", "2", "--hidden", "3", "--report-every", "1"]
    assert cli.main(["train", example, *words, "--out", str(folder)]) == 0
    capsys.readouterr()
    assert cli.main(["explore", str(folder), "--trust", "--json", "--input", "0.5 1"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    assert np.array(found["values"]).sum(-1) == pytest.approx([1, 1])
    assert len(found["layers"][0]["c"]) == 2


# --- what is wrong, in one sentence ---------------------------------------------------------


def test_a_run_that_is_none(run: Path, tmp_path: Path, capsys: Captured) -> None:
    assert "does not exist" in refused(capsys, str(tmp_path / "nothing"))
    (run / runs.WEIGHTS).unlink()
    assert "no weights yet" in refused(capsys, str(run))


def test_weights_that_are_none(run: Path, capsys: Captured) -> None:
    (run / runs.WEIGHTS).write_bytes(b"\x80\x04evil pickle")
    assert "is damaged" in refused(capsys, str(run))
    assert not (run / "explorer.html").exists()


def test_weights_of_the_wrong_shape(run: Path, capsys: Captured) -> None:
    weights = checkpoint.read_weights(run / runs.WEIGHTS)
    weights["readout.weight"] = torch.zeros(1, 9)
    checkpoint.write_weights(run / runs.WEIGHTS, weights)
    assert "do not fit the recipe" in refused(capsys, str(run))


def test_flags_that_make_no_sense(run: Path, capsys: Captured) -> None:
    assert "--json" in refused(capsys, str(run), "--input", "1 2")
    assert "two whole numbers" in refused(capsys, str(run), "--json", "--input", "one two")
    assert "arguments are required" in refused(capsys)
    assert "nowhere" in refused(capsys, str(run), "--out", str(run / "nowhere" / "x.html"))


def test_a_vocabulary_that_is_damaged() -> None:
    with pytest.raises(ExplorerError, match="a token is no text"):
        Tokens(["?", 3], "characters", None, "a", "")  # type: ignore[list-item]
    with pytest.raises(ExplorerError, match="2 tokens, and there are vectors for 5"):
        Tokens(["?", "a"], "characters", torch.zeros(5, 2), "a", "")


def test_a_series_that_is_not_finite() -> None:
    inputs = Window([1.0, float("nan")], ["a", "b"], 2, None, 1.0, "s")
    net = Explorable([LSTM(1, 2)], nn.Linear(2, 1), inputs, Output("linear", ["y"]))
    with pytest.raises(ExplorerError, match="nan: nothing to draw"):
        page_of("t", [(net, "", "")])


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (LSTM(2, 3, bidirectional=True), "reads in both directions"),
        (nn.LSTM(2, 3, proj_size=1), "has a projection"),
        (LSTM(2, 3, zoneout=0.1), "has zoneout"),
        (Elman(2, 3), "holds a Elman"),
        (LSTM(5, 3), "reads 5 numbers a step and is given 2"),
        (LSTM(2, 4), "the head reads 3 numbers and the LSTM gives 4"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_the_page_does_not_compute(layer: nn.Module, words: str) -> None:
    net = Explorable([layer], nn.Linear(3, 1), Bits(), Output("sigmoid", ["y"]))
    with pytest.raises(ExplorerError, match=words):
        net.stack()


@pytest.mark.parametrize(
    "text", ["", "1", "1 2 3", "a b", "-1 2", "1.5 2", "٣ 4", "9" * 121 + " 1"]
)
def test_numbers_that_cannot_be_added(text: str) -> None:
    if text:
        with pytest.raises(ExplorerError):
            Bits().read(text)


def test_inputs_that_make_no_sense() -> None:
    window = Window([1.0, 2.0], ["a", "b"], 2, None, 1.0, "s")
    numbers = Numbers(["a", "b"], {"x": torch.zeros(1, 2)})
    tokens = Tokens(["?", "a"], "characters", None, "a", "")
    for inputs, text, words in (
        (window, "1 x", "not a list of values"),
        (window, "1 inf", "not finite"),
        (window, "1 " * 500, "500 values"),
        (numbers, "1 2, 3", "expected 2 numbers"),
        (tokens, "a" * 401, "401 characters"),
    ):
        with pytest.raises(ExplorerError, match=words):
            inputs.read(text)  # type: ignore[attr-defined]


# --- from Python ----------------------------------------------------------------------------


class Tagger(nn.Module):
    """A model as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LSTM(3, 5, num_layers=2, batch_first=True)
        self.out = nn.Linear(5, 2)


def test_any_lstm_can_be_explored() -> None:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    model = Tagger()
    page = unrolled.explore(model, x, names=["a", "b", "c"], title="tagger")
    (net,) = data(page.html)["networks"]
    assert [len(net["layers"]), net["inputs"]["names"]] == [2, ["a", "b", "c"]]
    (found,) = page.trace()
    with torch.no_grad():
        y, _ = model.body(x[None])
        said = model.out(y)[0]
    np.testing.assert_allclose(found["values"], said.numpy(), atol=1e-6)
    np.testing.assert_allclose(found["layers"][1]["h"], y[0].numpy(), atol=1e-6)


def test_without_a_head_h_itself_is_said() -> None:
    x = {"one": torch.zeros(4, 3), "two": torch.ones(4, 2, 3)}
    page = unrolled.explore(LSTM(3, 5, cell="peephole"), x, beside=nn.LSTM(3, 2))
    first, second = data(page.html)["networks"]
    assert first["head"] is None
    assert first["output"]["names"] == [f"h{n}" for n in range(5)]
    assert [e["name"] for e in first["inputs"]["examples"]] == ["one", "two 0", "two 1"]
    assert second["layers"][0]["hidden_size"] == 2


def test_a_page_can_be_saved_opened_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    page = unrolled.explore(LSTM(1, 2), torch.zeros(3, 1))
    assert page.save(tmp_path / "p.html").read_text(encoding="utf-8") == page.html
    assert [path.name for path in tmp_path.iterdir()] == ["p.html"]
    path = page.open()
    assert opened == [path.as_uri()]
    frame = page._repr_html_()
    assert 'sandbox="allow-scripts"' in frame
    assert html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == page.html  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((nn.Linear(2, 2), torch.zeros(3, 2)), "holds 0 LSTMs"),
        ((LSTM(3, 2), torch.zeros(3, 2)), r"inputs are \[3, 2\], expected \[T, 3\]"),
        ((LSTM(2, 2), torch.zeros(0, 2)), "a sequence of 0 steps"),
        ((LSTM(2, 2), torch.full((3, 2), float("nan"))), "not finite"),
        ((LSTM(2, 2), []), "inputs are empty"),
    ],
)
def test_what_cannot_be_explored_is_said(arguments: Any, words: str) -> None:
    with pytest.raises(ExplorerError, match=words):
        unrolled.explore(*arguments)


def test_importing_the_package_does_not_bring_the_explorer(fresh_python: FreshPython) -> None:
    code = "import unrolled, sys; assert 'explore' in dir(unrolled); print(*sys.modules)"
    done = fresh_python(code)
    assert done.returncode == 0, done.stderr
    assert "unrolled" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.startswith("unrolled.explorer")]
    assert callable(unrolled.explore)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        unrolled.nonsense  # noqa: B018


def test_a_page_goes_through_no_link(run: Path, tmp_path: Path, capsys: Captured) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("kept", encoding="utf-8")
    (run / ".explorer.html.writing").symlink_to(theirs)
    assert cli.main(["explore", str(run)]) == 0
    assert not (run / "explorer.html").is_symlink()
    (run / "explorer.html").unlink()
    (run / "explorer.html").symlink_to(theirs)
    assert cli.main(["explore", str(run)]) == 2
    assert "is a link, which is not followed" in capsys.readouterr().err
    assert theirs.read_text(encoding="utf-8") == "kept"
