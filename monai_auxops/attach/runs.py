"""The runs of a bundle: which of its files train it, and which evaluate it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monai_auxops.attach.config import BundleConfig
from monai_auxops.attach.engines import (
    EngineItem,
    find_engines,
    reachable_ids,
    readable_id,
    refuse_unmeasurable,
    run_ids,
)
from monai_auxops.attach.folder import OURS, load_config, workflow_files
from monai_auxops.attach.problem import AttachError

_WORKFLOW: Final = re.compile(r"^class \w+\(.*Workflow\b", re.MULTILINE)
_PARALLEL: Final = ("multi_gpu", "multigpu", "multi_node")


@dataclass(frozen=True)
class BundleRun:
    """The files that one ``monai.bundle run`` command reads, and the engines in them.

    Args:
        config: its files, merged.
        engines: the engines that run, a trainer first.
        run_id: the id that the command runs.
        output: the name of the file that ``attach`` writes for it.
        parallel: the files to add for several GPUs.
    """

    config: BundleConfig
    engines: tuple[EngineItem, ...]
    run_id: str
    output: str
    parallel: tuple[Path, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether the run has a trainer."""
        return any(engine.trains for engine in self.engines)


def find_runs(bundle: Path, configs: Path, chosen: Sequence[Path]) -> list[BundleRun]:
    """Return the training and the evaluations of a bundle, or of the files ``chosen``."""
    if chosen:
        return [_chosen(chosen)]
    files = workflow_files(configs)
    parallel = [path for path in files if any(word in path.stem.lower() for word in _PARALLEL)]
    others = [path for path in files if path not in parallel]
    bases = {path: base for path in others if (base := _base(path, others)) is not None}
    trainings = [path for path, base in bases.items() if any(engine.trains for engine in base.engines)]
    train = _the_training(trainings, bases)
    runs = [] if train is None else [_with_parallel(bases[train], parallel, evaluates=False)]
    runs += [run for path in others if path != train and (run := _evaluation(path, train, bases, parallel))]
    if not runs:
        raise AttachError(_nothing(bundle, configs, others))
    return runs


def _chosen(paths: Sequence[Path]) -> BundleRun:
    """Return the run of the files that the user named."""
    run = _run(BundleConfig(paths), f"{OURS}.json")
    if run is None:
        raise AttachError(
            f"{' + '.join(path.name for path in paths)} has neither a trainer nor an evaluator that MONAI could build"
        )
    return run


def _base(path: Path, files: Sequence[Path]) -> BundleRun | None:
    """Return the run of a file that has engines of its own, with the files that define what it refers to."""
    config = _alone(path)
    if config is None or not find_engines(config):
        return None
    missing = {name.split("::")[0] for name in config.unresolved()}
    needed = [other for other in files if other != path and missing and _defines(other, missing)]
    return _run(BundleConfig([*needed[:1], path]) if needed else config, f"{OURS}.json")


def _defines(path: Path, names: set[str]) -> bool:
    """Tell whether a file without engines, common to several, defines all names."""
    config = _alone(path)
    return config is not None and names <= set(config.raw) and not find_engines(config)


def _alone(path: Path) -> BundleConfig | None:
    """Return a file as a configuration, or None if it overrides another (``"validate#handlers": …``)."""
    try:
        return BundleConfig([path])
    except AttachError:
        if any("#" in key or "::" in key for key in load_config(path)):
            return None
        raise


def _the_training(trainings: Sequence[Path], bases: dict[Path, BundleRun]) -> Path | None:
    """Return the file that trains, ``train.*`` if there are several."""
    if len(trainings) < 2:
        return next(iter(trainings), None)
    named = [path for path in trainings if path.stem == "train"]
    if len(named) != 1:
        _refuse_all(trainings, bases)
        names = ", ".join(path.name for path in trainings)
        raise AttachError(f"several files train ({names}); choose one with --config")
    return named[0]


def _together(paths: Sequence[Path]) -> BundleConfig | None:
    """Return files merged, or None if the last one overrides what the others do not have."""
    load_config(paths[-1])  # a malformed file is refused
    try:
        return BundleConfig(paths)
    except AttachError:
        return None


