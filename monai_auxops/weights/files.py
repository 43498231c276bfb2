"""Finds the weights and the graph in an MMAR's ``models`` folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.weights.checkpoint import Checkpoint
from monai_auxops.weights.errors import WeightsError
from monai_auxops.weights.graphdef import Node, read_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BEST: Final = "model.ckpt"
_FROZEN: Final = "model.fzn.pb"
_NO_GRAPH: Final = (
    "there is no graph beside {name}: without {name}.meta or a .fzn.pb file the network cannot be proven; "
    "copy it from the folder of the training"
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What was found.

    Attributes:
        graph: the nodes of the graph.
        checkpoint: the tensors, if the graph itself does not hold them.
        names: the names of the files that were read, as text.
    """

    graph: Mapping[str, Node]
    checkpoint: Checkpoint | None
    names: str

    def read(self, name: str) -> NDArray[Any]:
        """Return the value of a variable."""
        if self.checkpoint is None:
            raise WeightsError(f"{self.names} is not frozen: it reads the variable {name}, whose value is not in it")
        return self.checkpoint.read(name)


class NoGraphError(WeightsError):
    """There are weights but no graph; ``checkpoint`` has their names."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(_NO_GRAPH.format(name=checkpoint.prefix.name))
        self.checkpoint = checkpoint


def find_models(folder: Path) -> ModelFiles:
    """Return graph and weights: a checkpoint with its ``.meta``, otherwise a frozen graph.

    Args:
        folder: an MMAR, or its ``models`` folder.

    Raises:
        NoGraphError: there is a checkpoint but no graph.
        WeightsError: there is nothing to read, or it cannot be read.
    """
    models = folder / "models" if (folder / "models").is_dir() else folder
    if not models.is_dir():
        raise WeightsError(f"{folder} is not a folder")
    try:
        return _find(models)
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror}") from error


def _find(models: Path) -> ModelFiles:
    prefixes = [path.with_suffix("") for path in models.glob("*.index")]
    frozen = [path for path in models.glob("*.pb") if not path.name.endswith(".trt.pb")]
    usable = [*(prefix for prefix in prefixes if _meta(prefix).is_file()), *frozen]
    if not usable and prefixes:
        raise NoGraphError(Checkpoint(_best(prefixes)))
    if not usable:
        raise WeightsError(_nothing(models))
    rank = min(map(_rank, usable))
    if any(_rank(prefix) < rank for prefix in prefixes):
        name = _best(prefixes).name
        raise WeightsError(f"{name} has no graph: copy its {name}.meta beside it, or move {name}.* away")
    checkpoints = [path for path in usable if path in prefixes and _rank(path) == rank]
    path = _best(checkpoints or frozen)
    if not checkpoints:
        return ModelFiles(read_graph(path), None, path.name)
    return ModelFiles(read_graph(_meta(path)), Checkpoint(path), f"{path.name} with {_meta(path).name}")


def _meta(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.meta")


def _rank(path: Path) -> int:
    """Return 0 for Clara's best model, 1 for a name that begins like it, and 2 for its last one and all others."""
    if path.name in (_BEST, _FROZEN):
        return 0
    return 1 if path.name.startswith((_BEST, "model.fzn")) else 2


def _best(paths: list[Path]) -> Path:
    """Return Clara's best model, or the only file of the best rank."""
    lowest = min(map(_rank, paths))
    found = sorted(path.name for path in paths if _rank(path) == lowest)
    if len(found) > 1:
        raise WeightsError(f"{paths[0].parent} has several models, {', '.join(found)}: leave one of them there")
    return paths[0].with_name(found[0])


def _nothing(models: Path) -> str:
    engines = sorted(path.name for path in models.glob("*.trt.pb"))
    if engines:
        return (
            f"{engines[0]} holds TensorRT engines, which run on one kind of GPU only: "
            "copy model.ckpt.* or model.fzn.pb of the same training beside it"
        )
    old = sorted(path.name for path in models.glob("*.ckpt") if path.is_file())
    if old:
        return f"{old[0]} has TensorFlow's oldest checkpoint format: save it again with TensorFlow 1.15"
    lone = sorted(path.name for path in models.glob("*.meta"))
    if lone:
        return f"{lone[0]} is a graph without weights: copy the .index and .data files of the same training beside it"
    return f"{models} has no TensorFlow weights: expected model.ckpt.index, .data and .meta, or model.fzn.pb"
