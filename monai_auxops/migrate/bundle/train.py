"""The bundle's train.json: one block per section, in the order of the model zoo's bundles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.bundle.blocks import (
    DEVICE,
    Block,
    activation,
    channels_first,
    component,
    compose,
    datalist,
    label_vector,
    present,
    rebase,
    single,
)
from monai_auxops.migrate.bundle.handlers import train_handlers, val_handlers
from monai_auxops.migrate.bundle.metrics import train_metrics, validate_metrics
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules.settings import SETTINGS

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.rules.facts import Facts

_ADAM: Final = component("torch.optim.Adam", params=Expr("$@network.parameters()"), lr=Expr("@learning_rate"))


def train_json(config: ConvertedConfig, data: Block, names: list[str]) -> Block:
    """Return the training configuration of the bundle; ``names`` are those of the output's channels."""
    facts = config.facts["train"]
    validates = config.root.get("validate") is not None and config.first("validate", "image_pipeline") is not None
    validation = {"validate": validate_block(config)} if validates else {}
    return {
        "bundle_root": ".",
        "ckpt_dir": Expr("$@bundle_root + '/models'"),
        "output_dir": Expr("$@bundle_root + '/eval'"),
        **data,
        "finetune": "",
        "device": DEVICE,
        **_settings(config),
        **present(patch_size=list(facts.patch_size)),
        **_network(config),
        "train": _train(config, validates, names),
        **validation,
        "initialize": _initialize(config),
        "run": [Expr("$@train#trainer.run()")],
    }


def _settings(config: ConvertedConfig) -> Block:
    values = {row.to: config.settings[row.name] for row in SETTINGS if row.to}
    return {name: value for name, value in values.items() if value is not None}


def _initialize(config: ConvertedConfig) -> list[Any]:
    seeded = config.settings["determinism"] is not None
    return [Expr("$monai.utils.set_determinism(seed=@seed)")] if seeded else []


def _network(config: ConvertedConfig) -> Block:
    lr_policy = config.first("train", "lr_policy")
    missing = component("scripts.manual.ClaraMissing")
    return {
        "network_def": single(config.first("train", "model"), missing),
        "network": Expr("$@network_def.to(@device)"),
        "loss": single(config.first("train", "loss"), missing),
        "optimizer": single(config.first("train", "optimizer"), _ADAM),
        **({"lr_scheduler": single(lr_policy, missing)} if lr_policy is not None else {}),
    }


def _train(config: ConvertedConfig, validates: bool, names: list[str]) -> Block:
    facts = config.facts["train"]
    pipeline = config.first("train", "image_pipeline")
    transforms = [*config.at("train", "pre_transforms"), *config.at("train", "batch_transforms")]
    key, additional = train_metrics(config)
    measures = present(key_metric=key, additional_metrics=additional)
    block = {
        "preprocessing": compose(preprocessing(transforms, facts)),
        "data": datalist(facts.data_key, facts),
        **_loading("train", pipeline),
        "inferer": component("SimpleInferer"),
        "handlers": train_handlers(config, validates, names),
        **measures,
        "trainer": component(
            "SupervisedTrainer",
            max_epochs=Expr("@epochs"),
            device=Expr("@device"),
            train_data_loader=Expr("@train#dataloader"),
            network=Expr("@network"),
            loss_function=Expr("@loss"),
            optimizer=Expr("@optimizer"),
            inferer=Expr("@train#inferer"),
            train_handlers=Expr("@train#handlers"),
            **_slots("train", measures),
            amp=Expr("@amp"),
        ),
    }
    return dict(rebase(block, {"@dataset": "@train#dataset", "@preprocessing": "@train#preprocessing"}))


def _slots(part: str, names: Iterable[str]) -> Block:
    """Return the arguments of an engine that refer to the optional blocks of its part."""
    arguments = {"train": {"key_metric": "key_train_metric"}, "validate": {"key_metric": "key_val_metric"}}
    return {arguments[part].get(name, name): Expr(f"@{part}#{name}") for name in names}


def preprocessing(transforms: list[Converted], facts: Facts) -> list[Block]:
    """Return the transforms of a part."""
    blocks = channels_first(transforms)
    return [*blocks, label_vector()] if facts.task == "classification" else blocks


def _loading(part: str, pipeline: Converted | None) -> Block:
    given = {"data": Expr(f"@{part}#data"), "transform": Expr(f"@{part}#preprocessing")}
    dataset = single(pipeline, component("Dataset"), "dataset")
    loader = single(pipeline, component("DataLoader", batch_size=1, num_workers=4), "dataloader")
    return {
        "dataset": {Expr("_target_"): dataset["_target_"], **given, **_arguments_of(dataset)},
        "dataloader": {
            Expr("_target_"): loader["_target_"],
            "dataset": Expr(f"@{part}#dataset"),
            **_arguments_of(loader),
        },
    }


def _arguments_of(block: Block) -> Block:
    return {key: value for key, value in block.items() if key != "_target_"}


def validate_block(config: ConvertedConfig) -> Block:
    """Return the validation that runs during training."""
    facts = config.facts["validate"]
    key, additional = validate_metrics(config)
    post = activation(facts, ["pred"])
    processing = {"postprocessing": compose(post)} if post else {}
    measures = present(key_metric=key, additional_metrics=additional)
    block = {
        "preprocessing": compose(preprocessing(config.at("validate", "pre_transforms"), facts)),
        "data": datalist(facts.data_key, facts),
        **_loading("validate", config.first("validate", "image_pipeline")),
        "inferer": single(config.first("validate", "inferer"), component("SimpleInferer")),
        **processing,
        "handlers": val_handlers(config, bool(key)),
        **measures,
        "evaluator": evaluator({**processing, **measures}),
    }
    return dict(rebase(block, {"@dataset": "@validate#dataset", "@preprocessing": "@validate#preprocessing"}))


def evaluator(optional: Block) -> Block:
    """Return the engine that validates, with the ``optional`` parts of its block that are there."""
    return component(
        "SupervisedEvaluator",
        device=Expr("@device"),
        val_data_loader=Expr("@validate#dataloader"),
        network=Expr("@network"),
        inferer=Expr("@validate#inferer"),
        **_slots("validate", optional),
        val_handlers=Expr("@validate#handlers"),
        amp=Expr("@amp"),
    )
