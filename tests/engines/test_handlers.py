"""The same value in the console's text, in TensorBoard's file, in state.metrics."""

from __future__ import annotations

import io
import logging
import math
import re

import pytest
import torch
from ignite.engine import Engine, Events
from monai.handlers import StatsHandler, TensorBoardStatsHandler, ValidationHandler

import monai_auxops as ma
from tests.engines.conftest import TAGS

tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """What stands in the event files, read back."""
    reader = tensorboard.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def dice(**options) -> ma.DiceMaskedOutput:
    return ma.DiceMaskedOutput(TAGS, skip_background=True, **options)


@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize("handler", [TensorBoardStatsHandler, ma.AuxTensorBoardStatsHandler])
def test_tensorboard_holds_what_state_metrics_holds(engines, tmp_path, handler, decollate):
    seen: list[dict[str, float]] = []
    options = {} if handler is ma.AuxTensorBoardStatsHandler else {"output_transform": lambda output: None}
    trainer = engines.trainer(
        max_epochs=3,
        decollate=decollate,
        key_train_metric={"train_dice": dice()},
        additional_metrics={"train_negloss": ma.NegLoss("negloss")},
        train_handlers=[handler(log_dir=str(tmp_path), iteration_log=True, **options)],
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(dict(e.state.metrics)))
    trainer.run()
    found = scalars(tmp_path)
    for name in ("train_dice", "train_dice_a", "train_dice_b", "train_negloss"):
        tag = name.replace("train_", "train/") if handler is ma.AuxTensorBoardStatsHandler else name
        assert found[tag] == [(i, pytest.approx(m[name], abs=1e-6)) for i, m in enumerate(seen, 1)]
    if handler is ma.AuxTensorBoardStatsHandler:
        assert [step for step, _ in found["Loss"]] == list(range(1, 10))
        assert found["running/train/dice"][2][1] == pytest.approx(seen[0]["train_dice"], abs=1e-6)


@pytest.mark.parametrize("decollate", [True, False])
def test_the_console_prints_what_state_metrics_holds(engines, caplog, decollate):
    trainer = engines.trainer(
        max_epochs=1,
        decollate=decollate,
        key_train_metric={"train_dice": dice()},
        additional_metrics={"train_negloss": ma.NegLoss("negloss")},
        train_handlers=[ma.AuxStatsHandler(True, name="shown")],
    )
    with caplog.at_level(logging.INFO, logger="shown"):
        logging.getLogger("shown").propagate = True
        trainer.run()
    text = [record.getMessage() for record in caplog.records if record.name == "shown"]
    epoch = next(line for line in text if "Epoch[1] Metrics" in line)
    assert dict(re.findall(r"(\w+): (-?[\d.]+)", epoch.split("--")[1])) == {
        name: f"{value:.4f}" for name, value in trainer.state.metrics.items()
    }
    running = [line for line in text if "Iter:" in line]
    assert len(running) == 3
    assert f"train_dice: {trainer.state.metrics['train_dice']:.4f}" in running[-1]
    assert re.search(r"Loss: [\d.]+ train_dice: [\d.]+ ", running[0])


def test_do_print_and_do_summary_hide_the_values_from_our_handlers_only(engines, caplog, tmp_path):
    evaluator = engines.evaluator(
        key_val_metric={"val_dice": dice(do_print=False)},
        additional_metrics={"val_acc": ma.ComputeAccuracy("acc", do_summary=False)},
        val_handlers=[
            ma.AuxStatsHandler(True, name="ours"),
            StatsHandler(name="monais", output_transform=lambda output: None),
            ma.AuxTensorBoardStatsHandler(log_dir=str(tmp_path), iteration_log=True),
        ],
    )
    for name in ("ours", "monais"):
        logging.getLogger(name).propagate = True
    with caplog.at_level(logging.INFO):
        evaluator.run()
    lines = {name: [r.getMessage() for r in caplog.records if r.name == name] for name in ("ours", "monais")}
    ours = " ".join(line for line in lines["ours"] if "Key metric" not in line)
    assert "val_acc" in ours
    assert "val_dice" not in ours
    assert all(name in lines["monais"][0] for name in ("val_acc", "val_dice", "val_dice_a", "val_dice_b"))
    shown = set(scalars(tmp_path))
    assert {"val/dice", "val/dice_a", "val/dice_b", "running/val/dice"} <= shown
    assert not {"val/acc", "running/val/acc"} & shown


def test_a_nan_key_metric_is_shown_as_nan(engines, caplog, tmp_path):
    class Nothing(ma.AuxiliaryOperation):
        accumulated = ("nothing",)

        def get_output_tensors(self, predictions, label, build_ctx):
            return {"nothing": torch.tensor(math.nan)}

    evaluator = engines.evaluator(
        key_val_metric={"val_nothing": Nothing()},
        val_handlers=[
            ma.AuxStatsHandler(name="nan", iteration_log=False),
            ma.AuxTensorBoardStatsHandler(log_dir=str(tmp_path), iteration_log=False),
        ],
    )
    with caplog.at_level(logging.INFO, logger="nan"):
        logging.getLogger("nan").propagate = True
        with pytest.warns(UserWarning, match="nothing to measure"):
            evaluator.run()
    assert math.isnan(evaluator.state.metrics["val_nothing"])
    assert any("val_nothing: nan" in record.getMessage() for record in caplog.records)
    assert math.isnan(scalars(tmp_path)["val/nothing"][0][1])


