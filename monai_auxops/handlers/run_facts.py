"""The facts of a run: versions, model, optimizer, aux-ops and time per epoch, in a file next to its curves."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from monai_auxops.core import ranks
from monai_auxops.engine.epochs import training_epoch
from monai_auxops.engine.hub import Hub
from monai_auxops.engine.runs import continue_run, new_run_id, run_id
from monai_auxops.handlers.best import BestValue, deciding_metric, directions_of, is_finite
from monai_auxops.handlers.curves import engines_of
from monai_auxops.handlers.run_file import Facts, current_time, read_runs, write_run
from monai_auxops.handlers.viewer import Careful

PACKAGES = ("monai-auxops", "monai", "torch", "pytorch-ignite", "numpy", "nibabel")


class AuxRunFactsHandler(Careful):
    """A handler that writes ``<log_dir>/run.json`` at the start of a training and after each epoch.

    Earlier runs in the folder are kept in the list ``older``. A file that this handler did not write is left as
    it is, with a warning.

    Args:
        evaluator: the engine whose key metric and aux-ops to describe; with several, the first decides on the best
            epoch.
        log_dir: folder for the file.
        config: a JSON-compatible description of the run, or the path of a configuration file.
        class_names: names of all classes.
    """

    def __init__(
        self,
        evaluator: Engine | Iterable[Engine] | None = None,
        log_dir: str | Path = "./runs",
        config: Any = None,
        class_names: list[str] | None = None,
    ) -> None:
        self.evaluators, self.path, self.config = engines_of(evaluator), Path(log_dir) / "run.json", config
        self.class_names = class_names
        self._facts: Facts = {}
        self._earlier: Facts = {}  # the best epoch of the process that this one continues
        self._best, self._ran = BestValue(), dict[int, int]()
        self._is_registered = False
        self._since = time.monotonic()

    def attach(self, engine: Engine) -> None:
        """Describe the training of ``engine``. A second handler for one file adds its evaluators to the first."""
        if not ranks.is_first():
            return
        handlers = engine.__dict__.setdefault("_auxops_facts", {})
        first = handlers.setdefault(self.path.resolve(), weakref.ref(self))()
        if first is not None and first is not self:
            first.evaluators += [each for each in self.evaluators if each not in first.evaluators]
            return
        for evaluator in self.evaluators:
            evaluator.add_event_handler(Events.COMPLETED, self._validated)
        engine.add_event_handler(Events.STARTED, self.careful("run.json", self._started))

    def _validated(self, evaluator: Engine) -> None:
        self._ran[id(evaluator)] = training_epoch(evaluator)

    def _started(self, engine: Engine) -> None:
        if not self._is_registered:  # now, so that it comes after handlers that validate at an epoch's end
            self._is_registered = True
            self._register(engine)
        known, self._best = self._continued(engine), BestValue()
        self._earlier = known.get("best") or {}
        if known:
            continue_run(engine, str(known["run"]))
        elif "run" in self._facts:  # the same handler starts another training
            continue_run(engine, new_run_id())
        self._facts = {}
        self._describe(engine, known)

    def _describe(self, engine: Engine, known: Facts) -> None:
        """Write what is known at the start of a run; ``known`` are the facts of the run that it continues."""
        engines = {"training": engine}
        engines |= {f"validation {i}" if i > 1 else "validation": e for i, e in enumerate(self.evaluators, 1)}
        hubs = [hub for hub in map(Hub.of, engines.values()) if hub is not None]
        self._write(
            run=run_id(engine),
            started=known.get("started", current_time()),
            finished=None,
            versions=versions(),
            device=device_name(getattr(engine.state, "device", None)),
            processes=ranks.world_size(),
            training=training_facts(engine),
            aux_ops={name: ops_of(each) for name, each in engines.items()},
            higher_is_better={name: up for hub in hubs for name, up in directions_of(hub).items()},
            same={name: other for hub in hubs for name, other in hub.equal_names().items()},
            class_names=self.class_names,
            config=configuration(self.config),
            seconds=known.get("seconds", {}),
            learning_rate=known.get("learning_rate", {}),
        )

    def _register(self, engine: Engine) -> None:
        for event, function in (
            (Events.EPOCH_STARTED, self._epoch_started),
            (Events.EPOCH_COMPLETED, self._epoch_completed),
            (Events.COMPLETED, lambda _: self._write(finished=current_time())),
        ):
            engine.add_event_handler(event, self.careful("run.json", function))

    def _continued(self, engine: Engine) -> Facts:
        """Return the facts that an earlier process wrote about the run that this one continues; empty for a new run."""
        done = engine.state.epoch
        if not done:
            return {}
        runs = sorted(read_runs(self.path).values(), key=lambda facts: str(facts.get("started")))
        reached = [facts for facts in runs if max(map(int, facts.get("seconds") or {0: 0})) >= done]
        return reached[-1] if reached else {}

    def _epoch_started(self, engine: Engine) -> None:
        self._since = time.monotonic()

    def _epoch_completed(self, engine: Engine) -> None:
        epoch, seconds = str(engine.state.epoch), round(time.monotonic() - self._since, 3)
        rates = self._facts["learning_rate"]
        if (optimizer := getattr(engine, "optimizer", None)) is not None:
            rates = rates | {epoch: float(optimizer.param_groups[0]["lr"])}
        judge = self.evaluators[0] if self.evaluators else engine
        if judge is engine or self._ran.get(id(judge)) == engine.state.epoch:
            self._best.take(judge)
        best = best_epoch(judge, self._best, self._earlier)
        self._write(seconds=self._facts["seconds"] | {epoch: seconds}, learning_rate=rates, best=best)

    def _write(self, **facts: Any) -> None:
        self._facts |= facts
        write_run(self.path, self._facts)


def best_epoch(judge: Engine, best: BestValue, earlier: Facts) -> Facts:
    """Return the best epoch so far and the direction; no epoch if no direction is known.

    Args:
        judge: the engine that decides.
        best: its best value in this process.
        earlier: the best epoch of the process that this one continues, which the engine does not know.
    """
    name, better = deciding_metric(judge)
    direction = None if better is None else bool(better(1.0, 0.0))
    found = {"metric": name, "epoch": best.epoch or None, "value": best.value if best.epoch else None}
    is_known = earlier.get("metric") == name and is_finite(earlier.get("value"))
    if is_known and better is not None and not (best.epoch and better(best.value, earlier["value"])):
        found |= {"epoch": earlier["epoch"], "value": earlier["value"]}
    return found | {"higher_is_better": direction}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the relevant packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"torch": torch.__version__}  # as built: "+cpu", "+cu130"


def device_name(device: Any) -> str:
    """Describe a device.

    Examples:
        >>> device_name(torch.device("cpu")).split(",")[0]
        'cpu'
    """
    if device is not None and torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device or 'cpu'}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def training_facts(engine: Engine) -> Facts:
    """Describe network, optimizer, loss and lengths of a trainer, as far as it has them."""
    network, optimizer, loss = (getattr(engine, name, None) for name in ("network", "optimizer", "loss_function"))
    facts: Facts = {"epochs": engine.state.max_epochs, "iterations per epoch": engine.state.epoch_length}
    if network is not None:
        facts["network"] = type(network).__name__
        facts["parameters"] = sum(parameter.numel() for parameter in network.parameters())
    if optimizer is not None:
        facts["optimizer"] = type(optimizer).__name__
        facts["learning rate"] = optimizer.param_groups[0]["lr"]
    return facts if loss is None else facts | {"loss": getattr(loss, "__name__", type(loss).__name__)}


def ops_of(engine: Engine) -> dict[str, str]:
    """Return the aux-ops of an engine, by metric name."""
    hub = Hub.of(engine)
    return {} if hub is None else {each.name or str(i): repr(each.op) for i, each in enumerate(hub.attachments)}


def configuration(config: Any) -> Any:
    """Return ``config``, or the content of its file; for an unreadable file its name and the error."""
    if not isinstance(config, str | Path):
        return config
    try:
        return Path(config).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"cannot read {config}: {error.strerror}"
