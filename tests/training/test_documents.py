"""A run's files by themselves: whose they are, what helps where one is damaged, what is old."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from claims import claim
from damage import RECIPE, flipped
from echo import bits, equal, finish, weights
from processes import one_sentence
from stopped import Killed, moments
from unrolled.files import bounded, sealed
from unrolled.training import checkpoint, documents, runs, train
from unrolled.training.runs import RunError
from unrolled.training.state import fit

LONGER = dataclasses.replace(RECIPE, steps=6)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    finish(RECIPE, out=folder)
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def unseal(folder: Path) -> None:
    """Write the five files as the version before did, without any seal."""
    for name in (runs.CONFIG, runs.RESULT, runs.METRICS):
        lines = (folder / name).read_text(encoding="utf-8")
        rows = lines.splitlines() if name == runs.METRICS else [lines]
        kept = [{k: v for k, v in json.loads(row).items() if k != sealed.KEY} for row in rows]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in kept))
    for name in (runs.WEIGHTS, runs.RESUME):
        with safetensors.safe_open(folder / name, framework="pt") as file:
            metadata = {k: v for k, v in file.metadata().items() if k != sealed.KEY}
        tensors = safetensors.torch.load((folder / name).read_bytes())
        safetensors.torch.save_file(tensors, folder / name, metadata or None)


def read(run: Path) -> None:
    """Read each of a run's files."""
    runs.read_config(run)
    runs.read_metrics(run)
    runs.read_result(run)
    checkpoint.read_weights(run / runs.WEIGHTS)
    checkpoint.read_tree(run / runs.RESUME)


# --- whose a file is ---


def test_the_same_recipe_and_seed_are_the_same_run_and_another_seed_is_not(
    run: Path, tmp_path: Path
) -> None:
    finish(RECIPE, out=tmp_path / "again")
    assert weights(tmp_path / "again") == weights(run)
    finish(dataclasses.replace(RECIPE, seed=1), out=tmp_path / "other")
    for name in (runs.WEIGHTS, runs.METRICS, runs.RESULT, runs.RESUME):
        copy = Path(shutil.copytree(run, tmp_path / name))
        shutil.copy(tmp_path / "other" / name, copy / name)
        with pytest.raises(RunError, match=f"{name} is damaged: it belongs to another run"):
            read(copy)


def test_a_line_that_is_taken_out_or_moved_is_told(run: Path) -> None:
    first, second = (run / runs.METRICS).read_bytes().splitlines(keepends=True)
    for lines in (second, second + first, first + first):
        (run / runs.METRICS).write_bytes(lines)
        with pytest.raises(RunError, match=r"metrics\.jsonl is damaged: line \d: it is not what"):
            runs.read_metrics(run)


def test_a_file_without_a_seal_among_sealed_ones_is_told(whole: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(whole, tmp_path / "bare"))
    unseal(bare)
    for name in (runs.WEIGHTS, runs.RESULT, runs.METRICS, runs.RESUME):
        mixed = Path(shutil.copytree(whole, tmp_path / name))
        shutil.copy(bare / name, mixed / name)
        with pytest.raises(RunError, match=f"{name} is damaged: it has no seal, and the run has"):
            read(mixed)


# --- folders from before ---


def test_a_folder_from_before_is_sealed_when_it_is_gone_on_with(run: Path, tmp_path: Path) -> None:
    unseal(run)
    assert not any(documents.is_sealed(run / name) for name in runs.FILES)
    finish(LONGER, out=run, resume=True)
    assert all(documents.is_sealed(run / name) for name in runs.FILES)
    finish(LONGER, out=tmp_path / "straight")
    assert weights(run) == weights(tmp_path / "straight")


def test_a_folder_from_before_that_is_killed_while_it_is_sealed_reads_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(LONGER, out=tmp_path / "straight")
    for count in moments(monkeypatch):
        run = Path(shutil.copytree(whole, tmp_path / f"killed-{count}"))
        unseal(run)
        try:
            finish(LONGER, out=run, resume=True, save_every=0)
        except Killed:
            pass
        else:
            break
        checkpoint.read_weights(run / runs.WEIGHTS)
        list(train(LONGER, run, resume=True))
        assert weights(run) == weights(tmp_path / "straight"), count
        assert [row["step"] for row in runs.read_metrics(run)] == [2, 4, 6]
    assert count > 10


# --- what is done about damage ---


@pytest.mark.parametrize("name", [runs.WEIGHTS, runs.RESULT])
def test_what_is_removed_is_written_anew_as_the_sentence_says(name: str, run: Path) -> None:
    before = runs.read_result(run), weights(run)
    flipped(run / name, 8 * 120)
    with pytest.raises(RunError, match="remove it and train with --resume, which writes it anew"):
        read(run)
    (run / name).unlink()
    list(train(RECIPE, run, resume=True))
    after = runs.read_result(run), weights(run)
    assert after[1] == before[1]
    assert before[0] is not None
    assert after[0] is not None
    assert after[0]["figures"].keys() == before[0]["figures"].keys()