def _refuse_all(trainings: Sequence[Path], bases: dict[Path, BundleRun]) -> None:
    """Raise an error if none of several trainings can be measured."""
    reasons = []
    for path in trainings:
        try:
            for engine in bases[path].engines:
                refuse_unmeasurable(bases[path].config, engine)
        except AttachError as error:
            reasons.append(f"{path.name}: {error}")
    if len(reasons) == len(trainings):
        raise AttachError(reasons[0])


def _evaluation(
    path: Path, train: Path | None, bases: dict[Path, BundleRun], parallel: Sequence[Path]
) -> BundleRun | None:
    """Return the evaluation that a file describes: alone, or as overrides of the training."""
    output = f"{OURS}_{path.stem}.json"
    if path in bases:
        run = _run(bases[path].config, output)
    else:
        run = None if train is None else _override(path, bases[train], output)
    return None if run is None or run.trains else _with_parallel(run, parallel, evaluates=True)


def _override(path: Path, base: BundleRun, output: str) -> BundleRun | None:
    config = _together([*base.config.files, path])
    if config is None:
        return None
    runs = {key for key in config.parser.get() if key in load_config(path)}
    engines = [engine for engine in find_engines(config) if runs & set(run_ids(config, engine))]
    return _run(config, output) if engines and not any(engine.trains for engine in engines) else None


def _run(config: BundleConfig, output: str) -> BundleRun | None:
    """Return the run of a configuration: the engine that it runs, and the engines that this one needs."""
    engines = find_engines(config)
    started = [engine for engine in engines if run_ids(config, engine)]
    main = _first(started) or _first(engines)
    if main is None:
        return None
    needed = reachable_ids(config, main.item_id) | {main.item_id}
    used = [engine for engine in engines if engine.item_id in needed or engine in started[:1]]
    measured = [engine for engine in used if main.trains or _validates(config, engine)]
    if not measured:
        return None
    ids = run_ids(config, main)
    return BundleRun(config, tuple(sorted(measured, key=lambda one: not one.trains)), ids[0] if ids else "", output)


def _first(engines: Sequence[EngineItem]) -> EngineItem | None:
    """Return the trainer among engines, otherwise the first engine."""
    trainers = [engine for engine in engines if engine.trains]
    return next(iter(trainers or engines), None)


def _validates(config: BundleConfig, engine: EngineItem) -> bool:
    """Tell whether an evaluator of its own measures: it has a key metric, unlike one that only infers."""
    return config.follow(engine.key_slot)[1] not in (None, {}, "$None")


def _with_parallel(run: BundleRun, files: Sequence[Path], evaluates: bool) -> BundleRun:
    """Add the files for several GPUs that run the same engine."""
    fitting = []
    for path in files:
        config = _together([*run.config.files, path])
        if config is None:
            continue
        started = [engine for engine in find_engines(config) if run_ids(config, engine)]
        own = {key for engine in started for key in run_ids(config, engine)} & set(load_config(path))
        trained = any(engine.trains for engine in started if own & set(run_ids(config, engine)))
        if own and trained is not evaluates:
            fitting.append(path)
    return BundleRun(run.config, run.engines, run.run_id, run.output, tuple(fitting))


def _has_workflow(bundle: Path) -> bool:
    """Tell whether the bundle's scripts hold a workflow in Python."""
    scripts = sorted((bundle / "scripts").rglob("*.py"))
    return any(_WORKFLOW.search(path.read_text(encoding="utf-8", errors="replace")) for path in scripts)


def _nothing(bundle: Path, configs: Path, files: Sequence[Path]) -> str:
    """Return an error that says why there is nothing to attach to."""
    if any("workflow" in load_config(path) for path in files) or _has_workflow(bundle):
        return (
            f"{bundle} is a Python workflow: its engines are created in code; call attach(engine) of the aux-ops there"
        )
    made = [readable_id(key) for path in files for key in load_config(path) if key.endswith("trainer")]
    if made:
        return f"{made[0]} is created by an expression, which has no metric slots; attach the aux-ops inside it"
    if not files:
        return f"{bundle} neither trains nor evaluates: {configs.name}/ holds only inference, without labels"
    names = ", ".join(path.name for path in files)
    return f"{bundle} has no MONAI trainer or evaluator in {names}"
