"""Remarks on a whole file of Clara Train 4: sections, metrics, and mistakes that the bundle keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.clara4.components import METRICS, TRAIN, VALIDATE
from monai_auxops.migrate.clara4.config import Clara4Config, Role
from monai_auxops.migrate.clara4.sections import attribute, check_metrics
from monai_auxops.migrate.diagnostics import Log, did_you_mean
from monai_auxops.migrate.encode import UnsafeKeyError, check_key
from monai_auxops.migrate.reading.variables import ENVIRONMENT

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.item import Item
    from monai_auxops.migrate.reading.datalist import DataList
    from monai_auxops.migrate.reading.node import Node

_NEEDED: Final = ("model", "loss", "pre_transforms", "dataset")
_DEFAULTED: Final = {
    "train": {"optimizer": "Adam", "dataloader": "batches of 1", "trainer": "SupervisedTrainer"},
    "validate": {
        "pre_transforms": "no transforms", "dataset": "Dataset", "dataloader": "batches of 1",
        "evaluator": "SupervisedEvaluator",
    },
}  # fmt: skip
"""Sections that every published file has, and what the bundle has in their place."""
_SETTINGS: Final = frozenset(
    {
        "epochs", "num_interval_per_valid", "learning_rate", "amp", "multi_gpu", "use_gpu", "determinism",
        "cudnn_benchmark", "tf32", "dont_load_ckpt_model", "dont_load_ts_model", "CLARA_TRAIN_VERSION",
        "network_summary", "search", "print_conf", "disable_dlprof_debug", "dont_save_segmentation", "train",
        "validate", "model",
    }
)  # fmt: skip
_MOVES: Final = ("Spacingd", "Orientationd")
_LIST: Final = ("data_list_file_path", "data_list_key")
_SAVERS: Final = ("SaveImage", "SegmentationSaver")


def check(config: Clara4Config, log: Log) -> None:
    """Run every check of a file."""
    _sections(config, log)
    _defaults(config, log)
    _unknown_keys(config, log)
    for part in config.parts:
        check_metrics(config, part, log)
        _names(config, part, log)
        _channels_last(config, part, log)
        _class_indices(config, part, log)
        _inverted_alone(config, part, log)
        _choosing_savers(config, part, log)
        _lists(config, part, log)
    _epochs(config, log)


def _sections(config: Clara4Config, log: Log) -> None:
    train = config.root.get("train")
    for key in _NEEDED if config.role is Role.TRAIN and train is not None else ():
        if config.first("train", key) is None and train is not None:
            log.add("CT314", train.where, f'train has no "{key}"')


def _defaults(config: Clara4Config, log: Log) -> None:
    """Report a section that is missing or disabled and that a bundle cannot be without."""
    for part in config.parts:
        node = config.root.get(part) if part else config.root
        for key, default in _DEFAULTED[part or "validate"].items():
            if node is not None and config.first(part, key) is None:
                message = f'{part or config.file} has no "{key}" that is not disabled; the bundle has {default}'
                log.add("CT322", node.where, message)


def _unknown_keys(config: Clara4Config, log: Log) -> None:
    for part, known in (("", frozenset(VALIDATE)), ("train", frozenset(TRAIN)), ("validate", frozenset(VALIDATE))):
        node = config.root.get(part) if part else config.root
        for key, child in node.items() if node is not None else ():
            free = not part and (key in _SETTINGS | ENVIRONMENT or key in config.variables.read)
            if key not in known and not free:
                _report_key(key, child, known | _SETTINGS, log)


def _report_key(key: str, child: Node, known: frozenset[str], log: Log) -> None:
    if key.startswith("_"):
        log.add("CT311", child.where, f'"{key}" is a comment')
        return
    hint = did_you_mean(key, known - {key})
    code = "CT317" if hint or isinstance(child.value, dict | list) else "CT311"
    log.add(code, child.where, f'nothing reads "{key}"', hint)


def _names(config: Clara4Config, part: str, log: Log) -> None:
    """Refuse a metric's name that MONAI's parser would interpret."""
    for item in config.at(part, *METRICS):
        try:
            check_key(item.label)
        except UnsafeKeyError as error:
            log.add("CT602", item.occurrence.where, f"MONAI would interpret the name {error}")


def _channels_last(config: Clara4Config, part: str, log: Log) -> None:
    """Report an image that is resampled before its channel is first, so that its first axis counts as channels."""
    chain = config.at(part, "pre_transforms")
    names = [item.occurrence.name for item in chain]
    first = next((index for index, name in enumerate(names) if "Channel" in name), len(names))
    loads = any(name.startswith("Load") for name in names)
    for item in chain[:first] if loads else ():
        if item.occurrence.name in _MOVES:
            message = f"{item.occurrence.name} precedes the channel and treats the first axis as channels, as before"
            log.add("CT805", item.occurrence.where, message)


def _class_indices(config: Clara4Config, part: str, log: Log) -> None:
    """Report a metric that counts channels of a prediction that holds class indices."""
    discrete = [item for item in config.at(part, "post_transforms") if item.occurrence.name.startswith("AsDiscrete")]
    if not discrete or any("to_onehot" in block for item in discrete for block in item.blocks):
        return
    if not any(_argmax(block.get("argmax")) for item in discrete for block in item.blocks):
        return
    for item in config.at(part, *METRICS):
        if item.occurrence.name == "MeanDice" and not item.post:
            message = "MeanDice reads class indices as one channel, as before: add to_onehot for a value per class"
            log.add("CT805", item.occurrence.where, message)


def _lists(config: Clara4Config, part: str, log: Log) -> None:
    """Report a dataset that does not say which list it reads."""
    item = config.first(part, "dataset")
    if item is None or item.manual or item.given.get("data") is not None:
        return
    missing = [name for name in _LIST if not attribute(config, item, name) and item.occurrence.attribute(name) is None]
    if missing:
        message = f"{item.occurrence.name} has no {' and no '.join(missing)}; the bundle has its own default"
        log.add("CT322", item.occurrence.where, message)


def _choosing_savers(config: Clara4Config, part: str, log: Log) -> None:
    """Report a saver of the best model in a section without a metric that tells which is the best."""
    for item in config.at(part, "handlers") if not config.at(part, *METRICS, "aux_ops") else ():
        if item.occurrence.name == "CheckpointSaver" and item.given.get("save_key_metric"):
            log.add("CT501", item.occurrence.where, "CheckpointSaver saves the best model, but there is no metric")


def _argmax(value: object) -> bool:
    return any(value) if isinstance(value, list) else bool(value)


def _inverted_alone(config: Clara4Config, part: str, log: Log) -> None:
    """Report that prediction and label are compared on grids that the file does not make equal."""
    metrics = config.at(part, *METRICS)
    if not metrics or not inverts(config, part):
        return
    for item in config.at(part, "pre_transforms"):
        if item.occurrence.name not in _MOVES:
            continue
        keys = item.given.get("keys", [])
        names = [keys] if isinstance(keys, str) else keys
        moved = "the label too" if "label" in names else "the image alone"
        message = (
            f"{item.occurrence.name} moves {moved}, and the prediction is moved back before the metrics, as before"
        )
        log.add("CT805", item.occurrence.where, message)


def inverts(config: Clara4Config, part: str) -> bool:
    """Tell whether a section moves its predictions back to the image's own grid."""
    return any(_inverts(item) for item in config.at(part, "post_transforms", "handlers"))


def _inverts(item: Item) -> bool:
    return item.occurrence.name in ("Invertd", "InvertD", "InvertDict", "TransformInverter")


def check_saved_names(config: Clara4Config, data: DataList | None, log: Log) -> None:
    """Report what saves a file for each case under the name of its image, if two images share a name."""
    for part in config.parts if data is not None else ():
        key = attribute(config, config.first(part, "dataset"), "data_list_key")
        name = data.shared_names.get(key, "") if data is not None else ""
        for item in config.at(part, "post_transforms", "handlers") if name else ():
            if item.occurrence.name.startswith(_SAVERS) and not item.given.get("data_root_dir"):
                message = f'{item.occurrence.name} writes several images of "{key}" named {name} to one file, as before'
                log.add("CT805", item.occurrence.where, f"{message}: give data_root_dir")


def _epochs(config: Clara4Config, log: Log) -> None:
    epochs, interval = config.settings.get("epochs", 1), config.settings.get("val_interval", 1)
    node = config.root.get("validate")
    if config.role is Role.TRAIN and node is not None and interval > epochs:
        log.add("CT514", node.where, f"{epochs} epoch(s), and a validation after every {interval}")
