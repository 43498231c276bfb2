"""``attach --report``: replace console and TensorBoard handlers, and add the report and case tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.attach.engines import EngineItem, readable_id
from monai_auxops.attach.slots import overrides_before

if TYPE_CHECKING:
    from monai_auxops.attach.config import BundleConfig
    from monai_auxops.attach.plan import Plan

_EXCHANGED: Final = {"StatsHandler": "AuxStatsHandler", "TensorBoardStatsHandler": "AuxTensorBoardStatsHandler"}


def add_report(plan: Plan) -> None:
    """Add to a plan what ``monai-auxops report`` shows: curves, cases, and the other handlers of its page."""
    exchange(plan)
    config = plan.run.config
    trainer = next((engine for engine in plan.run.engines if engine.trains), None)
    evaluator = next((engine for engine in plan.run.engines if not engine.trains), None)
    if trainer is not None:
        _add(plan, trainer, [*_curves(config, trainer, trainer), _report_handler(plan, trainer, evaluator)])
        plan.page_folder = _page_folder(config, trainer)
    if evaluator is not None:
        curves = [] if trainer is None else _curves(config, evaluator, trainer)
        _add(plan, evaluator, [*curves, *_agreement(plan, evaluator)])
        _add_cases(plan, evaluator, _report_path(config, evaluator) if trainer is None else _log_dir(config, trainer))


def _curves(config: BundleConfig, engine: EngineItem, trainer: EngineItem) -> list[dict[str, Any]]:
    """Return a handler that writes the curves of an engine; none if it has one."""
    if any(name == "TensorBoardStatsHandler" for _, name in _handlers(config, engine)):
        return []
    return [{"_target_": "monai_auxops.AuxTensorBoardStatsHandler", "log_dir": _log_dir(config, trainer)}]


def _agreement(plan: Plan, evaluator: EngineItem) -> list[dict[str, Any]]:
    """Return a handler that compares the bundle's values with ours; none if no two should be equal."""
    pairs = {pair.theirs: pair.ours for pair in plan.pairs if pair.engine == evaluator.item_id and not pair.note}
    return [{"_target_": "monai_auxops.AuxAgreementHandler", "pairs": pairs}] if pairs else []


def exchange(plan: Plan) -> None:
    """Replace MONAI's console and TensorBoard handlers in place by ours, which take the same arguments."""
    for engine in plan.run.engines:
        for item_id, name in _handlers(plan.run.config, engine):
            if name in _EXCHANGED:
                plan.block |= overrides_before(plan.run.config, f"{item_id}::_target_")
                plan.block[f"{readable_id(item_id)}#_target_"] = f"monai_auxops.{_EXCHANGED[name]}"


def _handlers(config: BundleConfig, engine: EngineItem) -> Iterator[tuple[str, str]]:
    """Yield the id and class of each handler of an engine that is written as a component."""
    waiting, seen = [f"{engine.item_id}::{engine.prefix}_handlers"], set()
    for reference in waiting:
        item_id, value = config.follow(reference)
        if item_id in seen:
            continue
        seen.add(item_id)
        if isinstance(value, dict) and "_target_" in value:
            yield item_id, config.target(item_id).rpartition(".")[2]
        elif isinstance(value, list):
            waiting += [f"{item_id}::{index}" for index in range(len(value))]
        elif isinstance(value, str):
            waiting += config.references(value)


def _add(plan: Plan, engine: EngineItem, handlers: list[dict[str, Any]]) -> None:
    """Add handlers at the place of the last one that shows values, so that cutting the list by rank also cuts them."""
    config = plan.run.config
    shows = [item_id for item_id, name in _handlers(config, engine) if name in _EXCHANGED]
    if not handlers:
        return
    if shows:
        plan.block[f"{readable_id(shows[-1])}#also"] = handlers  # exchange() has made the place writable
    else:
        plan.block |= _append_handlers(config, engine, handlers)


