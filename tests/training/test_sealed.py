"""A run's folder is a document with a seal: damage is told in one sentence, or changes nothing.

The right value is that of the undamaged run: the same weights, the same figures, the same words.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import damage
from damage import RECIPE, everything, flipped
from echo import Recipe, Small
from processes import one_sentence, succeeds
from unrolled import cli
from unrolled.training import checkpoint, runs, train
from unrolled.training.runs import RunError

Captured = pytest.CaptureFixture[str]
FILES = (runs.CONFIG, runs.WEIGHTS, runs.METRICS, runs.RESULT, runs.RESUME)
FLIPS = 24  # of each file, and again as many over all of them: tests/damage.py takes any count


def warm() -> None:
    """Import what an optimizer and a run's folder would, before the cases fork."""
    import torch._dynamo  # noqa: F401


@pytest.fixture(scope="module")
def echoes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which is never written to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    list(train(RECIPE, folder))
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a recipe that the command line knows."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    words = ["--steps", "6", "--report-every", "2", "--out", str(folder)]
    assert cli.main(["train", "adder", *words]) == 0
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def said(capsys: Captured, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = cli.main(list(words))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_told_or_changes_nothing(name: str, echoes: Path, tmp_path: Path) -> None:
    right = everything(Path(shutil.copytree(echoes, tmp_path / "run")))
    bits = (echoes / name).stat().st_size * 8
    told: list[str] = []
    silent: list[int] = []
    for k in range(FLIPS):
        bit = (k * 2654435761 + 5) % bits
        folder = Path(shutil.copytree(echoes, tmp_path / str(k)))
        flipped(folder / name, bit)
        try:
            if everything(folder) != right:
                silent.append(bit)
        except RunError as error:
            told.append(one_sentence(error))
    assert all(name in sentence for sentence in told)
    assert not silent, f"these bits of {name} changed the result without a word: {silent}"


def test_bits_flipped_anywhere_are_told_or_change_nothing(echoes: Path) -> None:
    found = damage.campaign(echoes, FLIPS, seed=1)
    assert all(flip.name in flip.said for flip in found if flip.said)
    assert not [flip for flip in found if not flip.said and not flip.same]


# --- what a resume file says ---


def _tree(folder: Path, change: Callable[[Any], Any]) -> None:
    """Write a run's state anew, with something changed in it, as an attacker would: sealed."""
    tree = checkpoint.read_tree(folder / runs.RESUME)
    changed = change(tree)
    checkpoint.write_tree(folder / runs.RESUME, tree if changed is None else changed)


def _put(*path: Any) -> Callable[[Any], Any]:
    *way, last, value = path

    def change(tree: Any) -> None:
        for key in way:
            tree = tree[key]
        if value is ...:
            del tree[last]
        else:
            tree[last] = value

    return change


GROUP = ("optimizer", "param_groups", 0)
SLOT = ("optimizer", "state", 0)


def _twice(tree: Any) -> None:
    slot = tree["optimizer"]["state"][0]
    slot["exp_avg_sq"] = slot["exp_avg"]


CHANGES: dict[str, Callable[[Any], Any]] = {
    **{f"step = {v!r}": _put("step", v) for v in ("abc", -5, 2**70, 1.5, None, True, [1])},
    **{f"window = {v!r}": _put("window", v) for v in (10**9, -1, "1", 2**70, None)},
    **{f"seconds = {v!r}": _put("seconds", v) for v in ("x", float("nan"), -1.0, None)},
    "seconds, huge": _put("seconds", 10**400),
    **{f"optimizer = {v!r}": _put("optimizer", v) for v in (5, [], {}, None, "Adam")},
    **{f"model = {v!r}": _put("model", v) for v in (5, [], {}, None)},
    **{f"random = {v!r}": _put("random", v) for v in (5, None, "x")},
    "random, one byte": _put("random", torch.zeros(1, dtype=torch.uint8)),
    "random, floats": _put("random", torch.zeros(5056)),
    "random, all zeros": _put("random", torch.zeros(5056, dtype=torch.uint8)),
    "generator, short": _put("generator", torch.zeros(7, dtype=torch.uint8)),
    "data = 5": _put("data", 5),
    "state = 5": _put("state", 5),
    **{f"no {n}": _put(n, ...) for n in ("step", "model", "optimizer", "random", "window")},
    **{f"lr = {v!r}": _put(*GROUP, "lr", v) for v in (123, "x", -1.0, float("nan"), None)},
    **{f"betas = {v!r}": _put(*GROUP, "betas", v) for v in ((2.0, 9.0), (0.9,), 5, ("a", "b"))},
    **{f"eps = {v!r}": _put(*GROUP, "eps", v) for v in (-1.0, "x", float("inf"))},
    "weight_decay = 'x'": _put(*GROUP, "weight_decay", "x"),
    "params = [0, 0]": _put(*GROUP, "params", [0, 0]),
    "no amsgrad": _put(*GROUP, "amsgrad", ...),
    "another setting": _put(*GROUP, "nothing", 5),
    "maximize": _put(*GROUP, "maximize", True),
    "exp_avg of one": _put(*SLOT, "exp_avg", torch.zeros(1)),
    "exp_avg of none": _put(*SLOT, "exp_avg", torch.zeros(0)),
    "exp_avg in float64": _put(*SLOT, "exp_avg", torch.zeros(3, dtype=torch.float64)),
    "exp_avg = 5": _put(*SLOT, "exp_avg", 5),
    "no exp_avg": _put(*SLOT, "exp_avg", ...),
    "step of [3]": _put(*SLOT, "step", torch.zeros(3)),
    "step = -7": _put(*SLOT, "step", torch.tensor(-7.0)),
    "a state of no parameter": _put("optimizer", "state", 99, {"step": torch.zeros(())}),
    "one tensor twice": _twice,
    "a list": lambda tree: [tree],
    "a number": lambda tree: 5,
}


def _finish(recipe: Any, folder: Path, resume: bool) -> dict[str, Any]:
    model = list(train(recipe, folder, resume))[-1].model
    return {name: t.clone() for name, t in model.state_dict().items()}


def _changed(name: str, kind: type) -> Callable[[], None]:
    """The state of a run of 4 steps, changed: going on to 6 is refused, or gives the same bits."""

    def case() -> None:
        torch.use_deterministic_algorithms(True)
        recipe = kind(steps=4, optimizer="Adam", learning_rate=0.01)
        longer = dataclasses.replace(recipe, steps=6)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "run"
            _finish(recipe, folder, False)
            other = Path(shutil.copytree(folder, Path(place) / "other"))
            right = _finish(longer, other, True)
            try:
                _tree(folder, CHANGES[name])
                found = _finish(longer, folder, True)
            except RunError as error:
                one_sentence(error)
                return
        for key, t in right.items():
            assert torch.equal(t, found[key]), f"{key} changed without a word"

    return case


CASES = {
    f"{name}, {kind.__name__}": _changed(name, kind)
    for name in CHANGES
    for kind in (Recipe, Small)
    if kind is Small or any(word in name for word in ("exp_avg", "twice", "amsgrad"))
}


@pytest.mark.parametrize("name", CASES)
def test_a_state_that_makes_no_sense_is_refused(name: str) -> None:
    succeeds(__file__, "CASES", name)


# --- JSON without bounds ---


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 200_000, '{"recipe": ' + "9" * 100_000 + "}", '"\\ud800"', ""],
    ids=["brackets", "braces", "a long number", "half a character", "nothing"],
)
@pytest.mark.parametrize("name", [runs.CONFIG, runs.RESULT, runs.METRICS])
def test_json_is_bounded(name: str, text: str, run: Path, capsys: Captured) -> None:
    (run / name).write_text(text + "\n", encoding="utf-8")
    status, _, err = said(capsys, "show", str(run))
    assert status == 2
    assert name in one_sentence(err)


