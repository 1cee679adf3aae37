"""The examples run, each with the library itself, and what they print is so.

Each runs in a process of its own: what these libraries do to the one that imports them (a way to
start processes, a method of every object, handlers of logs) is not for other tests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import unrolled
from ecosystem_needs import needs
from fresh import FreshPython
from unrolled import CELLS

FOLDER = Path(__file__).parents[2] / "examples" / "ecosystem"

PLACES = [str(FOLDER), str(Path(unrolled.__file__).parents[1])]  # ours where it is not installed

RUN = """
import json, sys
import torch

torch.set_num_threads(1)
sys.path += {places!r}
import {name} as example
{code}
print(json.dumps({found}))
"""


@pytest.fixture
def run(fresh_python: FreshPython, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run an example in a folder of its own, and give what its ``main`` gives."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")

    def run(name: str, code: str = "", found: str = "example.main()") -> Any:
        given = RUN.format(places=PLACES, name=name, code=code, found=found)
        done = fresh_python(given)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_every_example_is_run_here_and_named_in_the_guide() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    guide = (FOLDER.parents[1] / "docs" / "guides" / "ecosystem.md").read_text(encoding="utf-8")
    for path in FOLDER.glob("*.py"):
        assert f'"{path.stem}"' in tests
        assert f"python examples/ecosystem/{path.name}" in guide


@needs("sb3_contrib")
def test_recurrent_ppo_without_its_loop_learns_the_same_weights(run: Any) -> None:
    apart, ratio = run("sb3_recurrent_ppo")
    assert apart < 1e-4
    assert ratio > 0


DEAF = """
class Deaf(example.WithoutLoop):
    @staticmethod
    def _process_sequence(features, states, starts, lstm):
        return example.WithoutLoop._process_sequence(features, states, 0 * starts, lstm)


right, wrong = (example.learned(policy, 256)[0] for policy in (example.WithoutLoop, Deaf))
"""


@needs("sb3_contrib")
def test_who_does_not_hear_where_an_episode_begins_learns_something_else(run: Any) -> None:
    """So that the comparison above can fail."""
    apart = "max(float((right[name] - wrong[name]).abs().max()) for name in right)"
    assert run("sb3_recurrent_ppo", DEAF, apart) > 1e-3


@needs("torchrl", "tensordict", "gymnasium")
def test_torchrls_module_gives_what_one_call_with_resets_gives(run: Any) -> None:
    *apart, episodes = run("torchrl_lstm_module")
    assert episodes > 2
    assert max(apart) < 1e-5


@needs("pytorch_lightning")
def test_lightning_trains_rows_of_different_lengths(run: Any) -> None:
    before, after = run("lightning_module")
    assert after < 0.05 < 1 < before


@needs("skorch")
def test_skorch_searches_the_cell(run: Any) -> None:
    score, best = run("skorch_net")
    assert score > 0.9
    assert best["module__cell"] in CELLS


@needs("captum")
def test_captums_shares_sum_to_the_change_and_it_finds_a_place(run: Any) -> None:
    missing, apart = run("captum_attribution")
    assert missing < 1e-4
    assert apart < 1e-6


@needs("opacus")
def test_opacus_trains_privately(run: Any) -> None:
    worst, before, after = run("opacus_private")
    assert worst < 1e-5
    assert after < before / 2


@needs("hydra")
def test_hydra_makes_a_layer_and_a_recipe(run: Any) -> None:
    made = "layer, step = example.main()"
    kind, peephole, step = run(
        "hydra_instantiate", made, "[type(layer).__name__, layer.cell.peephole, step]"
    )
    assert (kind, peephole, step) == ("LSTM", True, 40)


READ = """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

updates = example.main("board")
read = EventAccumulator("board")
read.Reload()
steps = [event.step for event in read.Scalars("loss")]
"""


@needs("tensorboard")
def test_tensorboard_reads_every_loss_back(run: Any) -> None:
    updates, steps, tags = run(
        "tensorboard_training", READ, '[updates, steps, read.Tags()["scalars"]]'
    )
    assert updates == 60
    assert steps == list(range(1, 61))
    assert [tag for tag in tags if tag.startswith("metrics/")]


@needs("mlflow")
def test_mlflow_keeps_every_loss(run: Any) -> None:
    kept = run("mlflow_training", found='example.main("mlflow")')
    assert [step for step, _ in kept] == list(range(1, 61))


@needs("nnsight")
def test_nnsight_reads_and_patches_a_place(run: Any) -> None:
    read, patched = run("nnsight_places")
    assert read < 1e-6
    assert patched < 1e-6
