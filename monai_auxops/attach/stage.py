"""Decide whether an engine is measured before or after its post-processing."""

from __future__ import annotations

from dataclasses import replace

from monai_auxops.attach.engines import readable_id
from monai_auxops.attach.evidence import Answers, Evidence, Measure, with_reason
from monai_auxops.attach.problem import AttachError


def with_stage(measure: Measure, evidence: Evidence, answers: Answers) -> Measure:
    """Measure after post-processing if it changes more than activation and threshold."""
    post = evidence.post
    measure = replace(measure, inverted=post.inverted)
    if answers.stage != "post" and not (post.inverted or post.others or evidence.engine.is_ensemble):
        return measure
    why_before = "--stage" if answers.stage == "raw" else _reason_for_raw(measure, evidence, answers)
    if why_before:
        return with_reason(measure, f"before post-processing, on the network's grid: {why_before}")
    if evidence.keys != ("pred", "label") and answers.stage is None:
        raise AttachError(
            f"the metrics of {readable_id(evidence.engine.item_id)} read {evidence.keys[0]!r} and "
            f"{evidence.keys[1]!r} after post-processing, but aux-ops read 'pred' and 'label' there; pass --stage raw "
            "or post"
        )
    onehot = not evidence.single and (post.label_onehot or measure.onehot)
    activated = post.decides or post.activation is not None
    measure = replace(measure, stage="post", onehot=onehot, activation=None if activated else measure.activation)
    measure = replace(measure, threshold=0.5 if post.decides else measure.threshold)
    labels = ", where the labels are one-hot" if onehot else ""
    return with_reason(measure, f"after post-processing{labels}: {_stage_reason(evidence)}")


def _reason_for_raw(measure: Measure, evidence: Evidence, answers: Answers) -> str:
    """Return why nothing can be measured after post-processing, or nothing.

    Raises:
        AttachError: before it there is nothing to measure either.
    """
    post = evidence.post
    if measure.exclusive and not post.onehot and not evidence.single:
        why = "it leaves a class map without scores"
    elif post.others and not post.decides and answers.stage is None:
        why = f"what {', '.join(post.others)} does is unknown"
    else:
        return ""
    where = readable_id(evidence.engine.item_id)
    if evidence.engine.is_ensemble:
        raise AttachError(f"an ensemble has no 'pred' before the post-processing of {where}, and after it {why}")
    if post.label_others:
        raise AttachError(
            f"{', '.join(post.label_others)} in the post-processing of {where} changes the labels, so they cannot be "
            f"measured before it, and after it {why}; let AsDiscreted make both one-hot, or pass --stage raw"
        )
    return why


def _stage_reason(evidence: Evidence) -> str:
    if evidence.post.inverted:
        return "it returns to the original grid with Invertd"
    if evidence.post.others:
        return f"{', '.join(evidence.post.others)} changes what the bundle measures"
    return "an ensemble has no 'pred' before it" if evidence.engine.is_ensemble else "--stage"
