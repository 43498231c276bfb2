"""The bundle's evaluate.json (over train.json), inference.json and multi_gpu_train.json."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.blocks import (
    DEVICE,
    Block,
    activation,
    channels_first,
    component,
    compose,
    datalist,
    deterministic,
    label_vector,
    object_block,
    objects,
    present,
    rebase,
    single,
    without,
)
from monai_auxops.migrate.bundle.handlers import RANK_LOCAL
from monai_auxops.migrate.bundle.metrics import validate_metrics
from monai_auxops.migrate.bundle.train import evaluator, preprocessing
from monai_auxops.migrate.conversion.cross_checks import key_metric, metrics_of
from monai_auxops.migrate.encode import Expr, literal
from monai_auxops.migrate.rules.paths import leaves

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import Config
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.rules.facts import Facts

_LOADER: Final = component(
    "CheckpointLoader", load_path=Expr("$@ckpt_dir + '/model.pt'"), load_dict={"model": Expr("@network")}
)
_DATALOADER: Final = component("DataLoader", batch_size=1, shuffle=False, num_workers=4)
_LIST_KEY: Final = Expr("@list_key")
_EVALUATE: Final = {"@preprocessing": "@validate#preprocessing", "@dataset": "@validate#dataset"}


def evaluate_json(train: Config, evaluation: Config | None) -> Block:
    """Return the evaluation of the best model, as overrides of train.json."""
    if evaluation is None:
        handlers = [_LOADER, component("monai_auxops.AuxStatsHandler", iteration_log=False)]
        return {Expr("validate#handlers"): handlers, "run": [Expr("$@validate#evaluator.run()")]}
    return {
        "list_key": _list_key(evaluation),
        "validate": rebase(_evaluation(train, evaluation), _EVALUATE),
        "run": [Expr("$@validate#evaluator.run()")],
    }


def _evaluation(train: Config, evaluation: Config) -> Block:
    facts = evaluation.facts[""]
    labels = evaluation.at("", "label_transforms")
    after = [entry for entry in labels if entry.creates]
    before = [entry for entry in labels if not entry.creates]
    post = [*activation(facts, ["pred"]), *objects(evaluation.at("", "post_transforms")), *objects(after)]
    metrics = [entry for entry in metrics_of(evaluation) if entry.built]
    key = key_metric(metrics)
    key_block = {key.args["name"]: object_block(key.built[0])} if key is not None else validate_metrics(train)[0]
    rest = {entry.args["name"]: object_block(entry.built[0]) for entry in metrics if entry is not key}
    processing = {"postprocessing": compose(post)} if post else {}
    measures = present(key_metric=key_block, additional_metrics=rest)
    return {
        "preprocessing": compose(_image_and_label(evaluation.at("", "pre_transforms"), before, facts)),
        "data": datalist(_LIST_KEY, facts),
        "dataset": component("Dataset", data=Expr("@validate#data"), transform=Expr("@validate#preprocessing")),
        "dataloader": {**_DATALOADER, "dataset": Expr("@validate#dataset")},
        "inferer": single(evaluation.first("", "inferer"), component("SimpleInferer")),
        **processing,
        "handlers": [_LOADER, component("monai_auxops.AuxStatsHandler", iteration_log=False)],
        **measures,
        "evaluator": evaluator({**processing, **measures}),
    }


def _image_and_label(images: list[Converted], labels: list[Converted], facts: Facts) -> list[Block]:
    if facts.task == "classification":
        return [*channels_first(images), label_vector()]
    return [*channels_first(images), *channels_first(labels)]


def _list_key(evaluation: Config) -> str:
    return str(evaluation.variables.values.get("DATA_LIST_KEY") or "validation")


def inference_json(train: Config, evaluation: Config | None, data: Block, network_def: Block) -> Block:
    """Return the configuration that predicts images without labels."""
    facts = evaluation.facts[""] if evaluation is not None else train.facts.get("validate", train.facts["train"])
    key = _list_key(evaluation) if evaluation is not None else (facts.data_key or "validation")
    handlers, post = _results(evaluation, facts)
    return {
        "bundle_root": ".",
        "ckpt_dir": Expr("$@bundle_root + '/models'"),
        "output_dir": _output_folder(facts),
        **data,
        "list_key": key,
        "device": DEVICE,
        "amp": train.settings["use_amp"],
        **({"patch_size": list(facts.patch_size)} if facts.patch_size else {}),
        "network_def": network_def,
        "network": Expr("$@network_def.to(@device)"),
        "preprocessing": compose(_images(train, evaluation)),
        "data": datalist(_LIST_KEY, facts),
        "dataset": component("Dataset", data=Expr("@data"), transform=Expr("@preprocessing")),
        "dataloader": {**_DATALOADER, "dataset": Expr("@dataset")},
        "inferer": single(_inferer(train, evaluation), component("SimpleInferer")),
        "postprocessing": compose(post),
        "handlers": [_LOADER, *handlers],
        "evaluator": component(
            "SupervisedEvaluator",
            device=Expr("@device"),
            val_data_loader=Expr("@dataloader"),
            network=Expr("@network"),
            inferer=Expr("@inferer"),
            postprocessing=Expr("@postprocessing"),
            val_handlers=Expr("@handlers"),
            amp=Expr("@amp"),
        ),
        "run": [Expr("$@evaluator.run()")],
    }


def _output_folder(facts: Facts) -> Expr:
    """Return the folder of the predictions: the folder that the inference names, inside the bundle."""
    named = facts.output_dir.removeprefix("./")
    usable = named and not leaves(named) and "{" not in named and not PurePosixPath(named).is_absolute()
    folder = named if usable else "eval"
    return Expr(f"$@bundle_root + {literal('/' + folder)}")


def _inferer(train: Config, evaluation: Config | None) -> Converted | None:
    found = evaluation.first("", "inferer") if evaluation is not None else None
    return found or train.first("validate", "inferer")


def _images(train: Config, evaluation: Config | None) -> list[Block]:
    if evaluation is not None:
        return without(channels_first(evaluation.at("", "pre_transforms")), "label")
    part = "validate" if train.at("validate", "pre_transforms") else "train"
    kept = deterministic(train.at(part, "pre_transforms"))
    blocks = preprocessing(kept, train.facts[part])
    return [block for block in without(blocks, "label") if str(block.get("label_key", "")) != "label"]


def _results(evaluation: Config | None, facts: Facts) -> tuple[list[Block], list[Block]]:
    """Return handlers and post-processing; without an evaluation file the classes are written as NIfTI."""
    post = activation(facts, ["pred"])
    if evaluation is not None:
        writers = evaluation.at("", "writers")
        post += [*objects(evaluation.at("", "post_transforms")), *objects(writers)]
        return objects(writers, "handlers"), post or [component("EnsureTyped", keys=["pred"])]
    if facts.task == "classification":
        saver = component(
            "ClassificationSaver",
            output_dir=Expr("@output_dir"),
            filename="preds_model.csv",
            batch_transform=Expr("$lambda batch: [item['image'].meta for item in batch]"),
            output_transform=Expr("$monai.handlers.from_engine('pred')"),
        )
        return [saver], [component("Activationsd", keys=["pred"], sigmoid=True)]
    classes = {"threshold": 0.5} if facts.activation == "sigmoid" else {"argmax": True}
    return [], [
        *post,
        component("AsDiscreted", keys=["pred"], **classes),
        component(
            "SaveImaged",
            keys=["pred"],
            output_ext=".nii.gz",
            output_dtype=Expr("$numpy.uint8"),
            resample=False,
            **({} if facts.spatial_dims == 3 else {"squeeze_end_dims": False}),
            folder_layout=component(
                "monai_auxops.clara.CaseLayout",
                output_dir=Expr("@output_dir"),
                postfix="pred",
                extension=".nii.gz",
                data_root_dir=Expr("@dataset_dir"),
            ),
        ),
    ]


def multi_gpu_json(train: Block) -> Block:
    """Return overrides of train.json for torchrun: samplers, a wrapped network, and local handlers on rank 0 only."""
    parts = {"train": "train_handlers", "validate": "val_handlers"}
    engines = {"train": "trainer", "validate": "evaluator"}
    found: Block = {
        "imports": [Expr("$import os"), Expr("$import torch.distributed as dist")],
        "device": Expr("$torch.device('cuda:' + os.environ['LOCAL_RANK'] if torch.cuda.is_available() else 'cpu')"),
        "network": component(
            "torch.nn.parallel.DistributedDataParallel",
            module=Expr("$@network_def.to(@device)"),
            device_ids=Expr("$[@device] if torch.cuda.is_available() else None"),
        ),
    }
    for part in (part for part in parts if part in train):
        sampler = component(
            "DistributedSampler",
            dataset=Expr(f"@{part}#dataset"),
            even_divisible=part == "train",
            shuffle=part == "train",
        )
        found[f"{part}#sampler"] = sampler
        found[f"{part}#dataloader#sampler"] = Expr(f"@{part}#sampler")
        found[f"{part}#dataloader#shuffle"] = False
        found[f"{part}#{engines[part]}#{parts[part]}"] = Expr(
            f"$[h for h in @{part}#handlers if dist.get_rank() == 0 or not type(h).__name__.endswith({RANK_LOCAL})]"
        )
    found["initialize"] = [
        Expr("$dist.is_initialized() or dist.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')"),
        Expr("$torch.cuda.set_device(@device) if torch.cuda.is_available() else None"),
        *train["initialize"],
    ]
    found["run"] = [Expr("$@train#trainer.run()")]
    found["finalize"] = [Expr("$dist.is_initialized() and dist.destroy_process_group()")]
    return {Expr(key): value for key, value in found.items()}
