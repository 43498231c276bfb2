"""Ways to one number: each takes predictions and label and returns Dice, ``[B, C]`` or its mean over samples."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_auxops.counting.counts import Counts, count

if TYPE_CHECKING:
    from benchmarks.workloads import Workload

Variant = Callable[[Tensor, Tensor], Tensor]


def count_alone(backend: str, workload: Workload) -> Callable[[Tensor, Tensor], Counts]:
    """What every backend does, without the arithmetic of a Dice."""

    def run(x: Tensor, y: Tensor) -> Counts:
        os.environ["MONAI_AUXOPS_COUNTS"] = backend
        return count(x, y, independent=workload.independent, onehot=workload.independent, threshold=0.0)

    return run


def ours(backend: str, workload: Workload) -> Variant:
    counted = count_alone(backend, workload)

    def run(x: Tensor, y: Tensor) -> Tensor:
        tp, fp, fn, _ = counted(x, y)
        return 2 * tp / (2 * tp + fp + fn)

    return run


def control(x: Tensor, y: Tensor) -> Tensor:
    """Three lines of torch, with no care for NaN or for labels outside the classes."""
    c = x.shape[1]
    tables = [
        torch.bincount((t * c + p).flatten(), minlength=c * c) for t, p in zip(y[:, 0], x.max(1).indices, strict=True)
    ]
    table = torch.stack(tables).view(-1, c, c)
    return 2 * table.diagonal(dim1=1, dim2=2) / (table.sum(1) + table.sum(2))


def monai_chain(workload: Workload) -> Variant:
    """MONAI's tutorial: decollate, softmax or sigmoid, AsDiscrete, DiceMetric."""
    from monai.data import decollate_batch
    from monai.metrics import DiceMetric
    from monai.transforms import Activations, AsDiscrete, Compose

    if workload.independent:
        post, post_label = Compose([Activations(sigmoid=True), AsDiscrete(threshold=0.5)]), Compose([])
    else:
        post = Compose([Activations(softmax=True), AsDiscrete(argmax=True, to_onehot=workload.classes)])
        post_label = AsDiscrete(to_onehot=workload.classes)
    metric = DiceMetric(include_background=True, reduction="none")

    def run(x: Tensor, y: Tensor) -> Tensor:
        metric(y_pred=[post(p) for p in decollate_batch(x)], y=[post_label(t) for t in decollate_batch(y)])
        result = metric.aggregate()
        metric.reset()
        return torch.as_tensor(result)

    return run


def torchmetrics_dice(workload: Workload) -> Variant:
    from torchmetrics.segmentation import DiceScore

    metric = DiceScore(
        workload.classes, average="none", input_format="one-hot" if workload.independent else "index",
        aggregation_level="samplewise",
    )  # fmt: skip

    def run(x: Tensor, y: Tensor) -> Tensor:
        metric.to(x.device)
        metric.update((x > 0).long(), y.long()) if workload.independent else metric.update(x.argmax(1), y[:, 0])
        result = metric.compute()
        metric.reset()
        return result

    return run


def torcheval_confusion(workload: Workload) -> Variant:
    from torcheval.metrics.functional import multiclass_confusion_matrix

    def run(x: Tensor, y: Tensor) -> Tensor:
        c = workload.classes
        pairs = zip(x.max(1).indices, y[:, 0], strict=True)
        tables = torch.stack([multiclass_confusion_matrix(p.flatten(), t.flatten(), c) for p, t in pairs])
        return 2 * tables.diagonal(dim1=1, dim2=2) / (tables.sum(1) + tables.sum(2))

    return run


def ignite_confusion(workload: Workload) -> Variant:
    from ignite.metrics import ConfusionMatrix

    def run(x: Tensor, y: Tensor) -> Tensor:
        metric = ConfusionMatrix(workload.classes, device=x.device)
        tables = []
        for p, t in zip(x.split(1), y[:, 0].split(1), strict=True):
            metric.reset()
            metric.update((p, t))
            tables.append(metric.compute())
        table = torch.stack(tables)
        return 2 * table.diagonal(dim1=1, dim2=2) / (table.sum(1) + table.sum(2))

    return run


def medpy_loop(workload: Workload) -> Variant:
    from medpy.metric.binary import dc

    def run(x: Tensor, y: Tensor) -> Tensor:
        if workload.independent:
            p, t = (x > 0).numpy(force=True), (y > 0.5).numpy(force=True)
            return torch.tensor([[dc(p[b, c], t[b, c]) for c in range(p.shape[1])] for b in range(len(p))])
        p, t = x.max(1).indices.numpy(force=True), y[:, 0].numpy(force=True)
        return torch.tensor([[dc(p[b] == c, t[b] == c) for c in range(workload.classes)] for b in range(len(p))])

    return run


PEERS: dict[str, tuple[str, Callable[[Workload], Variant]]] = {
    "MONAI chain": ("monai", monai_chain),
    "torchmetrics DiceScore": ("torchmetrics", torchmetrics_dice),
    "torcheval confusion": ("torcheval", torcheval_confusion),
    "ignite confusion": ("ignite", ignite_confusion),
    "medpy loop": ("medpy", medpy_loop),
}


def found_peers(workload: Workload) -> tuple[dict[str, Variant], list[str]]:
    """The peers that are installed and know the workload's kind, and the names of those that are not installed."""
    missing = [name for name, (package, _) in PEERS.items() if importlib.util.find_spec(package) is None]
    fit = [n for n in PEERS if n not in missing and not (workload.independent and "confusion" in n)]  # exclusive only
    return {name: PEERS[name][1](workload) for name in fit}, missing


def variants(workload: Workload, peers: bool) -> tuple[dict[str, Variant], list[str]]:
    """Everything to measure, and the names of what is not installed."""
    found: dict[str, Variant] = {"plain torch": ours("blocked", workload)}
    missing = []
    if importlib.util.find_spec("numba"):
        found["numba"] = ours("numba", workload)
    else:
        missing.append("numba")
    if not workload.independent:
        found["control"] = control
    others, absent = found_peers(workload) if peers else ({}, [])
    return found | others, missing + absent
