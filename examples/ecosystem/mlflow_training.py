"""MLflow, fed from the steps of `unrolled.training.train`, in a folder and without a server.

python examples/ecosystem/mlflow_training.py runs/mlflow
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from unrolled.recipes.adder import Recipe
from unrolled.training import train


def logged(folder: Path, steps: int = 60) -> list[tuple[int, float]]:
    """Train the adder, and give the losses as MLflow kept them."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder is all that is wanted here
    mlflow.set_tracking_uri(folder.resolve().as_uri())
    mlflow.set_experiment("adder")
    recipe = Recipe(steps=steps)
    with mlflow.start_run() as run:
        mlflow.log_params(dataclasses.asdict(recipe))
        for step in train(recipe):
            first = step.step - len(step.losses) + 1
            for number, loss in enumerate(step.losses, first):
                mlflow.log_metric("loss", loss, step=number)
            mlflow.log_metrics(step.metrics, step=step.step)
    kept = MlflowClient().get_metric_history(run.info.run_id, "loss")
    return [(metric.step, metric.value) for metric in kept]


def main(folder: str | None = None) -> list[tuple[int, float]]:
    with tempfile.TemporaryDirectory() as own:
        kept = logged(Path(folder or own))
    print(f"{len(kept)} losses kept, the last {kept[-1][1]:.3f} at step {kept[-1][0]}")
    return kept


if __name__ == "__main__":
    main(*sys.argv[1:2])
