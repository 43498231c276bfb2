"""Weights of Clara Train 4: copied, loaded without running code, fitted strictly, used by evaluation and inference."""

import json
import pickle
import sys

import pytest
import torch
from monai.bundle import ConfigParser
from monai.networks.nets import UNet

from monai_auxops.migrate.trial import weights as child
from tests.migrate.clara4.conftest import EVALUATE40, NETWORK, TRAIN40


def network(out_channels=3):
    torch.manual_seed(0)
    return UNet(**{**NETWORK, "spatial_dims": 3, "out_channels": out_channels})


def save(mmar4, content, name="model.pt"):
    folder = mmar4.folder / "models"
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        torch.save(content, folder / name)


@pytest.fixture
def here(monkeypatch):
    """Ask the process that loads weights in this one."""
    from monai_auxops.migrate.clara4 import weights

    def ask(arguments):
        import contextlib
        import io

        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            child.main(arguments)
        return json.loads(output.getvalue())

    monkeypatch.setattr(weights, "ask", ask)
    monkeypatch.setattr("monai_auxops.migrate.clara4.command.ask", ask)
    monkeypatch.setattr(sys, "path", list(sys.path))


FORMS = {
    "bare": lambda state: state,
    "model": lambda state: {"model": state},
    "with its configuration": lambda state: {"model": state, "train_conf": TRAIN40},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_copied_and_loads(mmar4, form, here):
    state = network().state_dict()
    save(mmar4, FORMS[form](state))
    evaluate = mmar4.bundle("evaluate.json")
    copied = mmar4.folder.parent / "bundle" / "models" / "model.pt"
    assert copied.read_bytes() == (mmar4.folder / "models" / "model.pt").read_bytes()
    loader = evaluate["validate"]["handlers"][0]
    assert loader["load_path"] == "$@ckpt_dir + '/model.pt'"
    parser = ConfigParser({**evaluate, "bundle_root": str(copied.parent.parent), "device": "$torch.device('cpu')"})
    built = parser.get_parsed_content("validate#handlers#0")
    from ignite.engine import Engine

    built(Engine(lambda *_: None))
    loaded = parser.get_parsed_content("network").state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize("name", ["model.pt", "other.pth"])
def test_a_pickle_that_runs_code_is_not_loaded_and_not_copied(mmar4, name, capsys):
    save(mmar4, pickle.dumps({"model": Evil()}), name)
    report, code = mmar4.run(output=mmar4.folder.parent / "bundle", validate=False)
    found = [item for item in report["diagnostics"] if item["code"] == "CT801"]
    assert code == 1
    assert found[0]["file"] == f"models/{name}"
    assert not (mmar4.folder.parent / "bundle" / "models").exists()
    assert "must not run" not in capsys.readouterr().out


def test_weights_of_another_network_fail_the_strict_load(mmar4, here, tmp_path):
    save(mmar4, {"model": network(out_channels=5).state_dict()})
    mmar4.bundle()
    with pytest.raises(ValueError, match=r"model\.pt does not fit the network"):
        child.fit(tmp_path / "bundle")
    save(mmar4, {"model": network().state_dict()})
    mmar4.bundle()
    assert "tensors fit the network" in child.fit(tmp_path / "bundle")[0]


def only_evaluation(mmar4):
    mmar4.files["config_validation.json"] = EVALUATE40
    mmar4.write()
    (mmar4.folder / "config" / "config_train.json").unlink()
    mmar4.files["config_train.json"] = None


def test_an_evaluation_alone_reads_the_network_from_its_checkpoint(mmar4, here):
    save(mmar4, {"model": network().state_dict(), "train_conf": TRAIN40})
    only_evaluation(mmar4)
    evaluate = mmar4.bundle("evaluate.json")
    assert evaluate["network_def"]["_target_"] == "UNet"
    assert evaluate["network_def"]["spatial_dims"] == 3
    assert not (mmar4.folder.parent / "bundle" / "configs" / "train.json").exists()


def test_an_evaluation_alone_without_a_network_says_so(mmar4, here):
    save(mmar4, {"model": network().state_dict()})
    only_evaluation(mmar4)
    assert "CT804" in mmar4.codes()


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_torchscript_is_used_where_only_that_is_there(mmar4, here):
    folder = mmar4.folder / "models"
    folder.mkdir(parents=True)
    scripted = torch.jit.trace(network().eval(), torch.zeros(1, 1, 16, 16, 16))
    torch.jit.save(scripted, str(folder / "model.ts"))
    evaluate = mmar4.bundle("evaluate.json")
    assert evaluate["use_torchscript"] is True
    root = mmar4.folder.parent / "bundle"
    parser = ConfigParser({**evaluate, "bundle_root": str(root), "device": "$torch.device('cpu')"})
    loaded = parser.get_parsed_content("network")
    assert isinstance(loaded, torch.jit.ScriptModule)
    assert parser.get_parsed_content("validate#handlers#0") is None


def test_links_out_of_the_folder_are_not_followed(mmar4, tmp_path, here):
    torch.save(network().state_dict(), tmp_path / "secret.pt")
    (mmar4.folder / "models").mkdir(parents=True)
    (mmar4.folder / "models" / "model.pt").symlink_to(tmp_path / "secret.pt")
    report, _ = mmar4.run(output=mmar4.folder.parent / "bundle", validate=False)
    (item,) = [item for item in report["diagnostics"] if item["code"] == "CT801"]
    assert item["message"] == "it is a link out of this folder; it was not copied"
    assert not (mmar4.folder.parent / "bundle" / "models").exists()


@pytest.mark.parametrize("suffix", [".pt", ".ts"])
def test_a_damaged_file_is_never_copied_as_weights(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    if suffix == ".ts":
        torch.jit.script(torch.nn.Linear(64, 64)).save(str(path))
    else:
        torch.save(torch.nn.Linear(64, 64).state_dict(), path)
    whole = path.read_bytes()
    for at in range(len(whole) // 4, len(whole) * 3 // 4, 501):  # among the numbers
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="it is damaged"):
            child.load(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "it is cut off, or no file of PyTorch"),
        (b"", "it is cut off, or no file of PyTorch"),
        ([torch.zeros(1)], "a checkpoint must be a dictionary, got a list"),
        ({"model": {"a.weight": torch.tensor([0.0, float("nan")])}}, "model/a.weight is NaN"),
        ({"model": {"a.weight": torch.zeros(1)}, "evil": len}, "it holds more than weights (len)"),
    ],
)
def test_what_is_no_weights_is_told(mmar4, content, reason, here):
    save(mmar4, content)
    report, _ = mmar4.run(output=mmar4.folder.parent / "bundle", validate=False)
    (item,) = [item for item in report["diagnostics"] if item["code"] == "CT801"]
    assert reason in item["message"]


