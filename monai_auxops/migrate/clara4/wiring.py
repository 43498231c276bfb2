"""How Clara Train 4 wired its objects together, written as in the model zoo: explicit in 4.1, implicit in 4.0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from monai_auxops.migrate.clara4.values import CONF, PARAMETERS
from monai_auxops.migrate.encode import Expr, literal

Block = dict[str, Any]

_STATES: Final = {
    "model": Expr("@network"),
    "optimizer": Expr("@optimizer"),
    "lr_scheduler": Expr("@lr_scheduler"),
}
_BY_NAME: Final = {
    "LrScheduleHandler": {"lr_scheduler": Expr("@lr_scheduler")},
    "ValidationHandler": {"validator": Expr("@validate#evaluator"), "interval": Expr("@val_interval")},
}
_ENGINES: Final = {
    "trainer": {
        "max_epochs": Expr("@epochs"),
        "device": Expr("@device"),
        "train_data_loader": "dataloader",
        "network": Expr("@network"),
        "loss_function": Expr("@loss"),
        "optimizer": Expr("@optimizer"),
        "inferer": "inferer",
        "postprocessing": "postprocessing",
        "key_train_metric": "key_metric",
        "additional_metrics": "additional_metrics",
        "train_handlers": "handlers",
        "amp": Expr("@amp"),
    },
    "evaluator": {
        "device": Expr("@device"),
        "val_data_loader": "dataloader",
        "network": Expr("@network"),
        "inferer": "inferer",
        "postprocessing": "postprocessing",
        "key_val_metric": "key_metric",
        "additional_metrics": "additional_metrics",
        "val_handlers": "handlers",
        "amp": Expr("@amp"),
    },
}
NO_STATES: Final = frozenset({"train_conf", *_STATES})
"""What a checkpoint of Clara named and a bundle may lack: the configuration, and what a file does not train with."""
STATES_LEFT_OUT: Final = "the configuration itself (train_conf) is not a state and is left out"


def wire_arguments(key: str, name: str, args: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Return the arguments of a component with those that Clara 4.0 filled in by itself."""
    implicit: dict[str, Any] = {}
    if key == "optimizer":
        implicit = {"params": PARAMETERS}
    elif key == "lr_scheduler":
        implicit = {"optimizer": Expr("@optimizer")}
    elif key == "dataset":
        implicit = {"data": Expr(f"@{section}#data"), "transform": Expr(f"@{section}#preprocessing")}
    elif key == "dataloader":
        implicit = {"dataset": Expr(f"@{section}#dataset")}
    elif name == "SmartCacheHandler":
        implicit = {"smartcacher": Expr(f"@{section}#dataset")}
    elif name in _BY_NAME:
        implicit = dict(_BY_NAME[name])
    return {**implicit, **args}


def engine_arguments(key: str) -> frozenset[str]:
    """Return the arguments of an engine that the bundle wires by itself; none for anything else."""
    return frozenset(_ENGINES.get(key, ()))


def section_arguments(key: str) -> dict[str, str]:
    """Return the arguments of an engine that take an object of its own section, with the bundle's name of it.

    Examples:
        >>> section_arguments("evaluator")["val_handlers"]
        'handlers'
    """
    return {name: target for name, target in _ENGINES.get(key, {}).items() if not isinstance(target, Expr)}


def engine(key: str, args: Mapping[str, Any], section: str, present: frozenset[str]) -> dict[str, Any]:
    """Return the arguments of a trainer or an evaluator; what the section does not have is left out."""
    found: dict[str, Any] = {}
    for name, target in _ENGINES[key].items():
        if isinstance(target, Expr):
            found[name] = args.get(name, target)
        elif target in present:
            found[name] = Expr(f"@{section}#{target}")
    own = {name: value for name, value in args.items() if name not in _ENGINES[key] and value is not None}
    return {**found, **own}


def states(given: Any, known: frozenset[str]) -> tuple[Block, list[str]]:
    """Return the objects that a checkpoint holds, and what of Clara's list is none.

    Examples:
        >>> states(["model", "train_conf"], frozenset({"model"}))
        ({'model': '@network'}, ['train_conf'])
    """
    names = _state_names(given)
    values = given if isinstance(given, Mapping) else {}
    found: Block = {}
    lost = []
    for name in names:
        value = values.get(name, _STATES.get(name))
        if value is CONF or value is None or (name in _STATES and name not in known):
            lost.append(name)
        else:
            found[name] = value
    return found or {"model": _STATES["model"]}, lost


def _state_names(given: Any) -> list[str]:
    """Return the names of a list, an object or a single text; without any, Clara saved the model."""
    if given is None:
        return ["model"]
    return [str(name) for name in given] if isinstance(given, Mapping | list) else [str(given)]


def checkpoint(path: str) -> Expr:
    """Return the place of a file of weights in the bundle, which keeps its name.

    Examples:
        >>> checkpoint("models/model.pt")
        "$@ckpt_dir + '/model.pt'"
    """
    return Expr(f"$@ckpt_dir + {literal('/' + weights_name(path))}")


def weights_name(path: str) -> str:
    """Return the name of a file of weights without its folder."""
    return PurePosixPath(path.replace("\\", "/")).name or "model.pt"
