"""A class that cannot serve in its section is an error, never exact; the table of kinds is that of today's MONAI."""

import json

import pytest
import torch

from monai_auxops.migrate.clara4.kinds import kinds_of
from monai_auxops.migrate.command import run
from monai_auxops.migrate.options import MigrateOptions
from tests.migrate.clara4.conftest import CONFIGS, EVALUATE40, IMAGES, component
from tests.migrate.clara4.test_adapt import installed_classes, skip_another_monai

WRONG = [
    ("train.loss", "UNet", "a network", "a loss"),
    ("train.loss", "ToTensord", "a transform of dictionaries", "a loss"),
    ("train.loss", "Loss", "an Ignite metric", "a loss"),
    ("train.model", "DiceLoss", "a loss", "a network"),
    ("train.model", "BCEWithLogitsLoss", "a loss", "a network"),
    ("train.optimizer", "DiceLoss", "a loss", "an optimizer"),
    ("train.optimizer", "StepLR", "a learning-rate scheduler", "an optimizer"),
    ("train.lr_scheduler", "MeanDice", "an Ignite metric", "a learning-rate scheduler"),
    ("train.lr_scheduler", "LrScheduleHandler", "a handler", "a learning-rate scheduler"),
    ("train.pre_transforms.0", "StatsHandler", "a handler", "a transform of dictionaries"),
    ("train.pre_transforms.0", "SegmentationSaver", "a handler", "a transform of dictionaries"),
    ("train.pre_transforms.0", "LoadImage", "a transform of single arrays", "a transform of dictionaries"),
    ("validate.post_transforms.0", "TransformInverter", "a handler", "a transform of dictionaries"),
    ("train.dataset", "SimpleInferer", "an inferer", "a dataset"),
    ("train.dataloader", "CacheDataset", "a dataset", "a data loader"),
    ("train.inferer", "DataLoader", "a data loader", "an inferer"),
    ("train.handlers.2", "Accuracy", "an Ignite metric", "a handler"),
    ("validate.handlers.0", "SaveImaged", "a transform of dictionaries", "a handler"),
    ("validate.metrics.0", "MetricsSaver", "a handler", "an Ignite metric"),
    ("train.trainer", "SupervisedEvaluator", "an evaluator", "a trainer"),
    ("validate.evaluator", "SupervisedTrainer", "a trainer", "an evaluator"),
]


def entry_of(report, name, section):
    entries = [entry for file in report["files"] for entry in file["entries"]]
    return next(entry for entry in entries if (entry["clara"], entry["section"]) == (name, section))


@pytest.mark.parametrize(("path", "name", "came", "needed"), WRONG)
def test_a_class_of_the_wrong_kind_is_an_error(mmar4, path, name, came, needed):
    part, key = path.split(".")[:2]
    report, code = mmar4.set(path, component(name)).run()
    found = next(item for item in report["diagnostics"] if item["code"] == "CT313")
    assert (code, found["severity"]) == (1, "error")
    assert found["message"] == f"{name} is {came}, but {part}.{key} needs {needed}"
    entry = entry_of(report, name, key)
    assert (entry["outcome"], entry["bundle"]) == ("manual", [])


@pytest.mark.parametrize("name", ["DiceMetric", "Metric", "RandomSampler"])
def test_a_class_that_serves_nowhere_is_an_error(mmar4, name):
    report, code = mmar4.set("validate.metrics.0", component(name)).run()
    messages = [item["message"] for item in report["diagnostics"] if item["code"] == "CT313"]
    assert (code, messages) == (1, [f"{name} cannot serve as an Ignite metric, which validate.metrics needs"])


def test_a_misplaced_class_is_a_stub_in_the_bundle(mmar4):
    bundle = mmar4.set("train.loss", component("UNet", spatial_dims=3)).bundle()
    assert bundle["loss"] == {"_target_": "scripts.manual.ClaraUNet", "spatial_dims": 3}


