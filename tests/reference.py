"""What each aux-op means, a second time: NumPy and sets, one voxel at a time, written from the definitions alone.

Slow and plain on purpose. Nothing here imports the package. At the end: inputs that meet every rule.
"""

import math

import numpy as np
import torch


def array(tensor):
    """The exact values of a tensor of any dtype, as float64."""
    return tensor.detach().cpu().double().numpy()


def mean_of_valid(values):
    """NaN is skipped; NaN where nothing is left."""
    valid = [value for value in values if not math.isnan(value)]
    return sum(valid) / len(valid) if valid else math.nan


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=1):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def channels(values, spatial):
    """``[B, C, number of voxels]`` of ``[B, C, *S]`` or, without the channel dimension, ``[B, *S]``."""
    if values.shape[1:] == tuple(spatial):
        values = values[:, None]
    return values.reshape(*values.shape[:2], -1)


def first_maximum(scores):
    """The class with the highest score, the first of equals; None if a score is NaN."""
    scores = [float(score) for score in scores]
    return None if any(math.isnan(score) for score in scores) else scores.index(max(scores))


def class_sets(
    predictions, label, *, onehot=False, independent=False, threshold=0.5, activation=None, as_float=np.float32
):
    """Per sample and class the voxels predicted in it and the voxels labeled with it, as two sets."""
    spatial = predictions.shape[2:]
    scores, truth = channels(predictions, spatial), channels(label, spatial)
    batch, classes, voxels = scores.shape
    thresholded = independent or classes == 1
    if thresholded and activation == "sigmoid":
        threshold = math.log(threshold / (1 - threshold))
    if thresholded and activation == "softmax":
        scores = softmax(scores)
    sets = []
    for b in range(batch):
        predicted, labeled = [set() for _ in range(classes)], [set() for _ in range(classes)]
        for v in range(voxels):
            index = truth[b, 0, v]
            if not onehot and index not in range(max(classes, 2)):
                continue  # names no class: left out of both
            for c in range(classes):
                if thresholded:
                    hit = as_float(scores[b, c, v]) > as_float(threshold)
                else:
                    hit = first_maximum(scores[b, :, v]) == c
                if onehot and not truth[b, c, v] >= 0:
                    continue  # nobody annotated this class here: negative or NaN
                if hit:
                    predicted[c].add(v)
                if (truth[b, c, v] > 0.5) if onehot else index == (1 if classes == 1 else c):
                    labeled[c].add(v)
        sets.append(list(zip(predicted, labeled, strict=True)))
    return sets


def dice_per_class(
    predictions,
    label,
    *,
    data_format="channels_first",
    skip_background=False,
    is_onehot_targets=False,
    is_independent_predictions=False,
    jaccard=False,
    threshold=0.5,
    final_activation=None,
):
    """``[B][C']``, NaN where the class is absent from the label."""
    as_float = np.float64 if predictions.dtype == torch.float64 else np.float32  # what is compared with the threshold
    predictions, label = array(predictions), array(label)
    if data_format == "channels_last":
        label = np.moveaxis(label, -1, 1) if label.ndim == predictions.ndim else label
        predictions = np.moveaxis(predictions, -1, 1)
    sets = class_sets(
        predictions,
        label,
        onehot=is_onehot_targets,
        independent=is_independent_predictions,
        threshold=threshold,
        activation=final_activation,
        as_float=as_float,
    )
    first = 1 if skip_background else 0
    return [[overlap(p, t, jaccard) for p, t in classes[first:]] for classes in sets]


def overlap(predicted, labeled, jaccard=False):
    if not labeled:
        return math.nan
    both = len(predicted & labeled)
    return both / len(predicted | labeled) if jaccard else 2 * both / (len(predicted) + len(labeled))


def dice_per_sample(*args, **options):
    """``[B]``: the mean over the valid classes of each sample."""
    return [mean_of_valid(classes) for classes in dice_per_class(*args, **options)]


def element_accuracy(predictions, label, *, use_sigmoid=False):
    """``[B]``: the share of equal elements; labels that are NaN, negative or above 1 are left out."""
    predictions, label = array(predictions), array(label)
    shares = []
    for p, y in zip(predictions.reshape(len(predictions), -1), label.reshape(len(label), -1), strict=True):
        cut = 0 if use_sigmoid else 0.5  # sigmoid(x) > 0.5 exactly where x > 0
        right = [(a > cut) == (b > 0.5) and not math.isnan(a) for a, b in zip(p, y, strict=True) if 0 <= b <= 1]
        shares.append(sum(right) / len(right) if right else math.nan)
    return shares


