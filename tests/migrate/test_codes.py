"""Each diagnostic code has a configuration that brings it about; correct configurations bring about none of them."""

import copy
import itertools
import json

import pytest

from monai_auxops.migrate.codes import CODES, Severity
from monai_auxops.migrate.command import MigrateOptions, run
from monai_auxops.migrate.diagnostics import Outcome
from monai_auxops.migrate.rules import Rule, Section
from tests.migrate.conftest import DATALIST, EVALUATE, TRAIN, component

BEFORE = '"learning_rate": 0.001'


def text(old, new):
    return lambda m: m.text("config/config_train.json", json.dumps(m.train, indent=1).replace(old, new))


def put(path, value):
    return lambda m: m.set(path, value)


def file(name, content):
    return lambda m: m.files.update({name: content})


def only(name, content):
    def change(m):
        m.write()
        (m.folder / "config" / "config_train.json").unlink()
        m.train = None
        m.text(f"config/{name}", json.dumps(content))

    return change


def settings(*items):
    return lambda m: setattr(m, "settings", list(items))


CASES = {
    "CT101": text(BEFORE, '"learning_rate" 0.001'),
    "CT102": text(BEFORE, '"use_amp": ture'),
    "CT103": text(BEFORE, '"learning_rate": [0.001,]'),
    "CT104": text(BEFORE, BEFORE + " // slow"),
    "CT105": text(BEFORE, f"{BEFORE}, {BEFORE}"),
    "CT106": lambda m: m.text("config/broken.json", b"\xff"),
    "CT107": text(BEFORE, "'learning_rate': 0.001"),
    "CT108": lambda m: m.text("config/bom.json", b"\xef\xbb\xbf{}"),
    "CT110": file("config_aiaa.json", {"type": "segmentation", "labels": []}),
    "CT111": file("train.json", {"bundle_root": ".", "network_def": {"_target_": "UNet"}}),
    "CT113": file("trn_other.json", TRAIN),
    "CT114": file("environment.json", None),
    "CT115": lambda m: m.text("models/model.trt.pb", "x"),
    "CT116": lambda m: m.text("commands/train.sh", "python -m nvmidl.apps.train -c c.json --set epochs=9"),
    "CT119": lambda m: m.text("config/config_infer.json", '{"batch_size": 1,}'),
    "CT201": put("train.loss.args", {"smooth": "{SMOTH}"}),
    "CT202": put("train.model.args.init_filters", "{ data"),
    "CT203": settings("epochs"),
    "CT204": settings("epohcs=3"),
    "CT205": lambda m: (m.files["environment.json"].update(EXTRA=""), m.set("train.extra", component("{EXTRA}"))),
    "CT206": put("epochs", "many"),
    "CT301": put("train.loss.name", "Dicee"),
    "CT302": put("train.pre_transforms.3", {"args": {}}),
    "CT303": put("validate.pre_transforms.2", {"ref": "Crop"}),
    "CT304": put("train.pre_transforms", [{"ref": "later"}, *copy.deepcopy(TRAIN["train"]["pre_transforms"])]),
    "CT305": put("train.pre_transforms.3", component("LoadNifti", fields="image")),
    "CT306": put("train.pre_transforms.0.disabled", True),
    "CT307": put("validate.pre_transforms.0", {"ref": "LoadNifti", "args": {"fields": "image"}}),
    "CT308": put("train.pre_transforms.0.disabled", "true"),
    "CT309": put("train.loss", [component("Dice"), component("Focal")]),
    "CT310": put("train.model.search", [{"domain": "net"}]),
    "CT311": put("train.__model", {}),
    "CT312": put("train.loss", {"path": "my.Loss"}),
    "CT313": put("train.loss.name", "Adam"),
    "CT314": lambda m: m.train["train"].pop("loss"),
    "CT315": put("train.pre_transforms.0.name", "LoadNifty"),
    "CT316": put("train.aux_ops", component("NegLoss", tag="a")),
    "CT317": put("train.loss.arg", {}),
    "CT401": put("train.aux_ops.0.args", {}),
    "CT402": put("train.loss.args", {"skip_backgrond": True}),
    "CT403": put("train.loss.args", {"skip_background": "yes"}),
    "CT404": put("train.pre_transforms.3", component("KeepLargestCC", fields="label", volume=3)),
    "CT501": lambda m: m.train["validate"]["metrics"][0]["args"].pop("is_key_metric"),
    "CT502": put("validate.metrics.1", component("ComputeAverage", name="b", field="dice_b", is_key_metric=True)),
    "CT503": put("validate.metrics.0.args.field", "dcie"),
    "CT504": put("train.aux_ops.0.args.tags", ["dice", "dice_a"]),
    "CT505": put("train.aux_ops.1", component("NegLoss", tag="dice")),
    "CT506": put("train.loss.args", {"is_onehot_targets": True}),
    "CT507": lambda m: (m.set("train.model.args.num_classes", 1), m.set("train.loss.args", {"skip_background": True})),
    "CT508": put("train.model.args.num_classes", 1),
    "CT509": file("dataset.json", None),
    "CT510": file("dataset.json", {**DATALIST, "training": []}),
    "CT511": put("train.image_pipeline.args.output_label_format", [1, 1]),
    "CT512": put("train.image_pipeline.args.output_data_format", "channels_last"),
    "CT513": put("train.image_pipeline.args.output_crop_size", [64, 64, 64]),
    "CT514": settings("epochs=1"),
    "CT515": put("train.aux_ops.1", component("NegLoss", tag="neg_loss")),
    "CT516": put(
        "train.pre_transforms.2", component("CropByPosNegRatio", fields="image", size=[32, 32, 32], batch_size=3)
    ),
    "CT517": lambda m: m.train["train"]["image_pipeline"].update(
        name="SegmentationImagePipelineWithCache",
        args={**m.train["train"]["image_pipeline"]["args"], "num_cache_objects": 4},
    ),
    "CT518": put("train.model", component("SegAhnet", num_classes=3, n_spatial_dim=2)),
    "CT520": put("train.aux_ops.1", component("ComputeBinaryPreds")),
    "CT523": file("environment.json", {"DATA_ROOT": "nowhere", "DATASET_JSON": "config/dataset.json"}),
    "CT522": put("train.model", {"path": "my.Net"}),
    "CT521": file("dataset.json", {**DATALIST, "training": [{"label": "b"}]}),
    "CT601": put("train.model.args.init_filters", "$print(1)"),
    "CT602": put("train.loss.args", {"_target_": "os.system"}),
    "CT603": put("validate.metrics.0.args.report_path", "../../elsewhere"),
    "CT701": put("train.model.name", "UnetParallel"),
}


