"""Derive how a bundle measures; if the bundle does not tell, an error names the option that answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from monai_auxops.attach.engines import readable_id
from monai_auxops.attach.evidence import Answers, Evidence, Measure, with_reason
from monai_auxops.attach.meanings import Meaning, overlap_of
from monai_auxops.attach.names import class_names
from monai_auxops.attach.problem import AttachError
from monai_auxops.attach.stage import with_stage

if TYPE_CHECKING:
    from monai_auxops.attach.losses import LossFacts
    from monai_auxops.attach.postprocessing import PostProcessing


def derive(
    evidence: Evidence,
    answers: Answers,
    others: Sequence[Meaning] = (),
    known: Measure | None = None,
    overlaps: bool = True,
) -> Measure:
    """Return how an engine measures.

    Args:
        evidence: what the bundle tells.
        answers: what the user tells.
        others: the overlaps of the bundle's other engines, which should have the same meaning.
        known: how another engine with the same network measures, for one that does not tell everything.
        overlaps: whether an overlap is measured, which may leave out class 0.

    Raises:
        AttachError: the bundle does not tell, or contradicts itself; the message names the option that answers.
    """
    names = class_names(evidence.output, evidence.channels, evidence.where, answers.class_names)
    channels = evidence.channels or evidence.output.channels or (len(names) if names else None)
    source = "the training" if evidence.engine.trains else "the validation"
    measure = replace(_with_channels(evidence, answers, known), source=source)
    measure = replace(measure, names=tuple(names) if names else None, channels=channels)
    measure = _with_activation(measure, evidence, answers, known)
    measure = _with_labels(measure, evidence, answers, known)
    measure = replace(measure, onehot_before=measure.onehot)
    if overlaps:
        own = [evidence.overlap] if evidence.overlap is not None else []
        measure = _with_background(measure, evidence, answers, overlap_of([*own, *others]))
    return with_stage(measure, evidence, answers)


def _with_channels(evidence: Evidence, answers: Answers, known: Measure | None) -> Measure:
    """Decide between exclusive classes and independent channels."""
    post, loss = evidence.post, evidence.loss
    if answers.channels is not None:
        return Measure(answers.channels == "exclusive", why=(f"{answers.channels} channels: --channels",))
    if post.argmax:
        return Measure(True, why=("exclusive classes: the post-processing takes the argmax",))
    if post.threshold is not None:
        kind = "one channel" if evidence.single else "independent channels"
        return Measure(False, why=(f"{kind}: the post-processing compares with a threshold",))
    activation = answers.activation or post.activation or loss.activation
    if activation is not None and activation != "none":
        source = _activation_source(activation, answers, post, loss)
        kind = "exclusive classes" if activation == "softmax" else "independent channels"
        return Measure(activation == "softmax", why=(f"{kind}: {source}",))
    if known is not None:
        kind = "exclusive classes" if known.exclusive else "independent channels"
        return Measure(known.exclusive, why=(f"{kind}: as in {known.source}",))
    refuse_regression(evidence)
    raise AttachError(_missing_answer(evidence))


def _activation_source(activation: str, answers: Answers, post: PostProcessing, loss: LossFacts) -> str:
    if answers.activation is not None:
        return "--activation"
    if post.activation is not None:
        return f"the post-processing applies a {activation}"
    return f"{loss.name} applies a {activation}"


def refuse_regression(evidence: Evidence) -> None:
    """Raise an error if predictions are values, not classes."""
    if evidence.loss.regresses and not evidence.post.decides:
        raise AttachError(
            f"{readable_id(evidence.engine.item_id)} has no classes to measure: {evidence.loss.name} compares values "
            "(registration, regression or generation), and no post-processing turns them into classes; use --ops "
            "NegLoss to follow the loss, or --channels if there are classes"
        )


def _missing_answer(evidence: Evidence) -> str:
    """Return an error that says what is missing."""
    where, loss = readable_id(evidence.engine.item_id), evidence.loss
    others = f" ({', '.join(evidence.post.others)} is not understood)" if evidence.post.others else ""
    said = f", and neither does the loss {loss.name}" if loss.name else ""
    return (
        f"the post-processing of {where} has neither an argmax nor a threshold{others}, so the bundle does not tell "
        f"whether classes exclude each other{said}; pass --channels exclusive or --channels independent"
    )


def _with_activation(measure: Measure, evidence: Evidence, answers: Answers, known: Measure | None) -> Measure:
    """Find the activation that the network leaves out, which an argmax does not need."""
    post, loss = evidence.post, evidence.loss
    if measure.exclusive:
        return measure
    threshold = answers.threshold if answers.threshold is not None else post.threshold
    measure = replace(measure, threshold=0.5 if threshold is None else threshold)
    if answers.activation is not None:
        found = None if answers.activation == "none" else answers.activation
        return with_reason(replace(measure, activation=found), f"activation {answers.activation}: --activation")
    if post.activation is not None:
        line = f"{post.activation}, then {measure.threshold:g}: the post-processing"
        return with_reason(replace(measure, activation=post.activation), line)
    if post.threshold is not None:
        line = f"raw output against {measure.threshold:g}: the post-processing has a threshold but no activation"
        return with_reason(measure, line)
    if loss.activation is not None:
        measure, source = _with_known_threshold(measure, loss, answers, known)
        line = f"{loss.activation}: {loss.name} applies it; {measure.threshold:g}: {source}"
        return with_reason(replace(measure, activation=loss.activation), line)
    if known is not None:
        line = f"activation {known.activation or 'none'}, then {known.threshold:g}: as in {known.source}"
        return with_reason(replace(measure, activation=known.activation, threshold=known.threshold), line)
    raise AttachError(
        f"nothing tells whether the network of {readable_id(evidence.engine.item_id)} ends in its activation; pass "
        "--activation sigmoid, softmax or none"
    )


def _with_known_threshold(
    measure: Measure, loss: LossFacts, answers: Answers, known: Measure | None
) -> tuple[Measure, str]:
    """Return the measure with the threshold of the same probabilities elsewhere, and the source of the threshold."""
    if answers.threshold is not None:
        return measure, "--threshold"
    if known is not None and not known.exclusive and known.activation == loss.activation:
        return replace(measure, threshold=known.threshold), f"as in {known.source}"
    return measure, "no post-processing says otherwise"


def _with_labels(measure: Measure, evidence: Evidence, answers: Answers, known: Measure | None) -> Measure:
    """Decide between class indices and labels with a channel for each class."""
    post, loss = evidence.post, evidence.loss
    if answers.labels is not None:
        return with_reason(replace(measure, onehot=answers.labels == "onehot"), f"{answers.labels} labels: --labels")
    if evidence.single:
        return with_reason(measure, "one channel, label 0 or 1")
    if post.label_onehot:
        return with_reason(measure, "index labels: the post-processing makes them one-hot")
    if post.label_others:
        raise AttachError(_unknown_labels(evidence))
    if evidence.onehot_before:
        line = f"one-hot labels: {evidence.onehot_before} of the preprocessing makes them"
        return with_reason(replace(measure, onehot=True), line)
    if loss.index_labels:
        return with_reason(measure, f"index labels: {loss.name} takes them")
    if loss.same_shape:
        line = f"one-hot labels: neither {loss.name} nor the post-processing converts them"
        return with_reason(replace(measure, onehot=True), line)
    if known is not None:
        kind = "one-hot" if known.onehot_before else "index"
        return with_reason(replace(measure, onehot=known.onehot_before), f"{kind} labels: as in {known.source}")
    raise AttachError(_unknown_labels(evidence))


def _unknown_labels(evidence: Evidence) -> str:
    """Return an error that says what is missing, and when the answer applies."""
    where, others = readable_id(evidence.engine.item_id), evidence.post.label_others
    if others:
        return (
            f"{', '.join(others)} in the post-processing of {where} changes the labels, and nothing tells to what; "
            "pass --labels index or --labels onehot, as they are after it"
        )
    own = f": the loss {evidence.loss.name} may convert them" if evidence.loss.name else ""
    return f"nothing tells whether the labels of {where} are class indices{own}; pass --labels index or --labels onehot"


def _with_background(measure: Measure, evidence: Evidence, answers: Answers, overlap: Meaning | None) -> Measure:
    """Decide whether class 0 counts, and which overlap is measured."""
    if overlap is not None:
        measure = replace(measure, jaccard=overlap.kind == "iou")
        measure = replace(measure, empty_value=None if overlap.ignore_empty else 1.0)
    skips, line = _skips_background(measure, evidence, answers, overlap)
    if evidence.single and skips:
        return measure
    return with_reason(replace(measure, skip_background=skips), line)


def _skips_background(
    measure: Measure, evidence: Evidence, answers: Answers, overlap: Meaning | None
) -> tuple[bool, str]:
    if answers.background is not None:
        return answers.background == "skip", f"class 0 {_counts_or_not(answers.background == 'include')}: --background"
    if overlap is not None:
        told = f"{overlap.name} ({overlap.target}) has include_background={overlap.include_background}"
        return not overlap.include_background, f"class 0 {_counts_or_not(overlap.include_background)}: {told}"
    if evidence.loss.skips_background:
        return True, f"class 0 is left out: {evidence.loss.name} has include_background=False"
    first = (measure.names or ("",))[0].lower()
    if measure.exclusive and first in ("background", "bg", "bkg"):
        return True, f"class 0 is left out: metadata.json names it {first!r}"
    return False, "class 0 counts: nothing in the bundle leaves it out"


def _counts_or_not(counts: bool) -> str:
    return "counts" if counts else "is left out"
