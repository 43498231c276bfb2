"""Reading checkpoints: values, and what is refused in one sentence."""

import json
import shutil
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_auxops.weights import WeightsError
from monai_auxops.weights.checkpoint import Checkpoint
from monai_auxops.weights.convert import convert
from monai_auxops.weights.crc import crc32c, masked_crc32c
from monai_auxops.weights.files import find_models
from tests.weights.conftest import arrays, unpack
from tests.weights.densenet import _block, entry, field, table, varint, write_checkpoint

NETWORK = {"_target_": "SegResNet"}


def slow_crc32c(data):
    """The definition, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@given(st.integers(0, 20_000), st.integers(0, 2**32 - 1))
def test_the_checksum_is_crc32c(size, seed):
    data = np.random.RandomState(seed).bytes(size)
    small = data[: size % 700]
    assert crc32c(small) == slow_crc32c(small)
    assert crc32c(data) == crc32c_of_parts(data)


def crc32c_of_parts(data):
    """The checksum through the table for single bytes, which the test above proves on small inputs."""
    from monai_auxops.weights import crc

    register = 0xFFFFFFFF
    for byte in data:
        register = crc._LIST[(register ^ byte) & 255] ^ register >> 8
    return register ^ 0xFFFFFFFF


def test_optimizer_moments_and_the_vae_are_listed_and_not_needed(golden):
    checkpoint = Checkpoint(golden("segresnet_3d_vae") / "model.ckpt")
    names = set(checkpoint.entries)
    assert {"beta1_power", "global_step", "VAEFinal/conv3d/kernel", "Final/conv3d/bias/Adam_1"} <= names
    assert checkpoint.read("global_step") == 0
    assert checkpoint.read("Final/conv3d/kernel").shape == (1, 1, 1, 2, 3)


@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=33, max_codepoint=999), min_size=1), st.integers(0, 5), min_size=1
    )
)
def test_what_is_written_is_read(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("checkpoint")
    tensors = {
        name: np.random.RandomState(size).standard_normal((size, 3)).astype(np.float32) for name, size in names.items()
    }
    write_checkpoint(folder / "model.ckpt", tensors)
    if not any(names.values()):
        return
    checkpoint = Checkpoint(folder / "model.ckpt")
    assert set(checkpoint.entries) == set(names)
    for name, value in tensors.items():
        np.testing.assert_array_equal(checkpoint.read(name), value)


def written(folder, header=b"\x08\x01", row=None, data=b"\0" * 8):
    rows = [(b"", header), (b"a", row or entry(1, (2,), 0, data))]
    (folder / "m.ckpt.index").write_bytes(table(rows))
    (folder / "m.ckpt.data-00000-of-00001").write_bytes(data)
    return Checkpoint(folder / "m.ckpt")


def snappy(folder):
    path = folder / "m.ckpt.index"
    written(folder)
    raw = bytearray(path.read_bytes())
    size = len(_block([(b"", b"\x08\x01"), (b"a", entry(1, (2,), 0, b"\0" * 8))])) - 5
    raw[size] = 1
    raw[size + 1 : size + 5] = struct.pack("<I", masked_crc32c(bytes(raw[: size + 1])))
    path.write_bytes(bytes(raw))
    return Checkpoint(folder / "m.ckpt")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: written(f, header=b"\x08\x01\x10\x01"), "big-endian: save it again with TensorFlow 1.15"),
        (lambda f: written(f, row=entry(1, (2,), 0, b"\0" * 8) + field(7, b"")).read("a"), "saved in slices"),
        (lambda f: written(f, row=entry(7, (2,), 0, b"\0" * 8)).read("a"), "data type 7"),
        (lambda f: written(f, row=entry(1, (3,), 0, b"\0" * 8)).read("a"), "has 8 bytes in the index"),
        (lambda f: written(f, row=entry(1, (2,), 4, b"\0" * 8)).read("a"), "extends past the end"),
        (lambda f: written(f, row=entry(1, (2,), 0, b"\1" * 8)).read("a"), "is damaged in m.ckpt.data"),
        (lambda f: written(f, row=entry(1, (2,), 0, b"\0" * 8, shard=3)), "impossible shape or place"),
        (lambda f: written(f, header=b"\x08\x02").read("a"), "m.ckpt.data-00000-of-00002 is missing"),
        (lambda f: written(f).read("b"), "has no tensor 'b'"),
        (snappy, "compressed with Snappy"),
    ],
)
def test_refused_in_one_sentence(make, message, tmp_path):
    with pytest.raises(WeightsError, match=message) as error:
        make(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no TensorFlow weights"),
        (["model.trt.pb"], "TensorRT engines"),
        (["model.ckpt"], "oldest checkpoint format"),
        (["model.ckpt.meta"], "a graph without weights"),
        (["model.ckpt.index"], "not the index of a TensorFlow checkpoint"),
        (["model.fzn.pb"], "it holds no node"),
    ],
)
def test_folders_that_lack_something(files, message, tmp_path):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=message):
        find_models(tmp_path)


def changed(folder, change, prefix="model.ckpt"):
    """Write a copy of a checkpoint with other tensors, or under another name."""
    checkpoint = Checkpoint(folder / "model.ckpt")
    tensors = {name: np.array(checkpoint.read(name)) for name in checkpoint.entries}
    write_checkpoint(folder / prefix, change({name: x for name, x in tensors.items() if x.dtype == np.float32}))
    if prefix != "model.ckpt":
        shutil.copy(folder / "model.ckpt.meta", folder / f"{prefix}.meta")
    return folder


def remove(folder, pattern):
    for path in folder.glob(pattern):
        path.unlink()


def test_of_several_models_none_is_guessed(golden):
    folder = golden("segresnet_2d_repeat")
    for name in ("model_final.ckpt", "model.ckpt-1000", "model.ckpt-200"):
        changed(folder, lambda tensors: tensors, name)
    assert find_models(folder).names == "model.ckpt with model.ckpt.meta"
    remove(folder, "model.ckpt.meta")
    assert find_models(folder).names == "model.fzn.pb"
    remove(folder, "model.fzn.pb")
    with pytest.raises(WeightsError, match=r"model\.ckpt has no graph: copy its model\.ckpt\.meta beside it"):
        find_models(folder)
    remove(folder, "model.ckpt.*")
    with pytest.raises(WeightsError, match=r"has several models, model\.ckpt-1000, model\.ckpt-200: leave one"):
        find_models(folder)
    remove(folder, "model.ckpt-*")
    assert find_models(folder).names == "model_final.ckpt with model_final.ckpt.meta"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, value: (name, value * np.nan), "holds NaN or infinite numbers: the training had diverged"),
        (lambda name, value: (name, value * 0), "gives the same for any image"),
        (lambda name, value: (f"tower_0/{name}", value), r"\(it has 'tower_0/InitialConv/conv2d/kernel'\)"),
        (lambda name, value: (f"{name}/ExponentialMovingAverage", value), r"\(it has '.*/ExponentialMovingAverage'\)"),
    ],
)
def test_other_tensors_under_the_graph(change, message, golden):
    folder = changed(golden("segresnet_2d_repeat"), lambda tensors: dict(change(*item) for item in tensors.items()))
    with pytest.raises(WeightsError, match=message):
        convert(folder, NETWORK)


@pytest.mark.parametrize(("key", "message"), [("in_channels", "has 2 input"), ("out_channels", "has 3 output")])
def test_channels_are_those_of_the_configuration(key, message, golden):
    with pytest.raises(WeightsError, match=f"Clara's graph {message} channels, the configuration 7"):
        convert(golden("segresnet_2d_repeat"), NETWORK | {key: 7})


def test_without_a_graph_the_mapping_is_listed_and_nothing_loaded(golden):
    folder = golden("segresnet_3d_vae")
    (folder / "model.ckpt.meta").unlink()
    with pytest.raises(WeightsError) as error:
        convert(folder, NETWORK)
    text = str(error.value)
    assert "without model.ckpt.meta or a .fzn.pb file" in text
    assert "45 tensors are those of SegResNet(spatial_dims=3, init_filters=2, in_channels=1, out_channels=3" in text
    assert "InitialConv/conv3d/kernel -> convInit.conv.weight" in text


def test_a_frozen_graph_takes_the_place_of_a_missing_meta(golden):
    folder = golden("segresnet_2d_repeat")
    (folder / "model.ckpt.meta").unlink()
    assert convert(folder, NETWORK).outcome == "proven"


def flipped(path, seed):
    """Turn one bit of a file."""
    raw = bytearray(path.read_bytes())
    at = np.random.RandomState(seed).randint(len(raw) * 8)
    raw[at // 8] ^= 1 << at % 8
    path.write_bytes(bytes(raw))


def outcome_of(folder):
    """Return the sentence of a refusal, or what was proven: a bit may belong to what nobody reads."""
    try:
        return convert(folder, NETWORK).sentence
    except WeightsError as error:
        return str(error)


FLIPPED = ["model.ckpt.index", "model.ckpt.data-00000-of-00001", "model.ckpt.meta"]


def check_flips(name, seeds, tmp_path):
    for seed in seeds:
        folder = unpack("segresnet_2d_half_pixel", tmp_path / str(seed))
        flipped(folder / name, seed)
        sentence = outcome_of(folder)
        assert sentence
        assert "\n" not in sentence, sentence


@pytest.mark.parametrize("name", FLIPPED)
def test_a_turned_bit_ends_in_a_sentence(name, tmp_path):
    check_flips(name, range(10), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLIPPED)
def test_three_hundred_turned_bits_end_in_a_sentence(name, tmp_path):
    check_flips(name, range(300), tmp_path)


def test_a_hostile_index_cannot_grow_keys_without_bound(tmp_path):
    rows = [(b"", b"\x08\x01"), (b"k" * 5000, entry(1, (2,), 0, b"\0" * 8))]
    (tmp_path / "m.ckpt.index").write_bytes(table(rows))
    with pytest.raises(WeightsError, match="a key does not fit"):
        Checkpoint(tmp_path / "m.ckpt")


def test_a_hostile_constant_cannot_ask_for_all_memory(tmp_path):
    shape = field(2, field(1, 2**40))
    value = field(8, field(1, 1) + field(2, shape))
    node = field(1, b"NV_MODEL_OUTPUT") + field(2, b"Const") + field(5, field(1, b"value") + field(2, value))
    start = field(1, b"NV_MODEL_INPUT") + field(2, b"Placeholder")
    (tmp_path / "m.fzn.pb").write_bytes(field(1, node) + field(1, start))
    with pytest.raises(WeightsError, match="comes without its bytes"):
        convert(tmp_path, NETWORK)


def test_the_golden_checkpoint_of_densenet_is_small(golden):
    assert len(json.loads(str(arrays(golden("densenet121"))["shapes"]))) == 606
    assert varint(300) == b"\xac\x02"