def later(m):
    m.train["train"]["pre_transforms"][1]["name"] = "LoadNifti#later"


@pytest.mark.parametrize("code", CASES)
def test_each_code_is_brought_about(code, mmar):
    if code == "CT205":
        mmar.files["environment.json"]["ROOT"] = ""
        mmar.set("train.image_pipeline.args.data_file_base_dir", "{ROOT}")
    else:
        CASES[code](mmar)
    if code == "CT304":
        later(mmar)
    found = [item for item in mmar.read().log.items if item.code == code]
    assert found, code
    assert all(item.where.file and item.message for item in found)


CLARA4 = {f"CT80{number}" for number in range(1, 10)} | {
    "CT117",
    "CT320",
    "CT321",
    "CT322",
    "CT405",
    "CT406",
}  # tests/migrate/clara4
COMMAND = {"CT112", "CT118", "CT120", "CT122", "CT123", "CT519", "CT702", "CT703", "CT704", "CT705", "CT706", "CT707"}


FAULTS = {"CT524", "CT525", "CT526", "CT527", "CT528", "CT529", "CT708"}
"""Brought about in test_published_faults.py."""


def test_every_code_has_a_case():
    assert set(CASES) | COMMAND | CLARA4 | FAULTS == set(CODES)


def test_a_correct_configuration_has_no_problems(mmar):
    mmar.files["config_validation.json"] = EVALUATE
    mmar.files["environment.json"]["MMAR_EVAL_OUTPUT_PATH"] = "eval"
    mmar.files["environment.json"]["DATA_ROOT"] = "data"
    mmar.text("data/a.nii.gz", "")
    assert mmar.codes() == []


