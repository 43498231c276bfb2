"""The same values in MLflow, through MONAI's own handler and a store in a local file (MONAI refuses folders)."""

from __future__ import annotations

import math

import pytest
import torch
from monai.handlers import MLFlowHandler, ValidationHandler

import monai_auxops as ma
from tests.engines.conftest import Engines

for needed in ("mlflow", "sqlalchemy", "alembic"):
    pytest.importorskip(needed, reason="needs MLflow with a local store: pip install mlflow-skinny sqlalchemy alembic")


def dice() -> ma.DiceMaskedOutput:
    return ma.DiceMaskedOutput("dice", skip_background=True, class_names=["a", "b"], statistics=["global", "support"])


def test_every_value_of_every_epoch(tmp_path):
    from mlflow.tracking import MlflowClient

    engines, uri = Engines(), f"sqlite:///{tmp_path}/mlruns.db"
    store = {"tracking_uri": uri, "experiment_name": "auxops", "run_name": "one"}
    evaluator = engines.evaluator(
        key_val_metric={"val_dice": dice()}, val_handlers=[MLFlowHandler(**store, iteration_log=False)]
    )
    trainer = engines.trainer(evaluator.network, max_epochs=3, key_train_metric={"train_dice": dice()}, decollate=False)
    MLFlowHandler(**store, iteration_log=False, close_on_complete=False).attach(trainer)
    ValidationHandler(1, evaluator).attach(trainer)
    trainer.run()
    client = MlflowClient(uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "auxops"]
    (run,) = client.search_runs([experiment.experiment_id])
    names = ["dice", "dice/a", "dice/b", "dice_global", "dice_global/a", "support/b"]
    for engine, prefix in ((trainer, "train_"), (evaluator, "val_")):
        for name in (prefix + name for name in names):
            history = {m.step: m.value for m in client.get_metric_history(run.info.run_id, name)}
            assert sorted(history) == [1, 2, 3]
            shown = engine.state.metrics[name]
            assert history[3] == pytest.approx(shown) or (math.isnan(shown) and math.isnan(history[3]))
    assert torch.isfinite(torch.tensor(evaluator.state.metrics["val_dice"]))
