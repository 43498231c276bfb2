"""The bundle's inference.json, which predicts images without labels."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from monai_auxops.migrate.bundle.blocks import (
    CHECKPOINT_LOADER,
    DEVICE,
    LIST_KEY,
    ONE_BY_ONE,
    Block,
    activation,
    channels_first,
    component,
    compose,
    datalist,
    deterministic,
    objects,
    single,
    without,
)
from monai_auxops.migrate.bundle.evaluate import list_key
from monai_auxops.migrate.bundle.train import preprocessing
from monai_auxops.migrate.encode import Expr, literal
from monai_auxops.migrate.rules.paths import leaves

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.rules.facts import Facts


def inference_json(
    train: ConvertedConfig, evaluation: ConvertedConfig | None, data: Block, network_def: Block
) -> Block:
    """Return the configuration that predicts images without labels."""
    facts = evaluation.facts[""] if evaluation is not None else train.facts.get("validate", train.facts["train"])
    key = list_key(evaluation) if evaluation is not None else (facts.data_key or "validation")
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
        "data": datalist(LIST_KEY, facts),
        "dataset": component("Dataset", data=Expr("@data"), transform=Expr("@preprocessing")),
        "dataloader": {**ONE_BY_ONE, "dataset": Expr("@dataset")},
        "inferer": single(_inferer(train, evaluation), component("SimpleInferer")),
        "postprocessing": compose(post),
        "handlers": [CHECKPOINT_LOADER, *handlers],
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


def _inferer(train: ConvertedConfig, evaluation: ConvertedConfig | None) -> Converted | None:
    found = evaluation.first("", "inferer") if evaluation is not None else None
    return found or train.first("validate", "inferer")


def _images(train: ConvertedConfig, evaluation: ConvertedConfig | None) -> list[Block]:
    if evaluation is not None:
        return without(channels_first(evaluation.at("", "pre_transforms")), "label")
    part = "validate" if train.at("validate", "pre_transforms") else "train"
    kept = deterministic(train.at(part, "pre_transforms"))
    blocks = preprocessing(kept, train.facts[part])
    return [block for block in without(blocks, "label") if str(block.get("label_key", "")) != "label"]


def _results(evaluation: ConvertedConfig | None, facts: Facts) -> tuple[list[Block], list[Block]]:
    """Return handlers and post-processing; without an evaluation file the classes are written as NIfTI."""
    post = activation(facts, ["pred"])
    if evaluation is not None:
        writers = evaluation.at("", "writers")
        post += [*objects(evaluation.at("", "post_transforms")), *objects(writers)]
        return objects(writers, "handlers"), post or [component("EnsureTyped", keys=["pred"])]
    if facts.task == "classification":
        return [_saver_of_scores()], [component("Activationsd", keys=["pred"], sigmoid=True)]
    classes = {"threshold": 0.5} if facts.activation == "sigmoid" else {"argmax": True}
    return [], [*post, component("AsDiscreted", keys=["pred"], **classes), _saver_of_classes(facts)]


def _saver_of_scores() -> Block:
    return component(
        "ClassificationSaver",
        output_dir=Expr("@output_dir"),
        filename="preds_model.csv",
        batch_transform=Expr("$lambda batch: [item['image'].meta for item in batch]"),
        output_transform=Expr("$monai.handlers.from_engine('pred')"),
    )


def _saver_of_classes(facts: Facts) -> Block:
    layout = component(
        "monai_auxops.clara.CaseLayout",
        output_dir=Expr("@output_dir"),
        postfix="pred",
        extension=".nii.gz",
        data_root_dir=Expr("@dataset_dir"),
    )
    return component(
        "SaveImaged",
        keys=["pred"],
        output_ext=".nii.gz",
        output_dtype=Expr("$numpy.uint8"),
        resample=False,
        **({} if facts.spatial_dims == 3 else {"squeeze_end_dims": False}),
        folder_layout=layout,
    )
