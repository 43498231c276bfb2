"""Every aux-op against the reference, over shapes, dtypes, layouts and options.

Two hundred examples in all; ``AUXOPS_EXAMPLES=10000 python -m pytest tests/fuzz/test_ops.py`` draws more, at random.
"""

from __future__ import annotations

import math
import os
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

import monai_auxops as ma
from tests import reference as ref

ASKED = os.environ.get("AUXOPS_EXAMPLES")
EXAMPLES = settings(max_examples=int(ASKED or 200) // 5, derandomize=ASKED is None, deadline=None)
SPATIAL = st.sampled_from([(), (1,), (7,), (3, 5), (2, 3, 4)])
FLOATS = st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64])
INTEGERS = st.sampled_from([torch.int64, torch.int32, torch.int16, torch.int8, torch.float32, torch.float16])
LAYOUTS = st.sampled_from(["contiguous", "strided", "transposed", "offset", "meta"])
BOOL = st.booleans()

pytestmark = [
    pytest.mark.usefixtures("plain_counts"),
    pytest.mark.filterwarnings("ignore::UserWarning:monai_auxops"),  # arbitrary data contradict the options
]


def laid_out(x: torch.Tensor, layout: str) -> torch.Tensor:
    """The same values, otherwise in memory."""
    if layout == "strided":
        return torch.stack([x, torch.zeros_like(x)], -1)[..., 0]
    if layout == "transposed":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "offset":
        return torch.cat([torch.ones_like(x[:1]), x])[1:]
    return MetaTensor(x) if layout == "meta" else x


@st.composite
def batch(draw, onehot=False, low=1):
    """Scores ``[B, C, *S]``, some NaN or infinite, and indices (some outside the classes) or independent labels."""
    make = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    size, classes, spatial = draw(st.integers(1, 4)), draw(st.integers(low, 4)), draw(SPATIAL)
    x = ref.scores_of(size, classes, spatial, make).to(draw(FLOATS))
    for special in draw(st.lists(st.sampled_from([math.nan, math.inf, -math.inf]), max_size=2)):
        x[torch.rand(x.shape, generator=make) < 0.1] = special
    y = (ref.multihot_of if onehot else ref.indices_of)(size, classes, spatial, make).to(draw(INTEGERS))
    if y.is_floating_point() and not onehot and draw(BOOL):
        y[torch.rand(y.shape, generator=make) < 0.1] = math.nan
    return laid_out(x, draw(LAYOUTS)), laid_out(y, draw(LAYOUTS))


def close(found: torch.Tensor, expected) -> None:
    np.testing.assert_allclose(found.double().numpy(), np.array(expected, dtype=float), atol=1e-6, rtol=1e-6)


@EXAMPLES
@given(data=st.data(), onehot=BOOL, independent=BOOL, jaccard=BOOL, skip=BOOL, last=BOOL)
def test_dice(data, onehot, independent, jaccard, skip, last):
    x, y = data.draw(batch(onehot, low=2 if skip else 1))
    options = {
        "is_onehot_targets": onehot,
        "is_independent_predictions": independent,
        "jaccard": jaccard,
        "skip_background": skip,
        "threshold": data.draw(st.sampled_from([0.25, 0.5, 0.6])),
        "final_activation": data.draw(st.sampled_from([None, "sigmoid"])),
    }
    if last:
        x, y, options["data_format"] = x.movedim(1, -1), y.movedim(1, -1), "channels_last"
    classes = x.shape[-1 if last else 1] - skip
    expected = np.array(ref.dice_per_class(x.as_subclass(torch.Tensor), y.as_subclass(torch.Tensor), **options))
    per_sample = [ref.mean_of_valid(list(row)) for row in expected]
    found = ma.ComputeDice("dice", "mask", **options)(x, y)
    close(found["dice"], per_sample)
    close(found["mask"], ~np.isnan(expected))
    tags = ["mean", *(f"c{i}" for i in range(classes))][: 1 if classes == 1 else None]
    op = ma.DiceMaskedOutput(tags, **options)
    values = op(x, y)
    for i, tag in enumerate(tags[1:]):
        close(values[tag], expected[:, i])
    assert op.aggregate()["mean"] == pytest.approx(ref.mean_of_valid(per_sample), abs=1e-6, nan_ok=True)


