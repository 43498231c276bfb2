"""The handlers of trainer and evaluator: those that Clara always ran, and those that its configuration named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.blocks import Block, component, objects, stub
from monai_auxops.migrate.encode import Expr

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig

RANK_LOCAL: Final = ("StatsHandler", "CheckpointSaver", "AuxReportHandler")
"""Suffixes of the names of handlers that write files; on several GPUs only rank 0 has these handlers."""


def train_handlers(config: ConvertedConfig, validates: bool, names: list[str]) -> list[Block]:
    """Return the trainer's handlers."""
    slots = [block for entry in config.entries if entry.active for block in objects([entry], "train_handlers")]
    pipeline = config.first("train", "image_pipeline")
    slots += objects([pipeline], "handlers") if pipeline is not None else []
    validation, reporting = [], []
    if validates:
        interval = Expr("@val_interval")
        evaluator = Expr("@validate#evaluator")
        validation = [component("ValidationHandler", validator=evaluator, epoch_level=True, interval=interval)]
        reporting = report_handler(config, names)
    finetune = {
        **component("CheckpointLoader", load_path=Expr("@finetune"), load_dict={"model": Expr("@network")}),
        Expr("_disabled_"): Expr("$not @finetune"),
    }
    interval = Expr("$@summary_interval if @summary_interval > 0 else len(@train#dataloader)")
    own = [entry for entry in config.at("train", "handlers") if entry.manual]
    return [
        finetune,
        *validation,
        *slots,
        *(stub(entry) for entry in own),
        component("monai_auxops.AuxStatsHandler", tag_name="train_loss"),
        component(
            "monai_auxops.AuxTensorBoardStatsHandler",
            log_dir=Expr("@output_dir"),
            tag_name="train_loss",
            iteration_log=interval,
        ),
        *reporting,
        component(
            "CheckpointSaver",
            save_dir=Expr("@ckpt_dir"),
            save_dict={"model": Expr("@network")},
            save_final=True,
            final_filename="model_final.pt",
        ),
    ]


def report_handler(config: ConvertedConfig, names: list[str]) -> list[Block]:
    """Return the handler that records what ``monai-auxops report`` shows beside the curves."""
    facts = config.facts["train"]
    evaluator, log_dir = Expr("@validate#evaluator"), Expr("@output_dir")
    if facts.task == "classification":  # labels are vectors, not images
        options = {"worst": 0, "matrix": False}
        return [component("monai_auxops.AuxReportHandler", evaluator=evaluator, **options, log_dir=log_dir)]
    exclusive = facts.activation == "softmax" and not facts.label_onehot and facts.label_channels == 1
    return [
        component(
            "monai_auxops.AuxReportHandler",
            evaluator=evaluator,
            interval=Expr("@val_interval"),
            **({} if facts.single else {"class_names": names}),
            matrix=exclusive,
            log_dir=log_dir,
        )
    ]


def val_handlers(config: ConvertedConfig, key: bool) -> list[Block]:
    """Return the evaluator's handlers."""
    slots = [block for entry in config.entries if entry.active for block in objects([entry], "val_handlers")]
    saver = component(
        "CheckpointSaver",
        save_dir=Expr("@ckpt_dir"),
        save_dict={"model": Expr("@network")},
        save_key_metric=True,
        key_metric_filename="model.pt",
    )
    return [
        *slots,
        component("monai_auxops.AuxStatsHandler", iteration_log=False),
        component("monai_auxops.AuxTensorBoardStatsHandler", log_dir=Expr("@output_dir"), iteration_log=False),
        *([saver] if key else []),
    ]