def class_accuracy(predictions, label, *, onehot=False):
    """``[B]``: the share of voxels whose argmax is the label; voxels whose label names no class are left out."""
    predictions, label = array(predictions), array(label)
    scores, truth = (channels(x, predictions.shape[2:]) for x in (predictions, label))
    shares = []
    for b in range(len(scores)):
        right = []
        for v in range(scores.shape[2]):
            answer = first_maximum(truth[b, :, v] > 0.5) if onehot else truth[b, 0, v]
            if answer in range(scores.shape[1]):
                right.append(first_maximum(scores[b, :, v]) == answer)
        shares.append(sum(right) / len(right) if right else math.nan)
    return shares


def groups(predictions, label_format):
    """``(first column, number of columns)`` of each label."""
    starts = [sum(label_format[:i]) for i in range(len(label_format))]
    assert predictions.shape[1] == sum(label_format)
    return list(zip(starts, label_format, strict=True))


def multiclass_accuracy(predictions, label, label_format, *, sigmoid_for_binary=True, second_sigmoid=False):
    """``[B]``: the mean over the labels that name a class."""
    predictions, label = array(predictions), array(label)
    shares = []
    for x, answers in zip(predictions, label, strict=True):
        right = []
        for (start, k), answer in zip(groups(predictions, label_format), answers, strict=True):
            if k == 1 and 0 <= answer <= 1:
                positive = x[start] > 0 if sigmoid_for_binary else x[start] > 0.5
                if second_sigmoid:
                    positive = True if sigmoid_for_binary else x[start] > 0
                right.append(positive == (answer > 0.5) and not math.isnan(x[start]))
            elif k > 1 and answer in range(k):
                right.append(first_maximum(x[start : start + k]) == answer)
        shares.append(sum(right) / len(right) if right else math.nan)
    return shares


def multiclass_preds(predictions, label_format, *, sigmoid_for_binary=True, softmax_for_multiclass=True):
    """``[B, sum(label_format)]``."""
    predictions = array(predictions)
    columns = []
    for start, k in groups(predictions, label_format):
        x = predictions[:, start : start + k]
        if k == 1:
            columns.append(sigmoid(x) if sigmoid_for_binary else x)
        else:
            columns.append(softmax(x) if softmax_for_multiclass else x)
    return np.concatenate(columns, 1)


def reduce_mean_masked(predictions, label, axis, *, final_activation=None):
    """The mean over valid entries along ``axis``, and 1.0 where there was one."""
    values = array(predictions)
    if final_activation is not None:
        values = sigmoid(values) if final_activation == "sigmoid" else softmax(values)
    label = np.broadcast_to(np.zeros(()) if label is None else array(label), values.shape)
    valid = np.isfinite(values) & ~np.isnan(label) & ~(label < 0)
    axis = tuple(axis) if isinstance(axis, list | tuple) else axis
    total, number = np.where(valid, values, 0).sum(axis), valid.sum(axis)
    with np.errstate(invalid="ignore"):
        return np.where(number > 0, total / number, np.nan), (number > 0).astype(float)


def pairwise_auc(scores, labels):
    """The share of pairs (positive, negative) in the right order, ties one half; NaN without a pair."""
    known = [(score, label) for score, label in zip(scores, labels, strict=True) if label >= 0]
    positive = [score for score, label in known if label > 0.5]
    negative = [score for score, label in known if label <= 0.5]
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    return sum(wins) / len(wins) if wins else math.nan


SPATIAL = {"0d": (), "1d": (9,), "2d": (4, 5), "3d": (3, 4, 2)}


def scores_of(batch, classes, spatial, generator=None):
    """Quarters from 0 to 1: exact in every dtype, full of ties, and often at the threshold 0.5 itself."""
    return torch.randint(0, 5, (batch, classes, *spatial), generator=generator) / 4


def indices_of(batch, classes, spatial, generator=None):
    """Class indices ``[B, 1, *S]``, a few of them outside the classes."""
    return torch.randint(-1, max(classes, 2) + 1, (batch, 1, *spatial), generator=generator)


def multihot_of(batch, classes, spatial, generator=None):
    """Labels ``[B, C, *S]`` of 0 and 1, channels independent of one another."""
    return torch.randint(0, 2, (batch, classes, *spatial), generator=generator)
