"""The tables: old names and arguments against today's MONAI, which is asked itself here."""

import importlib
import inspect

import pytest

from monai_auxops.migrate.clara4 import signatures, tables
from monai_auxops.migrate.clara4.adapt import adapt, knows, named_today
from monai_auxops.migrate.diagnostics import Outcome
from tests.migrate.conftest import SHARED

V40, V41 = (0, 5, 3), (0, 8, 1)


def test_discrete_lists_go_item_by_item():
    args = {"keys": ["pred", "label"], "argmax": [True, False], "to_onehot": [True, False], "n_classes": 4}
    assert adapt("AsDiscreted", args, V40).args["to_onehot"] == [4, None]
    args = {"keys": ["a", "b"], "threshold_values": [True, False], "logit_thresh": 0.3}
    assert adapt("AsDiscreted", args, V41).args == {"keys": ["a", "b"], "threshold": [0.3, None]}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"threshold_values": True}, {"threshold": 0.5}),
        ({"threshold_values": True, "logit_thresh": 0.7}, {"threshold": 0.7}),
        ({"threshold_values": False, "logit_thresh": 0.7}, {}),
        ({"argmax": True, "n_classes": 2}, {"argmax": True}),
        ({"to_onehot": True, "num_classes": 5}, {"to_onehot": 5}),
        ({"to_onehot": False}, {}),
        ({"to_onehot": 3}, {"to_onehot": 3}),
        ({"threshold": 0.4}, {"threshold": 0.4}),
    ],
)
def test_discrete(args, expected):
    assert adapt("AsDiscrete", args, V41).args == expected


def test_one_hot_without_a_number_is_manual():
    assert adapt("AsDiscreted", {"keys": "pred", "to_onehot": True}, V40).manual


def test_focal_loss_by_dialect():
    assert adapt("FocalLoss", {}, V40).args == {"use_softmax": True}
    assert adapt("FocalLoss", {}, V41).args == {}


@pytest.mark.parametrize(
    ("version", "margin", "expected", "outcome"),
    [
        (V40, 0, None, "exact"),
        (V40, [0, 0, 0], None, "exact"),
        (V40, 20, True, "exact"),
        (V41, 20, False, "approximate"),
        (V41, [0, 5, 0], False, "approximate"),
        ((1, 1, 0), 20, True, "exact"),
        ((1, 5, 1), 20, None, "exact"),
    ],
)
def test_margins_by_version(version, margin, expected, outcome):
    found = adapt("CropForegroundd", {"keys": "image", "source_key": "image", "margin": margin}, version)
    assert (found.args.get("allow_smaller"), found.outcome.value) == (expected, outcome)


@pytest.mark.parametrize(
    ("name", "version", "args"),
    [
        ("RandSpatialCropd", V41, {"random_size": True}),
        ("RandSpatialCropSamplesd", V40, {"random_size": True}),
        ("RandScaleCropd", V41, {"random_size": True}),
        ("RandBiasFieldd", V40, {"prob": 1.0}),
        ("SaveImaged", V41, {"resample": True}),
        ("RandRotated", V41, {"dtype": "$numpy.float64"}),
        ("DynUNet", V40, {"norm_name": "instance"}),
        ("DenseNet264", V40, {"block_config": [6, 12, 48, 32]}),
        ("MetricsSaver", V40, {"delimiter": "\t"}),
        ("SSIMLoss", (1, 0, 1), {"spatial_dims": 2, "win_size": 7}),
        ("LocalNormalizedCrossCorrelationLoss", V41, {"smooth_nr": 1e-5}),
    ],
)
def test_defaults_that_changed_are_written_out(name, version, args):
    assert adapt(name, {}, version).args == args


