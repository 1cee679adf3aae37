"""The examples run, each with the library itself, and what they print is so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from ecosystem_needs import needs
from unrolled import CELLS, LSTM

FOLDER = Path(__file__).parents[2] / "examples" / "ecosystem"

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """One thread, a folder and an environment of its own; torch's state as it was."""
    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield
    torch.set_num_threads(threads)


def example(name: str) -> ModuleType:
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return import_module(name)


def test_every_example_is_run_here_and_named_in_the_guide() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    guide = (FOLDER.parents[1] / "docs" / "guides" / "ecosystem.md").read_text(encoding="utf-8")
    for path in FOLDER.glob("*.py"):
        assert f'example("{path.stem}")' in tests
        assert f"python examples/ecosystem/{path.name}" in guide


@needs("sb3_contrib")
def test_recurrent_ppo_without_its_loop_learns_the_same_weights() -> None:
    apart, ratio = example("sb3_recurrent_ppo").main()
    assert apart < 1e-4
    assert ratio > 0


@needs("sb3_contrib")
def test_recurrent_ppo_sees_where_an_episode_begins() -> None:
    """Without it, what is learnt is something else: the comparison above can fail."""
    ppo = example("sb3_recurrent_ppo")

    class Deaf(ppo.WithoutLoop):  # type: ignore[misc,name-defined]
        @staticmethod
        def _process_sequence(features: Any, states: Any, starts: Any, lstm: LSTM) -> Any:
            return ppo.WithoutLoop._process_sequence(features, states, 0 * starts, lstm)

    right, _ = ppo.learned(ppo.WithoutLoop, 256)
    wrong, _ = ppo.learned(Deaf, 256)
    assert max(float((right[name] - wrong[name]).abs().max()) for name in right) > 1e-3


@needs("torchrl", "tensordict", "gymnasium")
def test_torchrls_module_gives_what_one_call_with_resets_gives() -> None:
    *apart, episodes = example("torchrl_lstm_module").main()
    assert episodes > 2
    assert max(apart) < 1e-5


@needs("pytorch_lightning")
def test_lightning_trains_rows_of_different_lengths() -> None:
    before, after = example("lightning_module").main()
    assert after < 0.05 < 1 < before


@needs("skorch")
def test_skorch_searches_the_size_and_the_cell() -> None:
    score, best = example("skorch_net").main()
    assert score > 0.9
    assert best["module__cell"] in CELLS


@needs("captum")
def test_captums_shares_sum_to_the_change_and_it_finds_a_place() -> None:
    missing, apart = example("captum_attribution").main()
    assert missing < 1e-4
    assert apart < 1e-6


@needs("opacus")
def test_opacus_trains_privately() -> None:
    worst, before, after = example("opacus_private").main()
    assert worst < 1e-5
    assert after < before / 2


@needs("hydra")
def test_hydra_makes_a_layer_and_a_recipe() -> None:
    layer, step = example("hydra_instantiate").main()
    assert isinstance(layer, LSTM)
    assert layer.cell == CELLS["peephole"]
    assert step == 40


@needs("tensorboard")
def test_tensorboard_reads_every_loss_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert example("tensorboard_training").main(str(tmp_path / "board")) == 60
    read = EventAccumulator(str(tmp_path / "board"))
    read.Reload()
    assert [event.step for event in read.Scalars("loss")] == list(range(1, 61))
    assert [tag for tag in read.Tags()["scalars"] if tag.startswith("metrics/")]


@needs("mlflow")
def test_mlflow_keeps_every_loss(tmp_path: Path) -> None:
    kept = example("mlflow_training").main(str(tmp_path / "mlflow"))
    assert [step for step, _ in kept] == list(range(1, 61))


@needs("nnsight")
def test_nnsight_reads_and_patches_a_place() -> None:
    read, patched = example("nnsight_places").main()
    assert read < 1e-6
    assert patched < 1e-6