def test_all_problems_of_all_files_in_one_run(mmar):
    mmar.files["config_validation.json"] = EVALUATE
    mmar.set("train.loss.name", "Dicee").set("validate.metrics.0.args.field", "dcie").text("config/b.json", "{'a'")
    assert {"CT101", "CT301", "CT503", "CT114"} <= set(mmar.codes())


def test_where_and_hint(mmar):
    mmar.set("train.loss.name", "Dicee")
    item = next(item for item in mmar.read().log.items if item.code == "CT301")
    assert item.where.path == "train.loss"
    assert item.where.line > 1
    assert item.hint == 'did you mean "Dice"?'


def test_a_validation_beside_a_training_file_is_reported_or_read(mmar):
    mmar.files["config_validation.json"] = EVALUATE
    source = mmar.write() / "config" / "config_train.json"
    report = json.loads(run(MigrateOptions(source, form="json"))[0])
    assert "CT120" in [item["code"] for item in report["diagnostics"]]
    validation = source.with_name("config_validation.json")
    report = json.loads(run(MigrateOptions(source, form="json", evaluation=validation))[0])
    assert [(file["kind"], file["used"]) for file in report["files"]] == [("training", True), ("evaluation", True)]
    assert "CT120" not in [item["code"] for item in report["diagnostics"]]


def test_the_text_says_why_a_component_was_dropped(mmar):
    mmar.set("train.pre_transforms.0.disabled", True)
    report, _ = run(MigrateOptions(mmar.write()))
    row, reason = next(pair for pair in itertools.pairwise(report.splitlines()) if pair[0].startswith("    dropped"))
    assert row.split()[1] == TRAIN["train"]["pre_transforms"][0]["name"]
    assert reason == "      Disabled: it had no effect."


def codes_of(mmar, **options):
    report, code = run(MigrateOptions(mmar.write(), form="json", **options))
    return code, [item["code"] for item in json.loads(report)["diagnostics"]]


def test_nothing_to_migrate_in_the_folder(tmp_path):
    report, code = run(MigrateOptions(tmp_path))
    assert code == 2
    assert "CT112" in report


@pytest.mark.parametrize("content", [{"something": 1}, {"DATA_ROOT": "/data"}, {"epochs": 2, "validate": {}}])
def test_a_folder_without_a_configuration_is_nothing_to_migrate(content, tmp_path):
    (tmp_path / "config_train.json").write_text(json.dumps(content))
    report, code = run(MigrateOptions(tmp_path, output=tmp_path / "out"))
    assert code == 2
    assert "no training or validation configuration" in report


