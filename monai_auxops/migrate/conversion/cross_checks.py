"""Problems between components: sections, channels, crops, batches, and those of names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.conversion.name_checks import (
    check_key_metrics,
    check_metric_fields,
    check_self_comparison,
    check_tags,
    check_transform_fields,
    check_unread_tags,
)
from monai_auxops.migrate.conversion.network import class_counts_told
from monai_auxops.migrate.rules.facts import QUESTIONS, Facts

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.diagnostics import Log

_ANSWERS: Final = {
    "activation": "softmax",
    "classes": "3",
    "label_format": "1,1,3 or DATASET_JSON=FILE",
    "roi_size": "96,96,96",
}
_NEEDED: Final = ("image_pipeline", "model", "loss")


def check_all(config: ConvertedConfig, log: Log) -> None:
    """Run every check that applies to a configuration."""
    for check in _TRAINING if config.trains else _EVALUATION:
        check(config, log)


def _sections(config: ConvertedConfig, log: Log) -> None:
    train = config.root.get("train")
    for key in _NEEDED:
        if train is not None and config.first("train", key) is None:
            log.add("CT314", train.where, f'train has no "{key}"')


def _validation_channels(config: ConvertedConfig, log: Log) -> None:
    pipeline = config.first("validate", "image_pipeline")
    train, validate = config.facts["train"].in_channels, config.facts["validate"].in_channels
    if pipeline is not None and train != validate:
        message = f"output_image_channels is {train} in training and {validate} in validation"
        log.add("CT527", pipeline.component.where, message)


def _stride(config: ConvertedConfig, log: Log) -> None:
    facts, model = config.facts["train"], config.first("train", "model")
    if model is None or model.rule is None or all(side % facts.stride == 0 for side in facts.patch_size):
        return
    message = (
        f"{model.rule.name} halves its input down to 1/{facts.stride}; the crop {_by(facts.patch_size)} is no multiple"
    )
    log.add("CT528", model.component.where, message)


def _several_gpus(config: ConvertedConfig, log: Log) -> None:
    node = config.root.get("learning_rate") or config.root
    if config.variables.values.get("multi_gpu") is True:
        rate = config.settings["learning_rate"]
        log.add("CT529", node.where, f"multi_gpu is true: the learning_rate {rate} was chosen for several GPUs")


def _channels(config: ConvertedConfig, log: Log) -> None:
    facts, model = config.facts["train"], config.first("train", "model")
    if model is None or not facts.out_channels:
        return
    for entry in config.at("train", "loss", "aux_ops", "metrics"):
        onehot = entry.args.get("is_onehot_targets")
        if onehot and not facts.single and not facts.label_onehot and facts.label_channels not in (facts.channels,):
            message = f"is_onehot_targets with {facts.label_channels} label channel(s) and {facts.channels} classes"
            log.add("CT506", entry.component.where, message)


def _unknown(config: ConvertedConfig, log: Log) -> None:
    """Ask once for what the network outputs, if a component needs it and nothing tells it."""
    model = config.first("train", "model")
    asked = {*(entry.asks for entry in config.entries), *_asked_by_the_bundle(config.facts["train"])} - {""}
    if model is None or not asked:
        return
    questions = " and ".join(QUESTIONS[name] for name in sorted(asked))
    told = ", ".join(f"{source}: {count}" for source, count in class_counts_told(config.facts["train"]))
    disagree = f" ({told})" if told and "classes" in asked else ""
    answers = " ".join(f"{name}={_ANSWERS[name]}" for name in sorted(asked))
    message = f"nothing says {questions}{disagree}"
    log.add("CT522", model.component.where, message, f"answer with --set {answers}")


def _asked_by_the_bundle(facts: Facts) -> Iterator[str]:
    """Yield what every bundle needs: its metadata name the channels, its post-processing activates a segmentation."""
    if not facts.out_channels and not facts.known_label_format:
        yield "classes"
    if facts.final_activation is None and facts.task == "segmentation":
        yield "activation"


def _label_format(config: ConvertedConfig, log: Log) -> None:
    facts, model = config.facts["train"], config.first("train", "model")
    outputs = sum(facts.known_label_format)
    if model is not None and outputs and facts.out_channels not in (None, outputs):
        message = f"label_format gives {outputs} outputs, num_classes {facts.out_channels}"
        log.add("CT511", model.component.where, message)


def _layout(config: ConvertedConfig, log: Log) -> None:
    facts, pipeline = config.facts["train"], config.first("train", "image_pipeline")
    if facts.channels_last and pipeline is not None:
        log.add("CT512", pipeline.component.where, "channels_last became channels first everywhere")


def _crops(config: ConvertedConfig, log: Log) -> None:
    facts, pipeline = config.facts["train"], config.first("train", "image_pipeline")
    if pipeline is not None and facts.crop_size and facts.patch_size and facts.crop_size != facts.patch_size:
        sizes = f"{_by(facts.crop_size)} in the pipeline, {_by(facts.patch_size)} in the crop transform"
        log.add("CT513", pipeline.component.where, f"crop sizes differ: {sizes}")


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _batches(config: ConvertedConfig, log: Log) -> None:
    facts, pipeline = config.facts["train"], config.first("train", "image_pipeline")
    images = 1 if facts.batched_by_transforms else facts.batch_size
    if pipeline is None or facts.samples == 1:
        return
    message = f"{images} image(s) x {facts.samples} crops = {images * facts.samples} samples per step, as in Clara"
    log.add("CT516", pipeline.component.where, message)


def _validation(config: ConvertedConfig, log: Log) -> None:
    epochs, interval = config.settings["epochs"], config.settings["num_training_epoch_per_valid"]
    node = config.root.get("validate")
    if node is not None and interval > epochs:
        log.add("CT514", node.where, f"{epochs} epoch(s), and a validation after every {interval}")


_TRAINING: Final[tuple[Callable[[ConvertedConfig, Log], None], ...]] = (
    _sections,
    check_tags,
    check_key_metrics,
    check_metric_fields,
    check_self_comparison,
    check_transform_fields,
    check_unread_tags,
    _unknown,
    _channels,
    _label_format,
    _layout,
    _crops,
    _batches,
    _validation,
    _validation_channels,
    _stride,
    _several_gpus,
)
_EVALUATION: Final[tuple[Callable[[ConvertedConfig, Log], None], ...]] = (
    check_key_metrics,
    check_metric_fields,
    check_self_comparison,
    check_transform_fields,
)
