import pytest
import torch
from monai.data import MetaTensor

from monai_auxops import BuildContext

SERVED = ["_loss", "_model_output", "_model_input", "_label_input", "_is_train", "_learning_rate", "_data_property"]


@pytest.fixture
def ctx():
    return BuildContext(
        torch.zeros(2, 3),
        torch.tensor([[0], [2]]),
        loss=torch.tensor(0.5, requires_grad=True) * 1,
        image=MetaTensor(torch.ones(2, 1, 4)),
        is_train=True,
        learning_rate=0.01,
        data_property={"label_format": [3]},
        filenames=["a.nii", "b.nii"],
    )


@pytest.mark.parametrize("key", SERVED)
def test_reserved_keys_are_available(ctx, key):
    assert ctx.is_reserved(key)
    assert ctx.must_get(key) is ctx.get(key)
    assert ctx.get(key) is not None


def test_reserved_values(ctx):
    assert ctx.get("_loss").item() == 0.5
    assert (ctx.get("_is_train"), ctx.get("_learning_rate")) == (True, 0.01)
    assert ctx.get("_data_property") == {"label_format": [3]}
    assert (ctx.batch_size, ctx.filenames) == (2, ["a.nii", "b.nii"])


@pytest.mark.parametrize("key", ["_graph", "_tf_session", "_mine", "_"])
def test_other_reserved_keys_are_a_keyerror_that_says_so(ctx, key):
    for ask in (ctx.get, ctx.must_get):
        with pytest.raises(KeyError, match=f"reserved key '{key}' is not available; expected one of.*_model_output"):
            ask(key)


@pytest.mark.parametrize("key", ["_loss", "_mine"])
def test_reserved_keys_cannot_be_written(ctx, key):
    for write in (ctx.set, ctx.must_set):
        with pytest.raises(KeyError, match=f"'{key}' is reserved"):
            write(key, 1)


def test_what_is_not_there_is_the_default():
    ctx = BuildContext(torch.zeros(2, 3))
    assert ctx.get("_loss") is None
    assert ctx.get("_loss", "none") == "none"
    assert ctx.get("mine", 7) == 7
    assert ctx.get("_data_property") == {}
    with pytest.raises(KeyError, match="no value named '_loss'"):
        ctx.must_get("_loss")


def test_own_keys(ctx):
    ctx.set("mine", 1)
    ctx.set("mine", 2)
    assert (ctx.get("mine"), ctx.must_get("mine"), ctx.is_reserved("mine")) == (2, 2, False)
    ctx.must_set("other", None)
    assert ctx.must_get("other") is None
    with pytest.raises(KeyError, match="'mine' was already written"):
        ctx.must_set("mine", 3)
    with pytest.raises(KeyError, match=r"named 'missing'.*have written: mine, other"):
        ctx.must_get("missing")


@pytest.mark.parametrize("wrap", [list, tuple], ids=["list", "tuple"])
def test_of_several_outputs_the_first(wrap):
    outputs = wrap([torch.ones(2, 3, 4), torch.zeros(2, 3, 2)])
    assert torch.equal(BuildContext(outputs).predictions, outputs[0])


def test_tensors_are_plain_and_detached():
    ctx = BuildContext(
        MetaTensor(torch.rand(2, 3)).requires_grad_(), MetaTensor(torch.ones(2, 1)), image=MetaTensor([1.0])
    )
    for key in ("_model_output", "_label_input", "_model_input"):
        assert type(ctx.get(key)) is torch.Tensor
        assert not ctx.get(key).requires_grad


def test_once_computes_once_per_key():
    ctx, calls = BuildContext(torch.zeros(1, 1)), []
    results = [ctx.once(key, lambda key=key: calls.append(key) or len(calls)) for key in ("a", "b", "a", ("a", 1), "b")]
    assert results == [1, 2, 1, 3, 2]
    assert calls == ["a", "b", ("a", 1)]


def test_once_remembers_none():
    ctx, calls = BuildContext(torch.zeros(1, 1)), []
    assert [ctx.once("key", lambda: calls.append(1)) for _ in range(2)] == [None, None]
    assert len(calls) == 1


def test_contexts_of_one_iteration_share_values_but_not_results():
    values = {}
    one, other = (BuildContext(torch.zeros(1, 1), values=values) for _ in range(2))
    one.set("key", 5)
    one.once("key", lambda: 1)
    assert other.get("key") == 5
    assert other.once("key", lambda: 2) == 2


def test_require_knows_the_tensors_it_was_made_of():
    predictions, label = MetaTensor(torch.rand(2, 3)), torch.ones(2, 1)
    ctx = BuildContext([predictions, None], label)
    ctx.require(predictions, label)
    ctx.require([predictions, None], label)
    ctx.require(ctx.predictions, ctx.label)
    BuildContext(predictions).require(predictions, None)


@pytest.mark.parametrize(
    ("change", "which"),
    [
        (lambda x, y: (x.clone(), y), "predictions"),
        (lambda x, y: (x[:1], y), "predictions"),
        (lambda x, y: (x, y.clone()), "label"),
        (lambda x, y: (x, None), "label"),
    ],
    ids=["copy", "slice", "other_label", "no_label"],
)
def test_require_refuses_others(ctx, change, which):
    with pytest.raises(ValueError, match=f"another {which} tensor"):
        ctx.require(*change(ctx.predictions, ctx.label))
