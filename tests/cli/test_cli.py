"""The command line: what it prints, and that every mistake is one sentence and exit status 2."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from claims import claim
from fresh import FreshPython
from unrolled import cli, recipes
from unrolled.cli.main import COMMANDS
from unrolled.training import runs

Captured = pytest.CaptureFixture[str]

QUICK = ["--steps", "4", "--hidden", "3", "--bits", "4", "--report-every", "2"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, trained once."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert cli.main(["train", "adder", *QUICK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def trained(finished: Path) -> Path:
    """A copy of it, at ``run``."""
    return Path(shutil.copytree(finished, "run"))


def run(capsys: Captured, *words: str) -> tuple[int, str, str]:
    status = cli.main(list(words))
    out, err = capsys.readouterr()
    return status, out, err


def refused(capsys: Captured, *words: str) -> str:
    """The one sentence with which the command line declines."""
    status, _, err = run(capsys, *words)
    assert status == 2
    assert err.startswith("unrolled: ")
    assert err.count("\n") == 1
    return err


# --- what works ---


def test_help_names_every_command(capsys: Captured) -> None:
    for words in (["--help"], ["-h"], ["help"]):
        status, out, _ = run(capsys, *words)
        assert status == 0
        for name in COMMANDS:
            assert f"unrolled {name}" in out
    assert run(capsys)[0] == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(capsys: Captured, name: str) -> None:
    status, out, err = run(capsys, name, "--help")
    assert (status, err) == (0, "")
    assert f"usage: unrolled {name}" in out


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipes_help_has_every_field_with_its_reason(capsys: Captured, name: str) -> None:
    import dataclasses

    status, out, _ = run(capsys, "train", name, "--help")
    assert status == 0
    for field in dataclasses.fields(recipes.find(name).recipe):
        assert f"--{field.name.replace('_', '-')}" in out
    words = " ".join(out.replace("│", "").split())
    for flag in ("--published", "--out", "--resume", "--save-every"):
        assert flag in words


def test_version(capsys: Captured) -> None:
    from unrolled import __version__

    assert run(capsys, "--version")[1] == f"unrolled {__version__} (torch {torch.__version__})\n"


def test_list_names_every_recipe(capsys: Captured) -> None:
    status, out, _ = run(capsys, "list")
    assert status == 0
    for name in recipes.names():
        assert name in out
        assert recipes.find(name).source in out


def test_train_show_and_try(capsys: Captured) -> None:
    status, out, _ = run(capsys, "train", "adder", *QUICK)
    assert status == 0
    assert "step 4/4" in out
    assert "Pred:" in out
    shown = run(capsys, "show", "runs/adder")[1]
    assert out.endswith(shown)
    for word in ("right_of_16384", "hidden = 3", "runs/adder/learning.png", "0.99", "step 4"):
        assert word in shown
    status, out, _ = run(capsys, "try", "runs/adder", "57", "68")
    assert status == 0
    assert out.splitlines()[-1].startswith("57 + 68 = ")


def test_runs_are_numbered(capsys: Captured) -> None:
    for _ in range(3):
        assert run(capsys, "train", "adder", *QUICK)[0] == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["adder", "adder-2", "adder-3"]
    status, out, _ = run(capsys, "train", "adder", "--resume", "--steps", "6")
    assert status == 0
    assert "runs/adder-3: 6 steps" in out


def fields(folder: str) -> dict[str, Any]:
    return runs.read_config(Path(folder)).fields


def test_published_and_flags_that_win_over_it(capsys: Captured) -> None:
    words = ["--published", "--steps", "2", "--seed", "3", "--out"]
    assert run(capsys, "train", "adder", *words, "a")[0] == 0
    assert run(capsys, "train", "adder", *words, "b", "--network", "elman", "--hidden", "5")[0] == 0
    lstm = recipes.find("adder").recipe(seed=3).published()
    assert fields("a") == runs.encode_fields(lstm) | {"steps": 2}
    elman = recipes.find("adder").recipe(seed=3, network="elman").published()
    assert fields("b") == runs.encode_fields(elman) | {"steps": 2, "hidden": 5}


def test_a_flag_that_is_the_default_wins_over_published(capsys: Captured) -> None:
    assert (
        run(capsys, "train", "adder", "--published", "--steps", "1", "--batch-size", "64")[0] == 0
    )
    assert fields("runs/adder")["batch_size"] == 64


def test_threads_are_one_or_those_of_the_run(capsys: Captured) -> None:
    before = torch.get_num_threads()
    for flags, threads in (([], 1), (["--threads", "2"], 2)):
        assert run(capsys, "train", "adder", *QUICK, *flags, "--out", f"run-{threads}")[0] == 0
        assert runs.read_config(Path(f"run-{threads}")).threads == threads
    again = ("--resume", "--steps", "6", "--out", "run-2")
    assert run(capsys, "train", "adder", *QUICK[2:], *again)[0] == 0
    assert runs.read_config(Path("run-2")).threads == 2
    assert torch.get_num_threads() == before
    for wrong in ("0", "99999"):
        said = refused(capsys, "train", "adder", "--threads", wrong)
        assert f"--threads {wrong} makes no sense: expected 1 to 1024" in said


def test_the_published_figure_stands_beside_what_it_is_of(capsys: Captured) -> None:
    Path("data.csv").write_text("n\n" + "\n".join(str(k * k % 17) for k in range(60)) + "\n")
    flags = ["--steps", "2", "--hidden", "2"]
    own = run(capsys, "train", "series", *flags, "--data", "data.csv", "--column", "n")[1]
    assert "document 003's cosine" not in own
    cosine = run(capsys, "train", "series", *flags)[1]
    assert "document 003's cosine" in cosine


def test_a_recipe_by_its_path(capsys: Captured) -> None:
    from any_recipe import FILE

    Path("my recipe.py").write_text(FILE)
    assert run(capsys, "train", "my recipe.py", "--steps", "2")[0] == 0
    assert run(capsys, "train", "my recipe.py", "--resume", "--steps", "3")[0] == 0
    assert "bias" in run(capsys, "show", "runs/my recipe")[1]
    for words in (["--trust", "-x", "--y"], ["-x", "--y", "--trust"]):
        told = run(capsys, "try", "runs/my recipe", *words)
        assert told == (0, "-x --y\n", "")
    assert run(capsys, "try", "runs/my recipe", "-x", "--trust", "--y") == (0, "-x --y\n", "")


def test_show_of_a_run_that_was_stopped_says_how_to_go_on(capsys: Captured, trained: Path) -> None:
    (trained / runs.RESULT).unlink()
    out = run(capsys, "show", "run")[1]
    assert "the last report is of step 4" in out
    assert "unrolled train adder --resume --out run" in out


def test_a_finished_run_says_so(capsys: Captured, trained: Path) -> None:
    status, out, _ = run(capsys, "train", "adder", "--resume", "--out", "run")
    assert status == 0
    assert "finished already" in out


def test_a_live_line_on_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, out, _ = run(capsys, "train", "adder", *QUICK)
    assert status == 0
    assert "steps/s" in out
    assert "Pred:" in out
    assert "\x1b[" in out


# --- being stopped ---

INTERRUPTING = """
import os, signal
from unrolled.recipes.adder import Recipe as Adder
from dataclasses import dataclass
@dataclass(frozen=True)
class Recipe(Adder):
    hidden: int = 3
    bits: int = 4
    steps: int = 8
    report_every: int = 3
    def metrics(self, model):
        for _ in range(int(os.environ.get("TIMES", "0"))):
            os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
        return super().metrics(model)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_saves_and_says_how_to_go_on(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    Path("stops.py").write_text(INTERRUPTING)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert run(capsys, "train", "stops.py", "--out", "straight")[0] == 0
    monkeypatch.setenv("SIGNAL", name)
    monkeypatch.setenv("TIMES", "1")
    status, out, err = run(capsys, "train", "stops.py", "--out", "my run")
    assert (status, err) == (128 + getattr(signal, name), "")
    lines = out.splitlines()
    assert lines[-2] == "Stopped after step 3 of 8. To go on:"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    monkeypatch.setenv("TIMES", "0")
    again = shlex.split(lines[-1])
    assert again[0] == "unrolled"
    status, out, _ = run(capsys, *again[1:])
    assert status == 0
    assert "step 6/8" in out
    assert Path("my run", runs.WEIGHTS).read_bytes() == Path("straight", runs.WEIGHTS).read_bytes()


def test_a_second_ctrl_c_stops_at_once(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("stops.py").write_text(INTERRUPTING)
    monkeypatch.setenv("SIGNAL", "SIGINT")
    monkeypatch.setenv("TIMES", "2")
    status, _, err = run(capsys, "train", "stops.py", "--out", "run")
    assert (status, err) == (130, "unrolled: stopped at once.\n")


def test_a_loss_that_is_not_finite_is_a_sentence(capsys: Captured) -> None:
    words = ["--optimizer", "SGD", "--learning-rate", "1e38", "--clip", "0", "--out", "run"]
    status, _, err = run(capsys, "train", "adder", *words)
    assert status == 1
    assert err.startswith("unrolled: step ")
    assert "keeps the weights of step" in err
    assert err.count("\n") == 1
    assert run(capsys, "try", "run", "1", "2")[0] == 0


# --- what is wrong is one sentence ---


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tran", "did you mean 'train'"),
        ("--frob", "is not a command"),
        ("train", "needs a recipe"),
        ("train --steps 3", "needs a recipe"),
        ("train ader", "did you mean 'adder'"),
        ("train nope.py", "does not exist"),
        ("train adder --stps 3", "did you mean '--steps'?"),
        ("train adder --frobnicate", "--frobnicate is not a flag"),
        ("train adder 3", "one word too many"),
        ("train adder --steps", "--steps"),
        ("train adder --steps x", "'x'"),
        ("train adder --steps -5", "steps = -5"),
        ("train adder --steps 1.5", "'1.5'"),
        ("train adder --seed -1", "seed = -1"),
        ("train adder --learning-rate nan", "learning_rate = nan"),
        ("train adder --learning-rate 0", "learning_rate = 0"),
        ("train adder --optimizer adm", "did you mean 'Adam'"),
        ("train adder --optimizer LBFGS", "declined"),
        ("train adder --optimizer Muon", "does not take this model"),
        ("train adder --network lstm", "network = 'lstm'"),
        ("train adder --activation soft", "tanh"),
        ("train adder --save-every -1", "--save-every -1"),
        ("train adder --save-every nan", "--save-every nan"),
        ("train adder --out file", "is a file"),
        ("train adder --out .", "not empty"),
        ("train adder --out run", "--resume"),
        ("train adder --resume", "no run of adder"),
        ("train adder --resume --out nowhere", "does not exist"),
        ("train adder --resume --out .", "is not a run"),
        ("train adder --resume --out empty", "begun again with its flags"),
        ("train adder --resume --out run --hidden 4", "--hidden 4 contradicts"),
        ("train adder --resume --out run --steps 3", "--steps 3 contradicts"),
        ("train adder --resume --out run --published", "contradicts"),
        ("train series --resume --out run", "is a run of adder"),
        ("show", "DIR"),
        ("show run more", "more"),
        ("show nowhere", "does not exist"),
        ("show .", "is not a run"),
        ("show file", "is not a run"),
        ("try", "DIR"),
        ("try nowhere 1 2", "does not exist"),
        ("try run", "given 0"),
        ("try run 1 -2", "'-2'"),
        ("list more", "more"),
    ],
)
def test_bad_input(capsys: Captured, trained: Path, words: str, message: str) -> None:
    Path("file").touch()
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    assert message in refused(capsys, *words.split())
    assert sorted(path for path in Path().rglob("*") if path.name != "runs") == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b""),
        ("config.json", b'{"recipe": "adder"}'),
        ("config.json", b"\xff"),
        ("config.json", {"recipe": "nope"}),
        ("config.json", {"recipe": "gone.py"}),
        ("config.json", {"fields": {}}),
        ("weights.safetensors", b""),
        ("weights.safetensors", b"\x00" * 100),
        ("weights.safetensors", None),
    ],
)
def test_a_damaged_run(capsys: Captured, trained: Path, name: str, content: Any) -> None:
    path = trained / name
    if content is None:
        path.unlink()
    elif isinstance(content, dict):
        claim(path, **content)
    else:
        path.write_bytes(content)
    refused(capsys, "try", "run", "1", "2")
    if isinstance(content, bytes) and name == "config.json":
        refused(capsys, "show", "run")


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "resume.safetensors"])
def test_a_damaged_file_of_a_run(capsys: Captured, trained: Path, name: str) -> None:
    path = trained / name
    path.write_bytes(b'{"step\n' + path.read_bytes()[:9])
    words = ["train", "adder", "--resume", "--out", "run"] if "resume" in name else ["show", "run"]
    assert name in refused(capsys, *words)


def test_weights_of_another_size(capsys: Captured, trained: Path) -> None:
    fields = runs.read_config(trained).fields
    claim(trained / runs.CONFIG, fields=fields | {"hidden": 4})
    assert "do not fit" in refused(capsys, "try", "run", "1", "2")


def test_a_run_of_a_stranger_runs_nothing_to_be_shown(capsys: Captured, trained: Path) -> None:
    Path("evil.py").write_text("raise SystemExit('run!')")
    claim(trained / runs.CONFIG, recipe=str(Path("evil.py")))
    assert run(capsys, "show", "run")[0] == 0


def test_a_missing_extra_is_a_sentence(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tyro" else find(name)
    )
    assert "pip install 'unrolled[cli]'" in refused(capsys, "train", "adder", *QUICK)


def test_the_command_is_installed_and_light(fresh_python: FreshPython) -> None:
    script = (
        "import sys, unrolled, unrolled.cli\n"
        "heavy = {'matplotlib', 'tyro', 'rich', 'statsmodels', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sys.exit(unrolled.cli.main(['show', 'nowhere']))\n"
    )
    done = fresh_python(script)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("unrolled: nowhere is not a run")
