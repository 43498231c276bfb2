"""The model zoo's conventions, checked with MONAI's own tools; nothing is trained."""

import json
import shutil
from pathlib import Path
from pydoc import locate

import pytest
from monai.bundle import ConfigComponent, ConfigParser, ConfigWorkflow, verify_metadata

import monai_auxops
from monai_auxops import ops
from monai_auxops.migrate.trial import validate

FILES = (
    "LICENSE",
    "configs/metadata.json",
    "configs/train.json",
    "configs/evaluate.json",
    "configs/inference.json",
    "configs/multi_gpu_train.json",
    "configs/logging.conf",
    "docs/README.md",
)
WORKFLOWS = {
    "train": (["train"], "train"),
    "evaluate": (["train", "evaluate"], "train"),
    "inference": (["inference"], "inference"),
}


def test_files(bundle):
    assert [file for file in FILES if not (bundle / file).is_file()] == []
    assert list(bundle.glob("data/*LICENSE*.txt")), "the images' license stands beside them"
    assert list(bundle.glob("docs/*.png")), "a figure"


def test_the_project_s_license(bundle):
    assert (bundle / "LICENSE").read_text() == (Path(__file__).parents[2] / "LICENSE").read_text()


@pytest.mark.filterwarnings("ignore:No hash value provided")
def test_metadata(bundle, tmp_path):
    schema = shutil.copy(validate.SCHEMA, tmp_path / "schema.json")  # one that is there is not downloaded
    verify_metadata(meta_file=str(bundle / "configs/metadata.json"), filepath=str(schema))


def test_metadata_names_the_readme_s_numbers(bundle):
    scores = json.loads((bundle / "configs/metadata.json").read_text())["eval_metrics"]
    readme = (bundle / "docs/README.md").read_text()
    assert scores
    assert [f"{name} {value}" for name, value in scores.items() if str(value) not in readme] == []


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_properties(inside, workflow):
    names, kind = WORKFLOWS[workflow]
    files = [str(inside / f"configs/{name}.json") for name in names]
    checked = ConfigWorkflow(files, str(inside / "configs/metadata.json"), logging_file=False, workflow_type=kind)
    checked.initialize()
    assert checked.check_properties() == []


def test_references_and_classes(inside):
    """Of all configurations, without building anything."""
    combinations = [names for names, _ in WORKFLOWS.values()] + [["train", "multi_gpu_train"]]
    for names in combinations:
        parser = ConfigParser()
        parser.read_config([f"configs/{name}.json" for name in names])
        parser.parse()
        items = parser.ref_resolver.items
        for key, item in items.items():
            text = item.get_config()
            references = parser.ref_resolver.match_refs_pattern(text) if isinstance(text, str) else {}
            assert set(references) <= set(items), f"{names}: {key} refers to something that is not there"
            if isinstance(item, ConfigComponent):
                path = item.resolve_module_name()
                assert locate(path) is not None, f"{names}: {key} names {path}, which does not exist"


def test_inference_has_the_trained_network(bundle):
    train, inference = ({}, {})
    for name, into in (("train", train), ("inference", inference)):
        into.update(ConfigParser.load_config_file(bundle / f"configs/{name}.json"))
    assert inference["network_def"] == train["network_def"]
    assert inference["device"] == train["device"]


def test_each_aux_op_trains_somewhere():
    used = {"train": set(), "validate": set()}
    for config in Path(__file__).parents[2].glob("bundles/*/configs/train.json"):
        values = json.loads(config.read_text())
        for part, targets in used.items():
            slots = values[part]["key_metric"] | values[part]["additional_metrics"]
            targets.update(metric["_target_"] for metric in slots.values())
    wanted = set(ops.__all__) - {"AuxiliaryOperation"}
    assert wanted <= set(monai_auxops.__all__)
    assert {part: wanted - targets for part, targets in used.items()} == {"train": set(), "validate": set()}