def test_no_such_folder(tmp_path):
    report, code = run(MigrateOptions(tmp_path / "none"))
    assert (code, "no such file" in report) == (2, True)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "segmentation", "labels": [], "inference": {}},
        {"servers": []},
        {"training": [{"image": "a"}]},
        {"DATA_ROOT": "/data"},
        {"something": 1},
    ],
)
def test_another_kind_of_file_is_named(content, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    report, code = run(MigrateOptions(path, form="json"))
    assert code == 2
    assert [item["code"] for item in json.loads(report)["diagnostics"]] == ["CT118"]


def test_a_bundle_is_left_alone(tmp_path):
    path = tmp_path / "train.json"
    path.write_text('{"bundle_root": ".", "network_def": {"_target_": "UNet"}}')
    report, code = run(MigrateOptions(path, output=tmp_path / "out"))
    assert code == 0
    assert "a MONAI bundle already" in report
    assert not (tmp_path / "out").exists()


def test_an_evaluation_alone_has_no_network(mmar, tmp_path):
    only("config_validation.json", EVALUATE)(mmar)
    report, code = run(MigrateOptions(mmar.folder, form="json", output=tmp_path / "out"))
    assert code == 2
    assert "CT519" in [item["code"] for item in json.loads(report)["diagnostics"]]


def several(mmar):
    mmar.write()
    (mmar.folder / "config" / "config_train.json").rename(mmar.folder / "config" / "trn_a.json")
    for name in ("config/trn_b.json", "configs/trn_c.json"):
        mmar.text(name, json.dumps(TRAIN))
    return mmar.folder


def test_several_training_configurations_are_not_written(mmar, tmp_path):
    folder, output = several(mmar), tmp_path / "out"
    report, code = run(MigrateOptions(folder, output=output))
    assert code == 2
    assert not output.exists()
    files = (("config", "trn_a"), ("config", "trn_b"), ("configs", "trn_c"))
    commands = [f"  monai-auxops migrate {folder / place / name}.json -o {output / name}" for place, name in files]
    sentence = "Nothing was written, because a bundle is made of one configuration. Run one of:"
    assert report.splitlines()[-4:] == [sentence, *commands]
    assert (
        run(MigrateOptions(folder))[1],
        run(MigrateOptions(folder / "config" / "trn_a.json", output=output / "trn_a"))[1],
    ) == (
        0,
        0,
    )


def test_configurations_of_one_name_are_distinguished(mmar):
    mmar.text("configs/trn_a.json", json.dumps(TRAIN))
    report = json.loads(run(MigrateOptions(several(mmar), form="json"))[0])
    outputs = [command.rpartition(" ")[2] for command in report["next"]]
    assert outputs[0] == "my_bundle/config/trn_a"
    assert len(set(outputs)) == 4


def test_a_rules_file_that_is_none(mmar, tmp_path):
    for content in ("RULES = 3", "1 / 0", "RULES = [3]"):
        (tmp_path / "rules.py").write_text(content)
        code, codes = codes_of(mmar, rules=tmp_path / "rules.py")
        assert (code, codes) == (2, ["CT704", "CT523"])


def test_own_rules_come_first(mmar, tmp_path):
    (tmp_path / "rules.py").write_text(
        "from monai_auxops.migrate.diagnostics import Outcome\n"
        "from monai_auxops.migrate.rules import A, Param, Rule, Section, T\n"
        "RULES = [Rule(name='my.Loss', section=Section.LOSS, clara='Tversky.', outcome=Outcome.EXACT,\n"
        "    why='The same.', params=(Param('alpha', 0.5),), targets=(T('TverskyLoss', alpha=A('alpha')),))]\n"
    )
    mmar.set("train.loss", {"path": "my.Loss", "args": {"alpha": 0.3}})
    report, code = run(MigrateOptions(mmar.write(), rules=tmp_path / "rules.py", form="json"))
    assert code == 0
    loss = next(entry for entry in json.loads(report)["files"][0]["entries"] if entry["section"] == "loss")
    assert loss["bundle"] == [{"target": "TverskyLoss", "args": {"alpha": 0.3}}]


def test_exit_codes(mmar):
    assert codes_of(mmar)[0] == 0
    assert codes_of(mmar, strict=True)[0] == 1
    mmar.text("config/broken.json", "{")
    assert codes_of(mmar)[0] == 1
    mmar.text("config/config_train.json", "{")
    assert codes_of(mmar)[0] == 2


def test_strict_without_anything_approximate():
    rule = Rule(name="x", section=Section.LOSS, clara="", outcome=Outcome.EXACT, why="")
    assert rule.outcome.rank < Outcome.APPROXIMATE.rank


def test_severities_have_an_order():
    assert [severity.rank for severity in Severity] == [0, 1, 2, 3]