@EXAMPLES
@given(data=st.data(), kind=st.sampled_from(["elements", "indices", "exclusive"]), sigmoid=BOOL)
def test_accuracy(data, kind, sigmoid):
    x, y = data.draw(batch(onehot=kind != "indices", low=1 if kind == "elements" else 2))
    if kind == "exclusive":  # one class each
        hot = torch.nn.functional.one_hot(y.as_subclass(torch.Tensor).max(1).indices, y.shape[1])
        y = hot.movedim(-1, 1).to(y.dtype)
    plain = [t.as_subclass(torch.Tensor) for t in (x, y)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "elements":
            close(ma.ComputeAccuracy("a", sigmoid)(x, y)["a"], ref.element_accuracy(*plain, use_sigmoid=sigmoid))
        else:
            exclusive = kind == "exclusive"
            close(ma.ComputeAccuracy("a", exclusive=exclusive)(x, y)["a"], ref.class_accuracy(*plain, onehot=exclusive))


@EXAMPLES
@given(
    seed=st.integers(0, 2**32),
    label_format=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    size=st.integers(1, 5),
    dtype=FLOATS,
    layout=LAYOUTS,
    binary=BOOL,
    multi=BOOL,
    second=BOOL,
)
def test_classification(seed, label_format, size, dtype, layout, binary, multi, second):
    make = torch.Generator().manual_seed(seed)
    x = ref.scores_of(size, sum(label_format), (), make).to(dtype) - 0.5
    y = torch.randint(-1, 5, (size, len(label_format)), generator=make)
    given_x = laid_out(x, layout)
    accuracy = ma.ComputeMulticlassAccuracy("a", binary, multi, second, label_format=label_format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = accuracy(given_x, y)["a"]
    close(found, ref.multiclass_accuracy(x, y, label_format, sigmoid_for_binary=binary, second_sigmoid=second))
    scores = ma.ComputeMulticlassPreds("p", "l", binary, multi, label_format=label_format)(given_x, y)
    options = {"sigmoid_for_binary": binary, "softmax_for_multiclass": multi}
    close(scores["p"], ref.multiclass_preds(x, label_format, **options))
    if 1 in label_format:
        columns = [start for start, k in ref.groups(x, label_format) if k == 1]
        preds = ma.ComputeBinaryPreds("p", "l", label_format=label_format)(given_x, y)
        close(preds["p"], ref.sigmoid(ref.array(x))[:, columns])
        assert torch.equal(preds["l"], y[:, [i for i, k in enumerate(label_format) if k == 1]])


@EXAMPLES
@given(data=st.data(), labeled=BOOL, activation=st.sampled_from([None, "sigmoid"]))
def test_reduce_mean_masked(data, labeled, activation):
    x, y = data.draw(batch())
    y = y if labeled else None
    dims = range(-x.dim(), x.dim())
    axis = data.draw(st.none() | st.sampled_from(dims) | st.lists(st.sampled_from(dims), min_size=1, max_size=3))
    axes = tuple(range(1, x.dim())) if axis is None else tuple({a % x.dim() for a in np.atleast_1d(axis).tolist()})
    plain = [t if t is None else t.as_subclass(torch.Tensor) for t in (x, y)]
    with np.errstate(all="ignore"):
        mean, mask = ref.reduce_mean_masked(*plain, axes, final_activation=activation)
    found = ma.ReduceMeanMasked("m", axis=axis, final_activation=activation)(x, y)
    close(found["m"], mean)
    close(found["m_mask"], mask)


@EXAMPLES
@given(losses=st.lists(st.floats(width=32), min_size=1, max_size=6), sizes=st.data())
def test_negloss(losses, sizes):
    op = ma.NegLoss("n")
    weights = [sizes.draw(st.integers(1, 5)) for _ in losses]
    for loss, size in zip(losses, weights, strict=True):
        op(torch.zeros(size, 1), loss=torch.tensor(loss))
    expected = -sum(np.float64(loss) * n for loss, n in zip(losses, weights, strict=True)) / sum(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert op.aggregate()["n"] == pytest.approx(expected, rel=1e-9, nan_ok=True)
