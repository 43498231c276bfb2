"""What holds for any data: found by Hypothesis, derandomized."""

import itertools
import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import SPATIAL, indices_of, mean_of_valid, scores_of

from monai_auxops import (
    AuxiliaryOperation,
    ComputeAccuracy,
    ComputeAUC,
    ComputeAverage,
    ComputeAverageDice,
    ComputeDice,
    ComputeMulticlassAccuracy,
    ComputeMulticlassAverage,
    DiceMaskedOutput,
    NegLoss,
    ReduceMeanMasked,
)
from monai_auxops.core.running import Totals

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:monai_auxops")  # arbitrary data contradict options

CLASSES = 3
TAGS = ["mean", *"abc"]


class Tallest(AuxiliaryOperation):
    """A user's op with outputs of every kind, of which one accumulates."""

    def get_output_tensors(self, predictions, label, build_ctx):
        top = predictions.flatten(1).amax(1)
        return {"tallest": torch.where(top > 0.9, torch.nan, top), "all": predictions}


SEGMENTATION = {
    "ComputeDice": lambda: ComputeDice("dice", "mask"),
    "ComputeDice_independent": lambda: ComputeDice("dice", is_independent_predictions=True, jaccard=True),
    "DiceMaskedOutput": lambda: DiceMaskedOutput(TAGS),
    "ComputeAccuracy": lambda: ComputeAccuracy("accuracy"),
    "ReduceMeanMasked": lambda: ReduceMeanMasked("mean"),
    "NegLoss": lambda: NegLoss("negloss", loss_function=lambda x, y: (x - y).flatten(1).mean(1).mean()),
    "ComputeAverageDice": lambda: ComputeAverageDice("mean_dice", "model"),
    "user": Tallest,
}
CLASSIFICATION = {
    "ComputeMulticlassAccuracy": lambda: ComputeMulticlassAccuracy("accuracy", label_format=[2, 1]),
    "ComputeAUC": lambda: ComputeAUC("auc", "model", "label"),
    "ComputeAUC_micro": lambda: ComputeAUC("auc", "model", "label", "micro", include_list=[0, 2]),
    "ComputeMulticlassAverage": lambda: ComputeMulticlassAverage("auc", "model", "label", label_format=[2, 1]),
}


@st.composite
def segmentation(draw, low=1):
    """Scores ``[N, 3, *S]`` and indices ``[N, 1, *S]``; some samples have no label at all."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    size, spatial = draw(st.integers(low, 8)), draw(st.sampled_from(list(SPATIAL.values())))
    label = indices_of(size, CLASSES, spatial, generator)
    label[torch.rand(size, generator=generator) < 0.3] = -1
    return scores_of(size, CLASSES, spatial, generator), label


@st.composite
def classification(draw):
    """Scores ``[N, 3]`` and labels ``[N, 2]`` (or ``[N, 1]`` where an op wants indices)."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 12))
    return scores_of(size, CLASSES, (), generator), torch.randint(-1, 3, (size, 2), generator=generator)


def epoch(make, batches):
    """The epoch value of a new op over ``(predictions, label)`` batches."""
    op = make()
    for predictions, label in batches:
        op(predictions, label[:, :1] if isinstance(op, ComputeAUC) else label)
    return op.aggregate()


def split(data, cuts):
    """The samples of ``data`` in consecutive batches."""
    size = len(data[0])
    edges = sorted({0, size, *(cut % size for cut in cuts)})
    return [tuple(x[a:b] for x in data) for a, b in itertools.pairwise(edges)]


def same(values):
    return pytest.approx(values, abs=1e-6, nan_ok=True)


CUTS = st.lists(st.integers(0, 11), max_size=6)


@pytest.mark.parametrize("make", SEGMENTATION.values(), ids=SEGMENTATION)
@given(data=segmentation(), cuts=CUTS)
def test_any_split_into_batches_gives_the_same_epoch(make, data, cuts):
    whole = epoch(make, [data])
    assert whole
    assert epoch(make, split(data, cuts)) == same(whole)


