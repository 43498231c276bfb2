"""The bundle's evaluate.json and inference.json: they are self-contained and work with the migrated weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.config import Role
from monai_auxops.migrate.clara4.item import Block, block_of
from monai_auxops.migrate.clara4.sections import LOADER, compose, data, objects, post_blocks, section, single
from monai_auxops.migrate.clara4.self_contained import OF_METRICS, OF_TRAINING, Separation, with_referenced
from monai_auxops.migrate.clara4.train import DEFAULTS, DEVICE, FOLDERS, initialize, switches
from monai_auxops.migrate.diagnostics import Where
from monai_auxops.migrate.encode import Expr, literal

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.config import Clara4Config
    from monai_auxops.migrate.diagnostics import Log

_SAVERS: Final = ("SaveImaged", "ClassificationSaver")
_READS_LABELS: Final = ("MetricsSaver", "CheckpointSaver", "ValidationHandler")


@dataclass(frozen=True, slots=True)
class EvaluatedNetwork:
    """The network of an evaluation: its definition if one is known, and the files of weights.

    ``scripted`` tells that the TorchScript file is used unless a setting says otherwise.
    """

    definition: Block | None
    checkpoint: str = "model.pt"
    script: str = "model.ts"
    scripted: bool = False

    def blocks(self) -> Block:
        """Return the network's entries at the top of a configuration."""
        script = f"torch.jit.load(@ckpt_dir + {literal('/' + self.script)}, map_location=@device)"
        if self.definition is None:
            return {"network": Expr(f"${script}")}
        return {
            "use_torchscript": self.scripted,
            "network_def": self.definition,
            "network": Expr(f"${script} if @use_torchscript else @network_def.to(@device)"),
        }

    def loader(self) -> list[Block]:
        """Return the handler that loads the checkpoint."""
        if self.definition is None:
            return []
        path = Expr(f"$@ckpt_dir + {literal('/' + self.checkpoint)}")
        block = block_of(LOADER, {"load_path": path, "load_dict": {"model": Expr("@network")}})
        return [{**block, Expr("_disabled_"): Expr("@use_torchscript")}]


def evaluate_json(config: Clara4Config, top: Block, model: EvaluatedNetwork, extra: Block, log: Log) -> Block:
    """Return the evaluation: its own file, or the validation of the training."""
    part = "" if config.role is not Role.TRAIN else "validate"
    apart = Separation(OF_TRAINING)
    handlers = [*model.loader(), *_handlers(config, part, apart)]
    found = {
        **_head(config, top, model),
        "validate": apart.section(section(config, part, handlers, extra), "evaluator"),
        "initialize": initialize(config),
        "run": [Expr("$@validate#evaluator.run()")],
    }
    _report(config, "evaluate.json", apart, log)
    return with_referenced(found, _of_training(config))


def inference_json(config: Clara4Config, top: Block, model: EvaluatedNetwork, log: Log) -> Block:
    """Return the inference: its own file, or an evaluation without its labels."""
    part = "" if config.role is not Role.TRAIN else "validate"
    own, apart = config.role is Role.INFER, Separation((*OF_TRAINING, *OF_METRICS))
    whole = apart.section(section(config, part, []), "evaluator")
    own_handlers = apart.blocks(_handlers(config, part, apart))
    handlers = [*model.loader(), *(block for block in own_handlers if own or not _reads_labels(block))]
    post = apart.blocks([*objects(config.at(part, "post_transforms")), *post_blocks(config, part)])
    kept = apart.blocks(objects(config.at(part, "pre_transforms")))
    if not own:
        kept, post = without_label(kept), _saving(without_label(post), _classifies(config), handlers)
    found = {
        **_head(config, top, model),
        "preprocessing": compose(kept),
        "data": data(config, part),
        "dataset": whole["dataset"],
        "dataloader": whole["dataloader"],
        "inferer": whole["inferer"],
        **({"postprocessing": compose(post)} if post else {}),
        "handlers": handlers,
        "evaluator": _without_metrics(whole["evaluator"], bool(post)),
        "run": [Expr("$@evaluator.run()")],
    }
    _report(config, "inference.json", apart, log)
    return with_referenced(dict(_refer_to_top(found)), _of_training(config))