def test_torchscript_under_another_name_is_told(tmp_path):
    torch.jit.script(torch.nn.Identity()).save(str(tmp_path / "model.pt"))
    with pytest.raises(ValueError, match=r"it is TorchScript: rename it to model\.ts"):
        child.load(tmp_path / "model.pt")


@pytest.mark.slow
def test_aux_ops_change_no_other_value(tmp_path):
    """The same training with and without them: every old number is the same to the last digit."""
    from tests.migrate.clara4.test_oracles import Migrated, trained

    name = "segresnet_novograd_dicece_41"
    plain = trained(Migrated(name, tmp_path / "plain"))
    more = trained(Migrated(name, tmp_path / "more", aux_ops=True))
    assert plain[0] == more[0]
    for old, new in zip(plain[1], more[1], strict=True):
        assert {key: new[key] for key in old} == old
        assert new["val_dice"] == pytest.approx(old["val_key"], abs=1e-5)
        assert {"val_dice", "dice_1", "dice_2"} <= {key.removeprefix("val_") for key in new} | set(new)


OTHER_PLACES = {
    "another network": (lambda _: network(out_channels=5).state_dict(), "size mismatch"),
    "a wrapped network": (lambda state: {f"module.{name}": value for name, value in state.items()}, 'with "module."'),
    "a key of another tool": (lambda state: {"state_dict": state}, 'its tensors are under "state_dict"'),
    "Lightning's checkpoint": (
        lambda state: {"state_dict": {f"net.{name}": value for name, value in state.items()}},
        'its tensors are under "state_dict", and its names begin with "net."',
    ),
    "a dictionary in a dictionary": (lambda state: {"a": {"model": state}}, 'its tensors are under "a/model"'),
    "nothing": (lambda _: {}, "Missing key"),
}


@pytest.mark.parametrize("form", OTHER_PLACES)
def test_weights_that_do_not_fit_are_reported_when_the_bundle_is_written(mmar4, form, here):
    change, words = OTHER_PLACES[form]
    save(mmar4, change(network().state_dict()))
    report, code = mmar4.run(output=mmar4.folder.parent / "bundle", validate=False)
    message = next(item["message"] for item in report["diagnostics"] if item["code"] == "CT808")
    assert code == 1
    assert message.startswith("ValueError: model.pt does not fit the network")
    assert words in message


def test_weights_that_no_configuration_reads_need_not_fit(mmar4, here):
    save(mmar4, network().state_dict())
    save(mmar4, network(out_channels=5).state_dict(), "older.pt")
    report, code = mmar4.run(output=mmar4.folder.parent / "bundle", validate=False)
    assert code == 0
    assert "which no configuration reads" in " ".join(item["message"] for item in report["diagnostics"])


def test_predictions_of_cases_with_one_file_name_are_kept_apart(mmar4):
    saver = mmar4.bundle("inference.json")["postprocessing"]["transforms"][-1]
    assert (saver["_target_"], saver["data_root_dir"]) == ("SaveImaged", "@dataset_dir")


def test_an_evaluation_of_torchscript_alone_is_written(mmar4):
    folder = mmar4.folder / "models"
    folder.mkdir(parents=True)
    torch.jit.script(torch.nn.Identity()).save(str(folder / "model.ts"))
    only_evaluation(mmar4)
    report, code = mmar4.run(output=mmar4.folder.parent / "bundle")
    codes = [item["code"] for item in report["diagnostics"]]
    assert (code, "CT806" in codes, "CT702" in codes) == (0, True, False)
    assert (mmar4.folder.parent / "bundle" / "configs" / "inference.json").exists()


def test_an_evaluation_without_network_and_weights_says_so(mmar4):
    only_evaluation(mmar4)
    assert "CT804" in mmar4.codes()