def test_a_users_losses_stay_beside_the_running_means(engines, caplog):
    handler = ma.AuxStatsHandler(True, name="losses", output_transform=lambda output: {"first": 1.5, "second": 2.5})
    evaluator = engines.evaluator(key_val_metric={"val_acc": ma.ComputeAccuracy("acc")}, val_handlers=[handler])
    with caplog.at_level(logging.INFO, logger="losses"):
        logging.getLogger("losses").propagate = True
        evaluator.run()
    assert re.search(r"first: 1.5000 second: 2.5000 val_acc: [\d.]+", caplog.records[0].getMessage())


def test_handlers_work_on_an_engine_without_aux_ops(caplog, tmp_path):
    engine = Engine(lambda engine, batch: {"loss": 0.5})
    ma.AuxStatsHandler(True, name="bare").attach(engine)
    ma.AuxTensorBoardStatsHandler(log_dir=str(tmp_path), iteration_log=1).attach(engine)
    with caplog.at_level(logging.INFO, logger="bare"):
        logging.getLogger("bare").propagate = True
        engine.run([0])
    assert "Loss: 0.5000" in caplog.text
    assert scalars(tmp_path) == {"Loss": [(1, 0.5)]}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console(engines, stream, **printed):
    trainer = engines.trainer(max_epochs=3, decollate=False, key_train_metric={"train_dice": dice()})
    evaluator = engines.evaluator(
        trainer.network,
        key_val_metric={"val_mean_dice": ma.ComputeAverage("mean_dice", "dice")},
        additional_metrics={"val_dice": dice(**{"do_print": False, **printed})},
    )
    ma.AuxConsoleHandler(evaluator, stream).attach(trainer)
    ValidationHandler(2, evaluator).attach(trainer)  # attached later, and yet before the line
    trainer.run()
    return trainer, evaluator


def test_one_aligned_line_per_epoch(engines):
    text = io.StringIO()
    trainer, evaluator = console(engines, text)
    groups, names, *lines = text.getvalue().splitlines()
    assert groups.replace("─", "").split() == ["train", "val"]
    assert names.split() == ["epoch", "loss", "dice", "dice_a", "dice_b", "mean_dice"]
    assert [line.split()[0] for line in lines] == ["1/3", "2/3", "3/3"]
    assert len(lines[0].split()) == 5  # no validation in the first epoch
    assert lines[1].endswith(f"{evaluator.state.metrics['val_mean_dice']:.4f}  best")
    assert f"{trainer.state.metrics['train_dice']:.4f}" in lines[2]
    assert lines[1].index(f"{evaluator.state.metrics['val_mean_dice']:.4f}") + 6 == len(names) == len(groups)
    assert "\x1b" not in text.getvalue()


def test_a_value_that_repeats_the_key_metric_has_no_column(engines):
    text = io.StringIO()
    console(engines, text, do_print=True)
    _, names, *lines = text.getvalue().splitlines()
    assert names.split() == ["epoch", "loss", "dice", "dice_a", "dice_b", "mean_dice", "dice_a", "dice_b"]
    assert len(lines[1].split()) == len(names.split()) + 1  # the mark of the best


def test_the_loss_may_be_one_tensor_that_changes(engines):
    """As of a captured graph; batches wait to be added."""
    loss, text = torch.zeros(()), io.StringIO()
    engine = Engine(lambda engine, batch: {"pred": torch.zeros(1, 2, 2), "label": None, "loss": loss.fill_(batch)})
    ma.AuxConsoleHandler(stream=text).attach(engine)
    engine.run([1.0, 2.0, 3.0, 4.0])
    assert "2.5000" in text.getvalue()


def test_a_terminal_gets_a_bar_and_color_unless_no_color(engines, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = Terminal()
    console(engines, text)
    assert "epoch 1:" in text.getvalue()
    assert "\x1b[1;32m" in text.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    text = Terminal()
    console(engines, text)
    assert "\x1b[1;32m" not in text.getvalue()


def test_a_narrow_terminal_leaves_columns_out_and_says_so(engines, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    text = Terminal()
    console(engines, text)
    lines = [line for line in text.getvalue().replace("\r", "\n").splitlines() if re.match(r"\s*(epoch  |\d/3)", line)]
    assert lines[0].split() == ["epoch", "mean_dice", "+4", "more"]  # the key metric stays
    assert max(len(line) for line in lines) <= 30


@pytest.mark.parametrize(
    ("length", "steps"), [(3, [3, 6]), (49, [49, 50, 98]), (60, [50, 100]), (100, [50, 100, 150, 200])]
)
def test_every_training_has_a_loss_curve(tmp_path, length, steps):
    engine = Engine(lambda engine, batch: {"loss": engine.state.iteration / 10})
    ma.AuxTensorBoardStatsHandler(log_dir=str(tmp_path)).attach(engine)
    engine.run([0] * length, max_epochs=2)
    assert [step for step, _ in scalars(tmp_path)["Loss"]] == steps


def test_a_short_validation_writes_no_running_values(engines, tmp_path):
    evaluator = engines.evaluator(
        key_val_metric={"val_dice": dice()}, val_handlers=[ma.AuxTensorBoardStatsHandler(log_dir=str(tmp_path))]
    )
    trainer = engines.trainer(max_epochs=2, decollate=False, train_handlers=[ValidationHandler(1, evaluator)])
    trainer.run()
    assert not [name for name in scalars(tmp_path) if name.startswith("running/")]
