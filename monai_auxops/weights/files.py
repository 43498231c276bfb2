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
    prefixes = _best_first([path.with_suffix("") for path in models.glob("*.index")])
    for prefix in prefixes:
        meta = prefix.with_name(f"{prefix.name}.meta")
        if meta.is_file():
            return ModelFiles(read_graph(meta), Checkpoint(prefix), f"{prefix.name} with {meta.name}")
    frozen = _best_first([path for path in models.glob("*.pb") if not path.name.endswith(".trt.pb")])
    if frozen:
        return ModelFiles(read_graph(frozen[0]), None, frozen[0].name)
    if prefixes:
        raise NoGraphError(Checkpoint(prefixes[0]))
    raise WeightsError(_nothing(models))


def _best_first(paths: list[Path]) -> list[Path]:
    """Return Clara's best model before its last one and all others."""
    return sorted(paths, key=lambda path: (not path.name.startswith((_BEST, "model.fzn")), path.name))


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