def test_a_default_that_was_given_stays():
    assert adapt("RandSpatialCropd", {"random_size": False}, V41).args == {"random_size": False}


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("UNet", {"dimensions": 3}, {"spatial_dims": 3}),
        ("BasicUnet", {"dimensions": 2}, {"spatial_dims": 2}),
        ("DiceCELoss", {"ce_weight": [1, 2]}, {"weight": [1, 2]}),
        ("UNETR", {"pos_embed": "perceptron"}, {"proj_type": "perceptron"}),
        ("ResNet", {"n_classes": 4}, {"num_classes": 4}),
        ("AddCoordinateChannelsd", {"spatial_channels": [1, 2]}, {"spatial_dims": [0, 1]}),
        ("SegResNet", {"norm_name": "group", "num_groups": 16}, {"norm": ["group", {"num_groups": 16}]}),
        ("EfficientNet", {"batch_norm_momentum": 0.9}, {"norm": ["batch", {"eps": 0.001, "momentum": 0.1}]}),
        ("TensorBoardStatsHandler", {"iteration_interval": 5}, {"iteration_log": 5}),
        ("GridPatchDataset", {"dataset": "@x"}, {"data": "@x"}),
    ],
)
def test_renamed_arguments(name, args, expected):
    found = adapt(name, args, V41)
    assert found.args == expected
    assert found.outcome is Outcome.EXACT


def test_what_is_gone_is_never_passed():
    found = adapt("Spacingd", {"keys": "image", "meta_keys": "x", "pixdm": 1}, V41)
    assert set(found.args) == {"keys"}
    assert found.unknown == {"pixdm": 'did you mean "pixdim"?'}


def test_every_row_passes_named_arguments_only():
    for row in tables.ROWS:
        for name in row.names:
            sign = signatures.find(name)
            known = sign.known(V41) if sign is not None else frozenset()
            found = adapt(name, dict.fromkeys(known, 1), V41)
            if not found.manual:
                now = signatures.find(found.target.rpartition(".")[2])
                assert set(found.args) <= named_today(now.name, now), name


def classes_of_today():
    return [name for name in signatures.names() if (found := signatures.find(name)) and found.target]


def module_of(name):
    for module in ("monai.transforms", "monai.losses", "monai.networks.nets", "monai.handlers", "monai.data",
                   "monai.inferers", "monai.engines", "monai.metrics", "monai.optimizers"):  # fmt: skip
        found = getattr(importlib.import_module(module), name, None)
        if found is not None:
            return found
    return None


def installed_classes():
    """Yield the name, the row and the class of each that the installed MONAI has under one of its packages."""
    for name in classes_of_today():
        sign = signatures.find(name)
        found = module_of(sign.target) if "." not in sign.target else None
        if found is not None:
            yield name, sign, found


def skip_another_monai():
    import monai

    if signatures.version_of(monai.__version__) != signatures.today():
        pytest.skip("the table was made for another MONAI")


def test_the_table_is_that_of_the_installed_monai():
    skip_another_monai()
    compared = 0
    for name, sign, found in installed_classes():
        parameters = inspect.signature(found.__init__).parameters.values()
        assert set(sign.args) == {p.name for p in parameters if "VAR" not in p.kind.name} - {"self"}, name
        compared += 1
    assert compared > 400


def test_every_target_is_found_by_monai():
    from pydoc import locate

    from monai.bundle.config_item import ComponentLocator

    locator = ComponentLocator()
    for row in tables.ROWS:
        for name in row.names:
            found = adapt(name, {}, V41)
            if not found.manual:
                target = found.target
                assert locate(target) if "." in target else locator.get_component_module_name(target), name


def test_every_published_component_has_a_row_or_a_signature():
    table = SHARED / "clara4" / "components.tsv"
    if not table.is_file():
        pytest.skip("the published components are not beside this repository")
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    own = {row[0] for row in rows if row[8] in ("BYOC", "Clara's own") or "." in row[0]}
    unknown = [row[0] for row in rows if row[0] not in own and not knows(row[0])]
    assert unknown == ["NovoGrad"]  # a name of 3.1, which its rules know
    assert len(rows) >= 208
