"""Strings of code: the shapes that are recognized, and that everything else is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_auxops.migrate.clara4.code import CodeForm, is_code, lambda_text, read

DISCRETE = "__import__('monai').transforms.AsDiscrete(argmax=True, to_onehot=True, n_classes=2)"


@pytest.mark.parametrize(
    ("text", "keys", "first"),
    [
        ("lambda x: x['loss']", ["loss"], True),
        ('lambda  batch : batch["loss"]', ["loss"], True),
        ("lambda x: (x['pred'], x['label'])", ["pred", "label"], False),
        ("lambda x: [x['pred'], x['label']]", None, False),
        ("#monai.handlers.from_engine(['loss'], first=True)", ["loss"], True),
        ("#monai.handlers.from_engine(['pred', 'label'])", ["pred", "label"], False),
        ("#monai.handlers.from_engine('loss', True)", ["loss"], True),
        ("#from_engine(keys=['pred'])", ["pred"], False),
        ("lambda x: x['image_meta_dict']", ["image_meta_dict"], True),
        ("lambda x: x['pred'][0].detach().cpu()", ["pred"], True),
    ],
)
def test_shapes(text, keys, first):
    found = read(text)
    if keys is None:
        assert found.shape is CodeForm.UNKNOWN
        return
    assert (found.shape, found.keys, found.first) == (CodeForm.FIELDS, keys, first)


def test_nothing_and_parameters():
    assert read("lambda x: None").shape is CodeForm.NOTHING
    assert read("#@model.parameters()").shape is CodeForm.PARAMETERS


def test_an_as_discrete_around_a_field():
    found = read(f"lambda x: ({DISCRETE}(x['pred_inverted'][0][None].detach().cpu()), x['label'].detach().cpu())")
    assert found.keys == ["pred_inverted", "label"]
    assert found.fields[0].discrete == {"argmax": True, "to_onehot": True, "n_classes": 2}
    assert found.fields[1].discrete is None


HOSTILE = [
    "lambda x: __import__('os').system('touch pwned')",
    "#__import__('os').system('touch pwned')",
    "lambda x: (x['a'], __import__('os').system('touch pwned'))",
    "lambda x: x[__import__('os').system('touch pwned')]",
    f"lambda x: {DISCRETE.replace('True', 'exit(3)', 1)}(x['a'])",
    "#monai.handlers.from_engine(__import__('os').listdir('/'))",
    "#@model.parameters().__class__",
    "#@model.parameters(recurse=exit())",
    "lambda x=exit(): x['a']",
    "lambda *x: x['a']",
    "lambda x: x['a'] if exit() else x['b']",
    "lambda x: " + "(" * 5000,
    "#" + "[" * 3000,
    "lambda x: y['a']",
    "lambda: None",
    "#print(1)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_code_is_no_known_shape(text):
    assert read(text).shape is CodeForm.UNKNOWN


@given(st.text(max_size=60))
def test_no_text_raises(text):
    read(text)
    read(f"lambda x: {text}")
    lambda_text(f"lambda x: {text}")
    assert isinstance(is_code(text), bool)


@pytest.mark.parametrize(
    "text", ["lambda x: x @ x", "lambda x: __import__('os')", "lambda x: x.__class__", "lambda x, y: x", "print"]
)
def test_a_lambda_that_monai_would_act_upon_is_refused(text):
    assert lambda_text(text) is None