def test_the_tree_of_a_state_is_bounded(run: Path, capsys: Captured) -> None:
    header = {"__metadata__": {"tree": '{"list":[' * 200_000}}
    text = json.dumps(header).encode()
    (run / runs.RESUME).write_bytes(struct.pack("<Q", len(text)) + text)
    words = ["train", "adder", "--resume", "--steps", "8", "--out", str(run)]
    status, _, err = said(capsys, *words)
    assert status == 2
    assert runs.RESUME in one_sentence(err)


# --- `unrolled check` ---


def test_check_says_what_is_whole_and_what_is_not(run: Path, capsys: Captured) -> None:
    status, out, _ = said(capsys, "check", str(run))
    assert status == 0
    assert all(name in out for name in FILES)
    flipped(run / runs.WEIGHTS, 8 * (run / runs.WEIGHTS).stat().st_size - 3)
    status, out, err = said(capsys, "check", str(run))
    assert status == 1
    (line,) = [line for line in (out + err).splitlines() if "damaged" in line]
    assert runs.WEIGHTS in line


def test_a_file_that_is_gone_or_another_runs_is_told(
    run: Path, tmp_path: Path, capsys: Captured
) -> None:
    words = ["--steps", "4", "--seed", "5", "--out", str(tmp_path / "other")]
    assert cli.main(["train", "adder", *words]) == 0
    shutil.copy(tmp_path / "other" / runs.WEIGHTS, run / runs.WEIGHTS)
    status, _, err = said(capsys, "try", str(run), "3", "5")
    assert status == 2
    assert runs.WEIGHTS in one_sentence(err)


def test_a_folder_from_before_reads_on_and_says_that_it_has_no_seal(
    run: Path, capsys: Captured
) -> None:
    """As the version before wrote it: the same five files, and no digest in or beside any."""
    model = checkpoint.read_weights(run / runs.WEIGHTS)
    tree = checkpoint.read_tree(run / runs.RESUME)
    config = runs.read_config(run)
    result = runs.read_result(run)
    rows = runs.read_metrics(run)
    for path in list(run.iterdir()):
        path.unlink()
    (run / runs.CONFIG).write_text(json.dumps(config._asdict()))
    (run / runs.RESULT).write_text(json.dumps(result))
    (run / runs.METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    import safetensors.torch

    tensors: dict[str, torch.Tensor] = {}
    packed = json.dumps(checkpoint._pack(tree, tensors))
    (run / runs.RESUME).write_bytes(safetensors.torch.save(tensors, {"tree": packed}))
    (run / runs.WEIGHTS).write_bytes(safetensors.torch.save(dict(model)))
    status, out, err = said(capsys, "try", str(run), "3", "5")
    assert status == 0, err
    status, out, err = said(capsys, "check", str(run))
    assert "no seal" in out + err
    words = ["train", "adder", "--resume", "--steps", "8", "--out", str(run)]
    assert said(capsys, *words)[0] == 0
