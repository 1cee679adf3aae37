"""`unrolled show DIR --plots`: which pictures there are, what is said, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from claims import claim
from unrolled import cli, recipes, training
from unrolled.inside import intervention, units
from unrolled.inside.inspection import Inspection
from unrolled.recipes._text.looking import properties
from unrolled.recipes.text import Recipe as Text

Captured = pytest.CaptureFixture[str]

TINY: dict[str, dict[str, Any]] = {
    "adder": {"hidden": 3, "bits": 6, "steps": 4},
    "events": {"length": 16_000, "steps": 2},
    "labels": {"count": 60, "hidden": 4, "steps": 2},
    "memory": {"networks": ("vanilla", "elman", "000"), "hidden": 4, "steps": 2},
    "pairs": {"hidden": 8, "embedding": 4, "steps": 2, "batch_size": 8},
    "primes": {"count": 20_000, "hidden": 4, "steps": 2},
    "sequence": {"hidden": 4, "steps": 2},
    "series": {"hidden": 4, "steps": 2},
    "signal": {"length": 16_000, "windows": 4, "batch_size": 4, "hidden": 4, "steps": 2},
    "text": {"hidden": 8, "embedding": 4, "steps": 2, "learning_on": 0.0},
}


def trained(name: str, out: Path | None = None) -> tuple[Any, torch.nn.Module]:
    """A recipe after a few steps."""
    recipe = recipes.find(name).recipe(**TINY[name])
    *_, last = training.train(recipe, out)
    return recipe, last.model.eval()


@pytest.fixture(scope="module")
def adder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps."""
    folder = tmp_path_factory.mktemp("runs") / "adder"
    flags = ["--hidden", "3", "--bits", "6", "--steps", "4", "--report-every", "2"]
    assert cli.main(["train", "adder", *flags, "--out", str(folder)]) == 0
    return folder