def test_a_ref_into_another_section_is_misplaced(mmar4):
    mmar4.train["validate"]["post_transforms"].append({"ref": "UNet"})
    report, _ = mmar4.run()
    assert entry_of(report, "UNet", "post_transforms")["outcome"] == "manual"
    assert entry_of(report, "UNet", "model")["outcome"] == "exact"


def test_an_evaluation_is_checked_too(mmar4):
    evaluation = {**EVALUATE40, "inferer": component("UNet")}
    mmar4.files["config_validation.json"] = evaluation
    report, _ = mmar4.run()
    assert "UNet is a network, but inferer needs an inferer" in str(report["diagnostics"])


def test_an_aux_op_is_not_a_metric_of_monai(mmar4):
    mmar4.train["train"]["aux_ops"] = [component("MeanDice")]
    report, _ = mmar4.run()
    assert entry_of(report, "MeanDice", "aux_ops")["outcome"] == "manual"


@pytest.mark.parametrize("made", [
    component("CrossEntropyLoss"), component("PerceptualLoss", spatial_dims=2), {"path": "monai.losses.DiceLoss"},
])  # fmt: skip
def test_every_loss_is_a_loss(mmar4, made):
    mmar4.set("train.loss", made)
    assert "CT313" not in mmar4.codes()


@pytest.mark.parametrize("made", [
    component("Compose", transforms=[]), component("OneOf", transforms=[]), component("RandIdentity"),
    component("DataStats"), component("Identity"), component("LoadImage", keys=IMAGES), component("AddChannelD"),
    component("DeleteItemsd", keys="x"), component("AddGuidanceSignald"), component("SpatialPadd", keys=IMAGES),
])  # fmt: skip
def test_what_works_on_dictionaries_is_a_transform(mmar4, made):
    mmar4.train["train"]["pre_transforms"].append(made)
    assert "CT313" not in mmar4.codes()


def test_an_array_transform_names_its_dictionary_form(mmar4):
    report, _ = mmar4.set("train.pre_transforms.0", component("LoadImage")).run()
    found = next(item for item in report["diagnostics"] if item["code"] == "CT313")
    assert found["hint"] == 'did you mean "LoadImaged"?'


def test_the_kind_of_an_own_class_is_not_known(mmar4):
    report, _ = mmar4.set("train.loss", {"path": "my.UNet"}).run(trust_code=True)
    assert entry_of(report, "my.UNet", "loss")["outcome"] == "approximate"
    assert "CT313" not in str(report["diagnostics"])


PUBLISHED = sorted(path for path in CONFIGS.rglob("*.json") if path.name.startswith(("trn_", "config_")))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_no_published_component_is_misplaced(path):
    report = json.loads(run(MigrateOptions(path, form="json"))[0])
    assert "CT313" not in [item["code"] for item in report["diagnostics"]]


def bases():
    from ignite.metrics import Metric
    from monai.engines import Evaluator, Trainer
    from monai.inferers import Inferer
    from monai.transforms import MapTransform
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from torch.utils.data import DataLoader, Dataset

    return {
        "metric": Metric, "evaluator": Evaluator, "trainer": Trainer, "inferer": Inferer, "optimizer": Optimizer,
        "lr_scheduler": LRScheduler, "dataloader": DataLoader, "dataset": Dataset, "transform": MapTransform,
    }  # fmt: skip


def test_the_table_of_kinds_is_that_of_the_installed_monai():
    skip_another_monai()
    compared = 0
    for name, sign, found in installed_classes():
        for kind, base in bases().items():
            if kind in sign.kinds and kind != "transform":
                assert issubclass(found, base), (name, kind)
            elif issubclass(found, base) and found is not base:
                assert kind in sign.kinds or bool(getattr(found, "__abstractmethods__", ())), (name, kind)
        if sign.kinds & {"loss", "model"}:
            assert issubclass(found, torch.nn.Module), name
        if "handler" in sign.kinds:
            assert callable(found.attach), name
        compared += 1
    assert compared > 400


def test_a_class_of_which_the_table_knows_the_old_name_only_is_not_judged():
    assert kinds_of("ClickInteraction") == {"any"}
