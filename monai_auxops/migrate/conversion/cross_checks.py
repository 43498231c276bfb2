"""Problems between components: sections, channels, tags, metrics, crops, batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.conversion.network import class_counts_told
from monai_auxops.migrate.diagnostics import Log, Where, did_you_mean
from monai_auxops.migrate.encode import UnsafeKeyError, check_key
from monai_auxops.migrate.rules.facts import QUESTIONS, Facts

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import Config
    from monai_auxops.migrate.conversion.convert import Converted

_CHAINS: Final = ("pre_transforms", "batch_transforms", "label_transforms", "post_transforms")
_FIELD_ARGUMENTS: Final = ("fields", "field", "image_field", "label_field")
_FIELDS: Final = ("model", "image", "label")
_ANSWERS: Final = {
    "activation": "softmax",
    "classes": "3",
    "label_format": "1,1,3 or DATASET_JSON=FILE",
    "roi_size": "96,96,96",
}
_NEEDED: Final = ("image_pipeline", "model", "loss")


def check_all(config: Config, log: Log) -> None:
    """Run every check that applies to a configuration."""
    for check in _TRAINING if config.trains else _EVALUATION:
        check(config, log)


def _sections(config: Config, log: Log) -> None:
    train = config.root.get("train")
    for key in _NEEDED:
        if train is not None and config.first("train", key) is None:
            log.add("CT314", train.where, f'train has no "{key}"')


def _tags(config: Config, log: Log) -> None:
    entries = config.at("train", "aux_ops", "metrics")
    for tag, count in Counter(name for entry in entries for name in entry.creates).items():
        last = [entry for entry in entries if tag in entry.creates][-1]
        if count > 1:
            log.add("CT505", last.component.where, f'the tag "{tag}" is used {count} times')
        _check_name(f"train_{tag}", last, log)


def _check_name(name: str, entry: Converted, log: Log) -> None:
    try:
        check_key(name)
    except UnsafeKeyError:
        log.add("CT602", entry.component.where, f"the name {name!r} would become a key that MONAI's parser interprets")


def metrics_of(config: Config) -> list[Converted]:
    """Return the metrics of the validation or the evaluation."""
    return config.at("validate", "metrics") if config.trains else config.at("", "val_metrics")


def key_metric(metrics: list[Converted]) -> Converted | None:
    """Return the metric that selects the best model: the marked one, or the first."""
    usable = [entry for entry in metrics if entry.built]
    return next((entry for entry in usable if entry.args.get("is_key_metric")), next(iter(usable), None))


def _key_metrics(config: Config, log: Log) -> None:
    metrics = metrics_of(config)
    keys = [entry for entry in metrics if entry.args.get("is_key_metric")]
    for extra in keys[1:]:
        log.add("CT502", extra.component.where, f'"{extra.args.get("name")}" is a second key metric')
    if config.trains and metrics and not keys:
        log.add("CT501", metrics[0].component.where, f'no metric is marked; "{metrics[0].args.get("name")}" is used')


def _metric_fields(config: Config, log: Log) -> None:
    known = {*_FIELDS, *(name for entry in config.entries if entry.active for name in entry.creates)}
    for entry in metrics_of(config):
        name = entry.args.get("name")
        if isinstance(name, str):
            _check_name(name, entry, log)
        for argument in ("field", "label_field"):
            field = entry.args.get(argument)
            if isinstance(field, str) and field not in known and field.removeprefix("val_") not in known:
                where = _argument(entry, argument)
                log.add("CT503", where, f'nothing produces the field "{field}"', did_you_mean(field, known))


def _label_against_itself(config: Config, log: Log) -> None:
    for entry in metrics_of(config):
        field = entry.args.get("field")
        if isinstance(field, str) and field == entry.args.get("label_field"):
            message = f'"{entry.args.get("name")}" compares the field "{field}" with itself, which is always 1'
            log.add("CT524", _argument(entry, "field"), message)


def _fields_of_transforms(config: Config, log: Log) -> None:
    """Report fields that no earlier loader or transform produces."""
    for parts in (("train",), ("validate",), ("",)):
        chain = [entry for part in parts for entry in config.at(part, *_CHAINS)]
        loads = [entry for entry in chain if any(built.target == "LoadImaged" for built in entry.built)]
        if not loads or any(entry.manual for entry in chain):
            continue
        known = {"model", *(field for entry in loads for field in _fields_of(entry))}
        known |= {name for entry in chain for name in entry.creates}
        known |= {"label"} if config.facts[parts[0]].task == "classification" else set()
        for entry in chain:
            _unloaded(entry, known, log)


def _unloaded(entry: Converted, known: set[str], log: Log) -> None:
    for argument in _FIELD_ARGUMENTS:
        given = entry.bound.given if argument in entry.args else frozenset()
        for field in _texts(entry.args[argument]) if argument in given else ():
            if field not in known:
                listed = f"write a list: {json.dumps(field.split(','))}" if "," in field else ""
                message = f'no transform loads the field "{field}"'
                log.add("CT526", _argument(entry, argument), message, listed or did_you_mean(field, known))


def _fields_of(entry: Converted) -> list[str]:
    return [field for argument in _FIELD_ARGUMENTS for field in _texts(entry.args.get(argument))]


def _texts(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, str)]


def _validation_channels(config: Config, log: Log) -> None:
    pipeline = config.first("validate", "image_pipeline")
    train, validate = config.facts["train"].in_channels, config.facts["validate"].in_channels
    if pipeline is not None and train != validate:
        message = f"output_image_channels is {train} in training and {validate} in validation"
        log.add("CT527", pipeline.component.where, message)


def _stride(config: Config, log: Log) -> None:
    facts, model = config.facts["train"], config.first("train", "model")
    if model is None or model.rule is None or all(side % facts.stride == 0 for side in facts.patch_size):
        return
    message = (
        f"{model.rule.name} halves its input down to 1/{facts.stride}; the crop {_by(facts.patch_size)} is no multiple"
    )
    log.add("CT528", model.component.where, message)


def _several_gpus(config: Config, log: Log) -> None:
    node = config.root.get("learning_rate") or config.root
    if config.variables.values.get("multi_gpu") is True:
        rate = config.settings["learning_rate"]
        log.add("CT529", node.where, f"multi_gpu is true: the learning_rate {rate} was chosen for several GPUs")


def _argument(entry: Converted, name: str) -> Where:
    node = entry.component.args.get(name) if entry.component.args is not None else None
    return node.where if node is not None else entry.component.where


def _unread(config: Config, log: Log) -> None:
    fields = [entry.args.get(name) for entry in metrics_of(config) for name in ("field", "label_field")]
    read = {field for field in fields if isinstance(field, str)}
    for entry in config.at("train", "aux_ops", "metrics"):
        if entry.rule is not None and not entry.rule.accumulates and not read & set(entry.creates):
            log.add("CT520", entry.component.where, f"no metric reads what {entry.rule.name} computes")


def _channels(config: Config, log: Log) -> None:
    facts, model = config.facts["train"], config.first("train", "model")
    if model is None or not facts.out_channels:
        return
    for entry in config.at("train", "loss", "aux_ops", "metrics"):
        onehot = entry.args.get("is_onehot_targets")
        if onehot and not facts.single and not facts.label_onehot and facts.label_channels not in (facts.channels,):
            message = f"is_onehot_targets with {facts.label_channels} label channel(s) and {facts.channels} classes"
            log.add("CT506", entry.component.where, message)


def _unknown(config: Config, log: Log) -> None:
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


def _label_format(config: Config, log: Log) -> None:
    facts, model = config.facts["train"], config.first("train", "model")
    outputs = sum(facts.known_label_format)
    if model is not None and outputs and facts.out_channels not in (None, outputs):
        message = f"label_format gives {outputs} outputs, num_classes {facts.out_channels}"
        log.add("CT511", model.component.where, message)


def _layout(config: Config, log: Log) -> None:
    facts, pipeline = config.facts["train"], config.first("train", "image_pipeline")
    if facts.channels_last and pipeline is not None:
        log.add("CT512", pipeline.component.where, "channels_last became channels first everywhere")


def _crops(config: Config, log: Log) -> None:
    facts, pipeline = config.facts["train"], config.first("train", "image_pipeline")
    if pipeline is not None and facts.crop_size and facts.patch_size and facts.crop_size != facts.patch_size:
        sizes = f"{_by(facts.crop_size)} in the pipeline, {_by(facts.patch_size)} in the crop transform"
        log.add("CT513", pipeline.component.where, f"crop sizes differ: {sizes}")


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _batches(config: Config, log: Log) -> None:
    facts, pipeline = config.facts["train"], config.first("train", "image_pipeline")
    images = 1 if facts.batched_by_transforms else facts.batch_size
    if pipeline is None or facts.samples == 1:
        return
    message = f"{images} image(s) x {facts.samples} crops = {images * facts.samples} samples per step, as in Clara"
    log.add("CT516", pipeline.component.where, message)


def _validation(config: Config, log: Log) -> None:
    epochs, interval = config.settings["epochs"], config.settings["num_training_epoch_per_valid"]
    node = config.root.get("validate")
    if node is not None and interval > epochs:
        log.add("CT514", node.where, f"{epochs} epoch(s), and a validation after every {interval}")


_TRAINING: Final[tuple[Callable[[Config, Log], None], ...]] = (
    _sections,
    _tags,
    _key_metrics,
    _metric_fields,
    _label_against_itself,
    _fields_of_transforms,
    _unread,
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
_EVALUATION: Final[tuple[Callable[[Config, Log], None], ...]] = (
    _key_metrics,
    _metric_fields,
    _label_against_itself,
    _fields_of_transforms,
)