def _of_training(config: Clara4Config) -> Block:
    """Return what an evaluation may borrow from its training: the settings, and a loss to measure."""
    loss = config.first("train", "loss")
    return {**DEFAULTS, **config.settings, **({"loss": single(loss, {})} if loss is not None else {})}


def _report(config: Clara4Config, file: str, apart: Separation, log: Log) -> None:
    for name in apart.left_out:
        log.add("CT809", Where(config.file), f"{name} works on the training and is left out of {file}")


def _head(config: Clara4Config, top: Block, model: EvaluatedNetwork) -> Block:
    amp = {"amp": config.settings.get("amp", False)}
    return {**FOLDERS, **top, "device": DEVICE, **amp, **switches(config, trains=False), **model.blocks()}


def _handlers(config: Clara4Config, part: str, apart: Separation) -> list[Block]:
    """Return the handlers without the one that loads, which the model brings, and the one that saves a model."""
    found = objects(apart.items(config.at(part, "handlers")))
    return [block for block in found if str(block["_target_"]) not in (LOADER, "CheckpointSaver")]


def _classifies(config: Clara4Config) -> bool:
    return str(config.variables.values.get("PROCESSING_TASK", "")) == "classification"


def _reads_labels(block: Block) -> bool:
    return str(block["_target_"]) in _READS_LABELS


def _without_metrics(engine: Block, post: bool) -> Block:
    dropped = {"key_val_metric", "additional_metrics", *(() if post else ("postprocessing",))}
    found = {key: value for key, value in engine.items() if key not in dropped}
    return {**found, "postprocessing": Expr("@postprocessing")} if post else found


def _refer_to_top(value: Any) -> Any:
    """Let references point to the top of the file instead of the section validate."""
    if isinstance(value, Expr):
        return Expr(value.replace("@validate#", "@"))
    if isinstance(value, Mapping):
        return {key: _refer_to_top(child) for key, child in value.items()}
    return [_refer_to_top(child) for child in value] if isinstance(value, list) else value


def without_label(blocks: list[Block], key: str = "label") -> list[Block]:
    """Return transforms without the label: its key, its item of every list, and what needs a label to work.

    Examples:
        >>> without_label([{"_target_": "Spacingd", "keys": ["image", "label"], "mode": ["bilinear", "nearest"]}])
        [{'_target_': 'Spacingd', 'keys': ['image'], 'mode': ['bilinear']}]
    """
    gone = {key}
    found = []
    for block in blocks:
        if any(str(block.get(name)) in gone for name in ("label_key", "source_key", "image_key")):
            continue
        keys = _texts_in(block.get("keys"))
        kept = [index for index, name in enumerate(keys) if name not in gone]
        if not kept and keys:
            gone.update(_made_by(block))
            continue
        found.append(block if len(kept) == len(keys) else _keep_positions(block, kept, len(keys)))
    return found


def _made_by(block: Block) -> list[str]:
    return _texts_in(block.get("names"))


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return [value] if isinstance(value, str) else []


def _keep_positions(block: Block, kept: list[int], length: int) -> Block:
    def narrow(value: Any) -> Any:
        whole = isinstance(value, list) and len(value) == length
        return [value[index] for index in kept] if whole else value

    return {key: narrow(value) for key, value in block.items()}


def _saving(post: list[Block], classifies: bool, handlers: list[Block]) -> list[Block]:
    """Write classes to a file if nothing else does; one-hot channels are for metrics only."""
    if any(str(block["_target_"]) in _SAVERS for block in [*post, *handlers]):
        return post
    if classifies:
        saver = {
            "output_dir": Expr("@output_dir"),
            "batch_transform": Expr("$lambda batch: [item['image'].meta for item in batch]"),
            "output_transform": Expr("$monai.handlers.from_engine(['pred'])"),
        }
        handlers.append(block_of("ClassificationSaver", saver))
        return post
    classes = [_as_classes(block) for block in post]
    image = {"keys": "pred", "output_dir": Expr("@output_dir"), "output_postfix": "seg", "resample": True}
    apart = {"data_root_dir": Expr("@dataset_dir")}  # cases in folders of their own may have files of one name
    return [*classes, block_of("SaveImaged", {**image, **apart})]


def _as_classes(block: Block) -> Block:
    if str(block["_target_"]) != "AsDiscreted" or not any(_flags(block.get("argmax"))):
        return block
    return {key: value for key, value in block.items() if key != "to_onehot"}


def _flags(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
