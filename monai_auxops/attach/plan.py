"""The overrides to write for each run of a bundle, and the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_auxops.attach import accuracy
from monai_auxops.attach.blocks import MEASURES, default_ops, label_format_block, op_block, stem_of
from monai_auxops.attach.derive import derive
from monai_auxops.attach.engines import EngineItem, readable_id, refuse_unmeasurable
from monai_auxops.attach.evidence import Answers, Evidence, Measure, read_evidence
from monai_auxops.attach.network import Output, read_metadata, read_output
from monai_auxops.attach.pairs import MetricPair, pairs_of
from monai_auxops.attach.problem import AttachError
from monai_auxops.attach.runs import BundleRun, find_runs
from monai_auxops.attach.slots import slot_overrides


@dataclass
class Plan:
    """The overrides for one run.

    Args:
        run: the files and engines.
        block: the overrides by id.
        lines: a sentence for each derivation, under the engine's id.
        pairs: values to compare.
        metrics: the engine and the name of each op in the block.
        refused: why an evaluation is left alone, or nothing.
        measures: how each engine measures, by its id.
        index_labels: whether labels are class indices before post-processing.
        page_folder: the folder that ``monai-auxops report`` reads after a training; empty without its handler.
    """

    run: BundleRun
    block: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    pairs: list[MetricPair] = field(default_factory=list)
    metrics: list[tuple[EngineItem, str]] = field(default_factory=list)
    refused: str = ""
    measures: dict[str, Measure] = field(default_factory=dict)
    index_labels: bool = True
    page_folder: str = ""


def make_plans(
    bundle: Path, configs: Path, ops: Sequence[str], answers: Answers, chosen: Sequence[Path] = ()
) -> list[Plan]:
    """Return a plan for the training and one for each evaluation; a plan that adds nothing is refused."""
    output = read_output(read_metadata(configs))
    runs = find_runs(bundle, configs, chosen)
    for run in runs:
        for engine in run.engines:
            refuse_unmeasurable(run.config, engine)
    maker = _Maker(ops, answers, output)
    return [maker.plan(run) for run in sorted(runs, key=lambda run: not run.trains)]


class _Maker:
    """Makes the plans of one bundle; an evaluation is measured like the training unless it tells otherwise."""

    def __init__(self, ops: Sequence[str], answers: Answers, output: Output) -> None:
        self.ops, self.answers, self.output = list(ops), answers, output
        self.taken: dict[str, None] = {}  # names of the bundle's metrics in all runs so far
        self.trainer: EngineItem | None = None
        self.training: Measure | None = None

    def plan(self, run: BundleRun) -> Plan:
        """Return the plan of a run; the first must work, the others may say why they do not."""
        if self.trainer is None and not self.training:
            self.trainer = next((engine for engine in run.engines if engine.trains), None)
            plan = self._make(run)
            self.training = next(iter(plan.measures.values()), None)
            return plan
        try:
            return self._make(run)
        except AttachError as error:
            return Plan(run, refused=str(error))

    def _make(self, run: BundleRun) -> Plan:
        plan = Plan(run)
        trainer = self.trainer
        if trainer is not None and run.config.at(trainer.item_id) is None:
            trainer = None  # the evaluation stands alone
        chosen = self.answers.output_transform
        evidences = [read_evidence(run, engine, trainer, self.output, chosen) for engine in run.engines]
        self.ops = self.ops or default_ops(evidences)
        meanings = [one for evidence in evidences for one in evidence.meanings]
        self.taken |= dict.fromkeys(one.name for one in meanings)
        measures = self._measures(evidences)
        for evidence in evidences:
            measure = measures.get(evidence.engine.item_id)
            _add_engine(plan, evidence, measure, self.ops, self.answers, list(self.taken))
        return plan

    def _measures(self, evidences: Sequence[Evidence]) -> dict[str, Measure]:
        """Return how each engine measures, which a loss does not need; the one that tells most comes first."""
        if not set(self.ops) & set(MEASURES):
            return {}
        overlaps = bool(set(self.ops) & set(MEASURES[:2]))
        whole = [evidence.overlap for evidence in evidences if evidence.overlap is not None]
        known, found = self.training, {}
        for evidence in sorted(evidences, key=lambda one: not one.post.decides):
            measure = derive(evidence, self.answers, whole, known, overlaps)
            found[evidence.engine.item_id] = measure
            if known is None and not evidence.post.label_others:
                known = measure
        return found


def _add_engine(
    plan: Plan,
    evidence: Evidence,
    measure: Measure | None,
    names: Sequence[str],
    answers: Answers,
    taken: Sequence[str],
) -> None:
    engine = evidence.engine
    block: dict[str, Any] = {}
    for name in names:
        stem = stem_of(name, measure, [*taken, *block])
        _refuse_twice(evidence, name, stem)
        op = op_block(name, stem, measure if name in MEASURES else None, evidence, answers)
        block[f"{engine.prefix}_{stem}"] = op | label_format_block(name, plan.run.config)
    plan.block |= slot_overrides(plan.run.config, engine, block)
    plan.metrics += [(engine, name) for name in block]
    plan.lines[readable_id(engine.item_id)] = _lines(evidence, measure, names) + _key_line(plan, evidence, block)
    plan.index_labels = bool(evidence.loss.index_labels)
    if measure is not None:
        plan.index_labels = not measure.onehot_before
        plan.measures[engine.item_id] = measure
        plan.pairs += pairs_of(evidence, measure, block)


def _key_line(plan: Plan, evidence: Evidence, block: dict[str, Any]) -> list[str]:
    """Return a line that says which op becomes the key metric of an engine without one."""
    if readable_id(evidence.engine.key_slot) not in plan.block:
        return []
    first = next(iter(block))
    return [f"{first} becomes its key metric, because it has none and MONAI attaches no other metric without one"]


def _refuse_twice(evidence: Evidence, name: str, stem: str) -> None:
    """Refuse an op that the bundle already has."""
    wanted = stem.removeprefix("class_").removeprefix("aux_")
    for meaning in evidence.meanings:
        if meaning.kind == "aux-op" and (meaning.target == name or meaning.name.endswith(f"_{wanted}")):
            raise AttachError(
                f"{readable_id(evidence.engine.item_id)} already has {meaning.name}, an aux-op's value; {name} is "
                "not added, name other aux-ops with --ops"
            )


def _lines(evidence: Evidence, measure: Measure | None, names: Sequence[str]) -> list[str]:
    """Return a line for each derivation, and other remarks for the user."""
    lines = list(measure.why) if measure is not None else []
    if evidence.stacked and measure is not None:
        lines.append("the first of the stacked outputs: DynUNet has deep_supervision=True")
    if measure is not None and not measure.names:
        lines.append("no class names: metadata.json has no channel_def")
    if "NegLoss" in names and evidence.loss.sums:
        lines.append(f"{evidence.loss.name} is a sum over the batch: NegLoss depends on the batch size")
    if measure is not None:
        lines += accuracy.inflation_warnings(evidence, measure, names)
    return lines
