"""The bundle's evaluate.json: the evaluation of the best model, as overrides of train.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.blocks import (
    CHECKPOINT_LOADER,
    LIST_KEY,
    ONE_BY_ONE,
    Block,
    activation,
    channels_first,
    component,
    compose,
    datalist,
    label_vector,
    object_block,
    objects,
    present,
    rebase,
    single,
)
from monai_auxops.migrate.bundle.metrics import validate_metrics
from monai_auxops.migrate.bundle.train import evaluator
from monai_auxops.migrate.conversion.name_checks import key_metric, metrics_of
from monai_auxops.migrate.encode import Expr

if TYPE_CHECKING:
    from monai_auxops.migrate.conversion.config import ConvertedConfig
    from monai_auxops.migrate.conversion.convert import Converted
    from monai_auxops.migrate.rules.facts import Facts

_EVALUATE: Final = {"@preprocessing": "@validate#preprocessing", "@dataset": "@validate#dataset"}


def evaluate_json(train: ConvertedConfig, evaluation: ConvertedConfig | None) -> Block:
    """Return the evaluation of the best model, as overrides of train.json."""
    if evaluation is None:
        handlers = [CHECKPOINT_LOADER, component("monai_auxops.AuxStatsHandler", iteration_log=False)]
        return {Expr("validate#handlers"): handlers, "run": [Expr("$@validate#evaluator.run()")]}
    return {
        "list_key": list_key(evaluation),
        "validate": rebase(_evaluation(train, evaluation), _EVALUATE),
        "run": [Expr("$@validate#evaluator.run()")],
    }


def _evaluation(train: ConvertedConfig, evaluation: ConvertedConfig) -> Block:
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
        "data": datalist(LIST_KEY, facts),
        "dataset": component("Dataset", data=Expr("@validate#data"), transform=Expr("@validate#preprocessing")),
        "dataloader": {**ONE_BY_ONE, "dataset": Expr("@validate#dataset")},
        "inferer": single(evaluation.first("", "inferer"), component("SimpleInferer")),
        **processing,
        "handlers": [CHECKPOINT_LOADER, component("monai_auxops.AuxStatsHandler", iteration_log=False)],
        **measures,
        "evaluator": evaluator({**processing, **measures}),
    }


def _image_and_label(images: list[Converted], labels: list[Converted], facts: Facts) -> list[Block]:
    if facts.task == "classification":
        return [*channels_first(images), label_vector()]
    return [*channels_first(images), *channels_first(labels)]


def list_key(evaluation: ConvertedConfig) -> str:
    """Return the list of the data list that an evaluation reads."""
    return str(evaluation.variables.values.get("DATA_LIST_KEY") or "validation")