@pytest.mark.parametrize("make", CLASSIFICATION.values(), ids=CLASSIFICATION)
@given(data=classification(), cuts=CUTS)
def test_any_split_gives_the_same_classification_epoch(make, data, cuts):
    assert epoch(make, split(data, cuts)) == same(epoch(make, [data]))


@given(data=segmentation(), cuts=CUTS, ranks=st.integers(1, 4))
def test_any_split_over_ranks_gives_the_same_epoch(data, cuts, ranks):
    """States added up, as one all-reduce does; a rank may have no batch."""

    def make():
        return DiceMaskedOutput(TAGS)

    ops = [make() for _ in range(ranks)]
    for i, batch in enumerate(split(data, cuts)):
        ops[i % ranks](*batch)
    total = sum(torch.cat([state.packed() for state in op.states]) for op in ops).tolist()
    assert ops[0].values_of(Totals.of(ops[0].states, total)) == same(epoch(make, [data]))


@pytest.mark.parametrize("make", SEGMENTATION.values(), ids=SEGMENTATION)
@given(data=segmentation(), random=st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(make, data, random):
    order = random.sample(range(len(data[0])), len(data[0]))
    assert epoch(make, [tuple(x[order] for x in data)]) == same(epoch(make, [data]))


@pytest.mark.parametrize("make", CLASSIFICATION.values(), ids=CLASSIFICATION)
@given(data=classification(), random=st.randoms(use_true_random=False))
def test_the_order_of_classified_samples_does_not_matter(make, data, random):
    order = random.sample(range(len(data[0])), len(data[0]))
    assert epoch(make, [tuple(x[order] for x in data)]) == same(epoch(make, [data]))


@pytest.mark.parametrize("make", SEGMENTATION.values(), ids=SEGMENTATION)
@given(data=segmentation(), random=st.randoms(use_true_random=False))
def test_the_order_of_voxels_does_not_matter(make, data, random):
    flat = [x.reshape(*x.shape[:2], -1) for x in data]
    order = random.sample(range(flat[0].shape[2]), flat[0].shape[2])
    assert epoch(make, [tuple(x[..., order] for x in flat)]) == same(epoch(make, [data]))


@pytest.mark.parametrize("independent", [False, True])
@given(data=segmentation(), order=st.permutations(range(CLASSES)))
def test_permuting_classes_permutes_their_values_and_nothing_else(independent, data, order):
    predictions, label = data
    if not independent:
        predictions = predictions + torch.rand_like(predictions) / 8  # no ties: the first of equals would change
    renamed = label.clone()
    for new, old in enumerate(order):
        renamed[label == old] = new

    def make():
        return DiceMaskedOutput(TAGS, is_independent_predictions=independent)

    before, after = epoch(make, [(predictions, label)]), epoch(make, [(predictions[:, list(order)], renamed)])
    assert after["mean"] == same(before["mean"])
    assert [after[tag] for tag in TAGS[1:]] == same([before[TAGS[1 + old]] for old in order])


@given(data=segmentation(), extra=st.integers(1, 4))
def test_classes_that_are_absent_change_nothing(data, extra):
    """Neither labeled nor ever the best: one more NaN, and the same mean."""
    predictions, label = data
    label = label.masked_fill(label == CLASSES, -1)  # or else it would be one of the new classes
    nowhere = torch.full((len(predictions), extra, *predictions.shape[2:]), -math.inf)
    before = epoch(lambda: DiceMaskedOutput(TAGS), [(predictions, label)])
    tags = [*TAGS, *(f"new_{i}" for i in range(extra))]
    after = epoch(lambda: DiceMaskedOutput(tags), [(torch.cat([predictions, nowhere], 1), label)])
    assert {tag: after[tag] for tag in TAGS} == same(before)
    assert all(math.isnan(after[tag]) for tag in tags[len(TAGS) :])


@pytest.mark.parametrize("final_activation", [None, "sigmoid", "softmax"])
@given(data=segmentation(), power=st.integers(-8, 8))
def test_scaling_logits_does_not_change_the_argmax(final_activation, data, power):
    def make():
        return DiceMaskedOutput(TAGS, final_activation=final_activation)

    predictions, label = data
    assert epoch(make, [(predictions * 2.0**power, label)]) == same(epoch(make, [data]))


@given(data=segmentation(), power=st.integers(-8, 8))
def test_scaling_logits_does_not_change_a_sigmoid_at_one_half(data, power):
    predictions, label = data[0] - 0.5, data[1]
    for make in (
        lambda: ComputeDice("value", is_independent_predictions=True, final_activation="sigmoid"),
        lambda: ComputeAccuracy("value", final_activation="sigmoid"),
    ):
        target = label if isinstance(make(), ComputeDice) else (label > 0).expand(predictions.shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert epoch(make, [(predictions * 2.0**power, target)]) == same(epoch(make, [(predictions, target)]))


@given(data=classification(), power=st.integers(-8, 8), shift=st.integers(-4, 4))
def test_an_auc_depends_on_the_order_of_scores_alone(data, power, shift):
    scores, label = data
    for change in (lambda x: x * 2.0**power + shift, torch.sigmoid, lambda x: x**3):
        make = CLASSIFICATION["ComputeAUC"]
        assert epoch(make, [(change(scores), label)]) == same(epoch(make, [data]))


@given(data=classification())
def test_turning_the_scores_turns_the_auc(data):
    scores, label = data
    make = CLASSIFICATION["ComputeAUC"]
    there, back = (epoch(make, [(sign * scores, label)])["auc"] for sign in (1, -1))
    assert there + back == same(1.0) or (math.isnan(there) and math.isnan(back))


@given(data=segmentation(low=2), at=st.integers(0, 7))
def test_a_sample_with_nothing_to_measure_changes_nothing(data, at):
    predictions, label = data
    label = label.clone()
    label[at % len(label)] = -1
    kept = [i for i in range(len(label)) if i != at % len(label)]
    for name in ("ComputeDice", "DiceMaskedOutput", "ComputeAccuracy", "ReduceMeanMasked", "ComputeAverageDice"):
        with_it = epoch(SEGMENTATION[name], [(predictions, label)])
        assert with_it == same(epoch(SEGMENTATION[name], [(predictions[kept], label[kept])]))


@given(values=st.lists(st.lists(st.sampled_from([math.nan, 0.0, 0.25, 1.0]), min_size=1, max_size=5), max_size=5))
def test_nan_is_never_zero_and_never_divides(values):
    metric = ComputeAverage("mean", "model")
    for batch in values:
        metric(torch.tensor(batch)[:, None])
    assert metric.aggregate()["mean"] == same(mean_of_valid([value for batch in values for value in batch]))


@given(losses=st.lists(st.sampled_from([math.nan, math.inf, -1.0, 2.0]), min_size=1, max_size=6))
def test_a_nan_loss_is_never_hidden(losses):
    op = NegLoss("negloss")
    for loss in losses:
        op(torch.zeros(1, 1), loss=torch.tensor(loss))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = op.aggregate()["negloss"]
    nan = [math.isnan(loss) for loss in losses]
    assert value == same(-sum(losses) / len(losses))
    assert len(caught) == any(nan)
    if any(nan):
        assert f"iteration {nan.index(True) + 1} " in str(caught[0].message)


@given(data=segmentation(), jaccard=st.booleans())
def test_a_perfect_prediction_scores_one_wherever_there_is_something(data, jaccard):
    label = data[1]
    named = (label >= 0) & (label < CLASSES)
    predictions = torch.nn.functional.one_hot(label.masked_fill(~named, 0)[:, 0], CLASSES).movedim(-1, 1).float()
    dice = ComputeDice("dice", jaccard=jaccard)(predictions, label)["dice"]
    assert torch.equal(dice.isnan(), ~named.flatten(1).any(1))
    assert (dice[~dice.isnan()] == 1).all()


@given(data=segmentation())
def test_jaccard_is_dice_over_two_minus_dice(data):
    dice, jaccard = (DiceMaskedOutput(TAGS, jaccard=on)(*data) for on in (False, True))
    for tag in TAGS[1:]:
        expected = dice[tag] / (2 - dice[tag])
        torch.testing.assert_close(jaccard[tag], expected, equal_nan=True)
        assert ((jaccard[tag] >= 0) & (jaccard[tag] <= 1) | jaccard[tag].isnan()).all()