def test_a_run_goes_on_without_its_history_as_the_sentence_says(run: Path, tmp_path: Path) -> None:
    flipped(run / runs.METRICS, 8 * 20)
    with pytest.raises(RunError, match="or remove it: the rest of the run needs no history"):
        finish(LONGER, out=run, resume=True)
    (run / runs.METRICS).unlink()
    finish(LONGER, out=run, resume=True)
    assert [row["step"] for row in runs.read_metrics(run)] == [6]


# --- weights that are not the model's ---


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head.weight": None}, "'head.weight' is missing; put"),
        ({"head.weight": None, "head.bias": None}, "'head.weight' is missing, and 1 more; put"),
        ({"more": torch.zeros(2)}, "'more' is unknown; put"),
        ({"head.weight": torch.zeros(3, 1)}, r"expected a float32 tensor of shape \[1, 3\]; put"),
        ({"head.bias": torch.zeros(1, dtype=torch.int32)}, "expected a float32 tensor of"),
        ({"head.bias": torch.zeros(1, dtype=torch.complex64)}, "expected a float32 tensor of"),
    ],
)
def test_other_weights_are_one_line(change: dict[str, torch.Tensor | None], said: str) -> None:
    model = finish(RECIPE).model
    before = bits(model)
    found = {n: t for n, t in (dict(model.state_dict()) | change).items() if t is not None}
    with pytest.raises(RunError, match=f"the weights do not fit the recipe: .*{said}") as refused:
        fit(Path("run/weights.safetensors"), found, model)
    one_sentence(refused.value)
    assert equal(bits(model), before)


def test_weights_of_more_bits_are_taken(run: Path) -> None:
    model = finish(RECIPE).model
    fit(run, {name: t.double() for name, t in model.state_dict().items()}, model)


# --- trees and JSON ---


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"list": [{"tensor": "0"}, {"tensor": "0"}]}, "makes no sense"),
        ({"list": []}, "1 of its tensors have no place"),
        ({"dict": [[1, {"tensor": "0"}], [1, 2]]}, "makes no sense"),
        ({"dict": [[{"list": []}, 2]]}, "makes no sense"),
        ({"set": []}, "makes no sense"),
        ({"list": 5}, "makes no sense"),
        ({}, "makes no sense"),
    ],
)
def test_no_tensor_serves_twice_and_none_is_left(tree: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "resume.safetensors"
    safetensors.torch.save_file({"0": torch.zeros(2)}, path, {"tree": json.dumps(tree)})
    with pytest.raises(RunError, match=said) as refused:
        checkpoint.read_tree(path)
    one_sentence(refused.value)


def test_json_is_refused_beyond_its_bounds_and_taken_up_to_them() -> None:
    deep, digits = bounded.MOST_DEPTH, bounded.MOST_DIGITS
    for text in ("[" * deep + "]" * deep, "9" * digits, '"' + "[" * 10_000 + '\\"["'):
        bounded.parse_json(text.encode())
    for text in ("[" * (deep + 1) + "]" * (deep + 1), "9" * (digits + 1), '{"a": 1, "a": 2}'):
        with pytest.raises(ValueError, match=r"deep|digits|twice"):
            bounded.parse_json(text.encode())
    with pytest.raises(ValueError, match="more than 16,777,216 bytes"):
        bounded.parse_json(b" " * (bounded.MOST_BYTES + 1))


def test_a_name_that_is_no_unicode_comes_back(tmp_path: Path) -> None:
    config = runs.new_config("adder", {"data": "caf\udce9.csv"})
    runs.write_config(tmp_path, config)
    assert runs.read_config(tmp_path) == config


def test_a_config_that_says_more_or_less_is_told(run: Path) -> None:
    for changed in ({"more": 5}, {"threads": 0}, {"threads": True}, {"fields": []}):
        claim(run / runs.CONFIG, **changed)
        with pytest.raises(RunError, match=r"config\.json is damaged: '") as refused:
            runs.read_config(run)
        one_sentence(refused.value)
        shutil.rmtree(run)
        finish(RECIPE, out=run)


def test_a_seal_of_a_later_version_is_told(run: Path) -> None:
    text = (run / runs.CONFIG).read_text()
    (run / runs.CONFIG).write_text(text.replace(f'{sealed.KEY}": "1 ', f'{sealed.KEY}": "2 '))
    with pytest.raises(RunError, match="its seal is of version 2, and 1 is what is known"):
        runs.read_config(run)