def run(capsys: Captured, *words: str | Path) -> tuple[int, str, str]:
    status = cli.main(["show", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def refused(capsys: Captured, *words: str | Path) -> str:
    status, _, err = run(capsys, *words)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("unrolled: ")
    return err


def pictures(out: str) -> list[Path]:
    """The paths that were printed."""
    return [Path(line.strip()) for line in out.split("\ninside:\n")[1].splitlines()]


# --- the command ---


def test_it_draws_and_says_where(adder: Path, tmp_path: Path, capsys: Captured) -> None:
    folder = Path(shutil.copytree(adder, tmp_path / "run"))
    status, out, err = run(capsys, folder, "--plots")
    assert (status, err) == (0, "")
    paths = pictures(out)
    assert {path.parent for path in paths} == {folder / "plots"}
    assert set(paths) == set((folder / "plots").iterdir())
    names = {path.name for path in paths}
    wanted = {"learning", "states", "half_lives", "flow", "tracking", "carry"}
    assert {f"{name}.png" for name in wanted} <= names
    assert any(name.startswith("unit_") for name in names)
    assert "carry: held by unit" in out
    assert "half of 3 units forget half within" in out
    _, again, _ = run(capsys, folder, "--plots", "--dark")
    dark = pictures(again)
    assert [path.name for path in dark] == [f"{path.stem}_dark.png" for path in paths]
    assert all(path.read_bytes() != twin.read_bytes() for path, twin in zip(paths, dark))  # noqa: B905


def test_a_unit_and_a_folder_of_ones_own(adder: Path, tmp_path: Path, capsys: Captured) -> None:
    before = set(adder.iterdir())
    out = tmp_path / "new" / "folder"
    status, said, _ = run(
        capsys, adder, "--plots", "--unit", "2", "--layer", "recurrent.l0", "--out", out
    )
    assert status == 0
    assert "unit_2.png" in {path.name for path in out.iterdir()}
    assert not {"unit_0.png", "unit_1.png"} & {path.name for path in out.iterdir()}
    assert set(out.iterdir()) == set(pictures(said))
    assert set(adder.iterdir()) == before


def test_without_plots_it_is_what_it_was(adder: Path, capsys: Captured) -> None:
    status, out, _ = run(capsys, adder)
    assert status == 0
    assert "inside:" not in out
    assert not (adder / "plots").exists()


def test_what_is_not_there_is_one_sentence(adder: Path, tmp_path: Path, capsys: Captured) -> None:
    assert "no unit 3 in recurrent.l0: expected 0 to 2" in refused(
        capsys, adder, "--plots", "--unit", "3"
    )
    assert "no unit -1 in" in refused(capsys, adder, "--plots", "--unit", "-1")
    assert "no layer '1': the layers are 0 (recurrent.l0)." in refused(
        capsys, adder, "--plots", "--layer", "1"
    )
    assert "invalid int value: 'x'" in refused(capsys, adder, "--plots", "--unit", "x")
    assert "is not a run" in refused(capsys, tmp_path, "--plots")
    assert "does not exist" in refused(capsys, tmp_path / "nowhere", "--plots")
    for flag in (["--unit", "1"], ["--layer", "0"], ["--dark"], ["--out", "x"]):
        assert f"{flag[0]} says what is drawn and how: add --plots" in refused(capsys, adder, *flag)
    (tmp_path / "file").touch()
    assert "is a file: expected a folder" in refused(
        capsys, adder, "--plots", "--out", tmp_path / "file"
    )
    assert not (adder / "plots").exists()


def test_weights_that_do_not_fit_are_one_sentence(
    adder: Path, tmp_path: Path, capsys: Captured
) -> None:
    folder = Path(shutil.copytree(adder, tmp_path / "run"))
    fields = json.loads((folder / "config.json").read_text())["fields"]
    claim(folder / "config.json", fields={**fields, "hidden": 5})
    assert "do not fit the recipe" in refused(capsys, folder, "--plots")


def test_without_matplotlib_it_says_what_to_install(
    adder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    assert "this needs matplotlib: pip install 'unrolled[cli]'" in refused(capsys, adder, "--plots")
    assert run(capsys, adder)[0] == 0


def test_a_run_with_weights_that_are_not_finite_is_drawn(
    adder: Path, tmp_path: Path, capsys: Captured
) -> None:
    from unrolled.training import checkpoint

    folder = Path(shutil.copytree(adder, tmp_path / "run"))
    weights = checkpoint.read_weights(folder / "weights.safetensors")
    weights["recurrent.weight_hh_l0"][0] = float("nan")
    weights["recurrent.weight_ih_l0"][1] = float("inf")
    checkpoint.write_weights(folder / "weights.safetensors", weights)
    status, out, err = run(capsys, folder, "--plots")
    assert (status, err) == (0, "")
    assert all(path.stat().st_size > 1000 for path in pictures(out))


def test_a_network_without_an_lstm_is_drawn_by_its_h(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "elman"
    flags = ["--network", "elman", "--hidden", "3", "--bits", "6", "--steps", "2"]
    assert cli.main(["train", "adder", *flags, "--out", str(folder)]) == 0
    capsys.readouterr()
    status, out, _ = run(capsys, folder, "--plots")
    assert status == 0
    names = {path.name for path in pictures(out)}
    assert names == {"learning.png", "states.png", "tracking.png", "flow.png"}


def test_a_recipe_of_ones_own_needs_no_method_for_it(tmp_path: Path, capsys: Captured) -> None:
    """examples/my_recipe.py knows nothing of pictures; it is looked at by a batch of its own."""
    example = Path(__file__).parents[2] / "examples" / "my_recipe.py"
    folder = tmp_path / "mine"
    assert cli.main(["train", str(example), "--steps", "3", "--out", str(folder)]) == 0
    capsys.readouterr()
    status, out, err = run(capsys, folder, "--plots", "--trust", "--unit", "1")
    assert (status, err) == (0, "")
    names = {path.name for path in pictures(out)}
    assert names == {"learning.png", "states.png", "half_lives.png", "flow.png", "unit_1.png"}


@pytest.mark.parametrize(("length", "drawn"), [(8, {"mse_vanilla", "mse_002"}), (4, set())])
def test_what_was_published_is_drawn_where_it_can_be_compared(
    length: int,
    drawn: set[str],
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The figures of `memory` are of eight numbers."""
    from unrolled.pictures import curves

    asked: list[dict[str, Any]] = []

    def draw(history: Any, path: Path, theme: Any, **options: Any) -> Path:
        asked.append(options)
        return path

    monkeypatch.setattr(curves, "draw_learning", draw)
    folder = tmp_path / "memory"
    flags = ["--networks", "vanilla", "002", "--hidden", "3", "--steps", "2", "--length"]
    assert cli.main(["train", "memory", *flags, str(length), "--out", str(folder)]) == 0
    assert run(capsys, folder, "--plots")[0] == 0
    assert set(asked[0]["published"]) == drawn
    assert set(asked[0]["metrics"]) == (drawn or {"mse_vanilla"})


# --- what recipes hand over ---


@pytest.mark.parametrize("name", recipes.names())
def test_a_passage_is_of_the_steps_that_ran(name: str) -> None:
    recipe, model = trained(name)
    found = recipe.look(model)
    assert found
    for passage in found:
        inspection = Inspection(model, passage)
        assert inspection.layers
        values = [layer.seen.values for layer in inspection.layers]
        steps, rows = values[0]["h"].shape[:2]
        assert all(one["h"].shape[:2] == (steps, rows) for one in values)
        # Of a long passage, words for its beginning are enough.
        assert len(passage.inputs) in (0, steps) or len(passage.inputs) >= 48
        assert len(passage.outputs) in (0, len(passage.inputs))
        for there in passage.properties.values():
            assert there.shape == (steps, rows)
        assert list(inspection.flow) == [layer.label for layer in inspection.layers]
        assert all(any(h) for h, _ in inspection.flow.values())
        for label, life in inspection.half_lives.items():
            layer = next(one for one in inspection.layers if one.label == label)
            f = layer.seen.values["f"]
            flat = f.flatten(0, 1) if layer.seen.live is None else f[layer.seen.live]
            assert torch.equal(life, units.half_life(flat))


def test_best_trackers_come_first_and_over_all_layers() -> None:
    recipe, model = trained("text")
    inspection = Inspection(model, recipe.look(model)[0])
    best = inspection.tracking("line position", most=10)
    assert len(best) == 10
    strength = [abs(one.r) for one in best]
    assert strength == sorted(strength, reverse=True)
    place = inspection.passage.properties["line position"]
    every = [units.tracking(layer.seen.values["c"].tanh(), place) for layer in inspection.layers]
    assert len(every) == 2
    assert strength[0] == pytest.approx(torch.cat(every).abs().max().item())
    assert best[0].r == every[inspection.layers.index(best[0].layer)][best[0].unit]


def test_the_flow_of_a_run_is_that_of_its_layer_alone() -> None:
    recipe, model = trained("adder")
    passage = recipe.look(model)[0]
    assert passage.followed is not None
    found = intervention.flow(model, passage.followed)["recurrent.l0"]
    assert Inspection(model, passage).flow == {"": found.norms()}


def test_a_text_is_looked_at_in_the_models_own_numbers(tmp_path: Path) -> None:
    """The file has grown since by a letter that comes first: the numbers are others now."""
    file = tmp_path / "text.txt"
    file.write_text("bcd bcd, bcd. " * 200)
    recipe = Text(data=file, hidden=8, embedding=4, steps=1, learning_on=0.0)
    *_, last = training.train(recipe)
    file.write_text("aaaa" * 100 + "bcd bcd, bcd. " * 200)
    changed = replace(recipe)
    passage = changed.look(last.model.eval())[0]
    read = "".join(passage.inputs)
    assert "bcd bcd, bcd. bcd" in read
    assert set(read) == set("bcd ,.")


# --- where a reader stands in a text ---


def marked(text: str, property: str) -> str:
    there = properties(list(text))[property][:, 0]
    return "".join("x" if flag else "." for flag in there.tolist())


def test_inside_quotes() -> None:
    assert marked('a "bc" d', "inside quotes") == "..xxx..."
    assert marked("a “bc” «d» 'e'", "inside quotes") == "..xxx..xx....."
    assert marked("it's \"x", "inside quotes") == "......."  # never closed
    assert marked('a = \'"\' + "b"', "inside quotes") == ".........." + "xx."
    assert marked('"""a "b" c"""d', "inside quotes") == "x" * 12 + ".."
    assert marked('"' + "a" * 501 + '"b"', "inside quotes")[-3:] == "xx."


def test_inside_brackets() -> None:
    assert marked("a(b[c]d)e", "inside brackets") == ".xxxxxx.."
    assert marked("a)b(c", "inside brackets") == "...xx"
    assert marked("(a\n\nb", "inside brackets") == "xxx.."


def test_line_position() -> None:
    assert properties(list("ab\ncd"))["line position"][:, 0].tolist() == [1, 2, 0, 1, 2]


def test_properties_are_those_behind_a_tokens_last_letter() -> None:
    found = properties(["a", ' "b', 'c"', " d"])
    assert found["inside quotes"][:, 0].tolist() == [False, True, False, False]
    assert found["line position"][:, 0].tolist() == [1, 4, 6, 8]


def test_pictures_go_through_no_link(adder: Path, tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "run"
    shutil.copytree(adder, folder, ignore=shutil.ignore_patterns("plots"))
    (tmp_path / "theirs").mkdir()
    (folder / "plots").symlink_to(tmp_path / "theirs")
    assert "plots is a link, which is not followed" in refused(capsys, folder, "--plots")
    assert not list((tmp_path / "theirs").iterdir())