def _append_handlers(config: BundleConfig, engine: EngineItem, handlers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the overrides that append handlers to a list, or make one."""
    slot = f"{engine.item_id}::{engine.prefix}_handlers"
    item_id, value = config.follow(slot)
    if value in (None, "$None"):
        return overrides_before(config, slot) | {readable_id(slot): handlers}
    if isinstance(value, list):
        return overrides_before(config, item_id) | {f"+{readable_id(item_id)}": handlers}
    name = f"aux_ops_{engine.prefix}_handlers"
    merged = f"$list(({str(value).strip()[1:]}) or []) + list(@{name})"
    return {name: handlers} | overrides_before(config, slot) | {readable_id(slot): merged}


def _report_handler(plan: Plan, trainer: EngineItem, evaluator: EngineItem | None) -> dict[str, Any]:
    block: dict[str, Any] = {"_target_": "monai_auxops.AuxReportHandler", "evaluator": []}
    if evaluator is not None:
        block["evaluator"] = f"@{readable_id(evaluator.item_id)}"
    measure = plan.measures.get((evaluator or trainer).item_id)
    if measure is not None and measure.names:
        block["class_names"] = list(measure.names)
    if measure is None or not measure.exclusive or measure.onehot_before:
        block["matrix"] = False  # it counts exclusive classes of index labels
    files = [str(path.name) for path in plan.run.config.files]
    folder = plan.run.config.files[0].parent.name
    names = [f"{folder}/{name}" for name in [*files, plan.run.output]]
    block["config"] = {"_target_": "monai_auxops.attach.executed.executed_config", "files": names}
    return block | {"log_dir": _log_dir(plan.run.config, trainer)}


def _log_dir(config: BundleConfig, trainer: EngineItem) -> Any:
    """Return the folder of the trainer's TensorBoard handler, otherwise the bundle's output folder."""
    item_id = _log_dir_id(config, trainer)
    if item_id == "output_dir":
        return "@output_dir"
    return config.at(item_id) if item_id else "./runs"


def _page_folder(config: BundleConfig, trainer: EngineItem) -> str:
    """Return the folder that ``_log_dir`` means when the bundle runs, or the one above if its name is of that time."""
    item_id = _log_dir_id(config, trainer)
    folder = Path(str(config.try_value(item_id, "eval" if item_id else "./runs")))
    return str(folder.parent if "time" in "".join(_expressions(config, item_id)) else folder)


def _expressions(config: BundleConfig, item_id: str) -> Iterator[str]:
    """Yield the text of an item and of all that it refers to."""
    waiting = [item_id]
    for reference in waiting:
        value = config.at(reference)
        if isinstance(value, str):
            yield value
            waiting += [each for each in config.references(value) if each not in waiting]


def _log_dir_id(config: BundleConfig, trainer: EngineItem) -> str:
    """Return the id of that folder; empty if the bundle has none."""
    for item_id, name in _handlers(config, trainer):
        if name in _EXCHANGED and "log_dir" in config.at(item_id):
            return f"{item_id}::log_dir"
    return "output_dir" if "output_dir" in config.raw else ""


def _add_cases(plan: Plan, evaluator: EngineItem, folder: Any) -> None:
    """Add a table of the evaluator's cases in ``folder``: each aux-op's values for each file."""
    ours = next((name for engine, name in plan.metrics if engine == evaluator), None)
    for key, value in plan.block.items():
        op = value if key.endswith(f"#{ours}") else value.get(ours) if isinstance(value, dict) else None
        if isinstance(op, dict):
            op["report_path"] = folder


def _report_path(config: BundleConfig, evaluator: EngineItem) -> Any:
    """Return the folder of the evaluation's MetricsSaver, otherwise the bundle's output folder."""
    for item_id, name in _handlers(config, evaluator):
        if name == "MetricsSaver" and "save_dir" in config.at(item_id):
            return config.at(item_id)["save_dir"]
    return "@output_dir" if "output_dir" in config.raw else "./eval"
