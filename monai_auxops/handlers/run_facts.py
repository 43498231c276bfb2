"""What a run was: versions, model, optimiser, aux-ops, time per epoch, in a file beside its curves."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from monai_auxops.core import ranks
from monai_auxops.engine.hub import Hub

PACKAGES = ("monai-auxops", "monai", "torch", "pytorch-ignite", "numpy", "nibabel")


class AuxRunFactsHandler:
    """Writes ``<log_dir>/run.json`` when a training starts and after each epoch: a killed run has what it had.

    Args:
        evaluator: whose key metric and aux-ops belong to it.
        log_dir: where the file goes.
        config: anything JSON can hold that describes the run, or the path of a configuration file.
        class_names: of all classes.
    """

    def __init__(
        self,
        evaluator: Engine | None = None,
        log_dir: str | Path = "./runs",
        config: Any = None,
        class_names: list[str] | None = None,
    ) -> None:
        self.evaluator, self.path, self.config = evaluator, Path(log_dir) / "run.json", config
        self.class_names = class_names
        self._facts: dict[str, Any] = {}

    def attach(self, engine: Engine) -> None:
        """Describe the training of ``engine``."""
        if ranks.is_first():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            engine.add_event_handler(Events.STARTED, self._started)
            engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)
            engine.add_event_handler(Events.COMPLETED, lambda _: self._write(finished=now()))

    def _started(self, engine: Engine) -> None:
        known = self._known(engine.state.epoch)
        engines = {"training": engine} | ({} if self.evaluator is None else {"validation": self.evaluator})
        self._write(
            started=known.get("started", now()),
            finished=None,
            versions=versions(),
            device=device_name(getattr(engine.state, "device", None)),
            processes=ranks.world_size(),
            training=described(engine),
            aux_ops={name: ops_of(each) for name, each in engines.items()},
            class_names=self.class_names,
            config=configuration(self.config),
            seconds=known.get("seconds", {}),
        )

    def _known(self, epoch: int) -> dict[str, Any]:
        """What an earlier process wrote, if this one goes on with it."""
        try:
            known: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8")) if epoch else {}
        except (OSError, ValueError):
            known = {}
        return known

    def _epoch_started(self, engine: Engine) -> None:
        self._since = time.monotonic()

    def _epoch_completed(self, engine: Engine) -> None:
        judge = (self.evaluator or engine).state
        best = {"metric": getattr(judge, "key_metric_name", None), "epoch": getattr(judge, "best_metric_epoch", None)}
        value = getattr(judge, "best_metric", None)
        finite = isinstance(value, int | float) and math.isfinite(value)
        seconds = self._facts["seconds"] | {str(engine.state.epoch): round(time.monotonic() - self._since, 3)}
        self._write(seconds=seconds, best=best | {"value": value if finite else None})

    def _write(self, **facts: Any) -> None:
        self._facts |= facts
        new = self.path.with_suffix(".new.json")
        new.write_text(json.dumps(self._facts, indent=1, default=str), encoding="utf-8")
        new.replace(self.path)


def now() -> str:
    """The time, as ISO 8601 with the zone."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Of Python and the packages that compute, as far as installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"torch": torch.__version__}  # as built: "+cpu", "+cu130"


def device_name(device: Any) -> str:
    """A device in words.

    >>> device_name(torch.device("cpu")).split(",")[0]
    'cpu'
    """
    if device is not None and torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device or 'cpu'}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def described(engine: Engine) -> dict[str, Any]:
    """Network, optimiser, loss and lengths of a trainer, as far as it has them."""
    network, optimizer, loss = (getattr(engine, name, None) for name in ("network", "optimizer", "loss_function"))
    facts: dict[str, Any] = {"epochs": engine.state.max_epochs, "iterations per epoch": engine.state.epoch_length}
    if network is not None:
        facts["network"] = type(network).__name__
        facts["parameters"] = sum(parameter.numel() for parameter in network.parameters())
    if optimizer is not None:
        facts["optimizer"] = type(optimizer).__name__
        facts["learning rate"] = optimizer.param_groups[0]["lr"]
    return facts | ({} if loss is None else {"loss": getattr(loss, "__name__", type(loss).__name__)})


def ops_of(engine: Engine) -> dict[str, str]:
    """The aux-ops of an engine, by metric name."""
    hub = Hub.of(engine)
    return {} if hub is None else {entry.name or str(i): repr(entry.op) for i, entry in enumerate(hub.entries)}


def configuration(config: Any) -> Any:
    """``config``, or what its file says."""
    if not isinstance(config, str | Path):
        return config
    return Path(config).read_text(encoding="utf-8")
