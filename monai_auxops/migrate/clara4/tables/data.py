"""Datasets and loaders."""

from __future__ import annotations

from typing import Final

from monai_auxops.migrate.clara4.tables.base import Draft, Row
from monai_auxops.migrate.diagnostics import Outcome

LOADER_ARGS: Final = frozenset(
    {
        "batch_size", "shuffle", "sampler", "batch_sampler", "num_workers", "collate_fn", "pin_memory", "drop_last",
        "timeout", "worker_init_fn", "multiprocessing_context", "generator", "prefetch_factor", "persistent_workers",
    }
)  # fmt: skip
"""Arguments of torch's DataLoader, which MONAI's loaders pass on."""


def _persistent(draft: Draft) -> None:
    if "cache_dir" not in draft.args:
        draft.args["cache_dir"] = None
        draft.notes.append("Clara's cache folder is not in the file: nothing is kept on disk")


DATA: Final = (
    Row(
        names=("PersistentDataset", "CacheNTransDataset"),
        edit=_persistent,
        outcome=Outcome.EQUIVALENT,
        why="The same items.",
    ),
    Row(
        names=("GridPatchDataset",),
        rename={"dataset": "data"},
        why="The same; dataset is data today.",
    ),
    Row(
        names=("PatchDataset",),
        rename={"dataset": "data"},
        why="The same; dataset is data today.",
    ),
    Row(
        names=("DistributedWeightedRandomSampler",),
        drop={"shuffle": "weighted sampling is random already"},
        why="The same sampling.",
    ),
    Row(
        names=("WSIReader",),
        rename={"reader_lib": "backend"},
        why="The same; reader_lib is backend today, and the old backend is written out.",
    ),
)
