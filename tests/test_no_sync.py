"""No aux-op reads a value on the host while an epoch runs.

Tensors on PyTorch's ``meta`` device have shapes but no data: whatever needs a value on the host (``item``, ``nonzero``,
``if tensor:``) raises there, as it would wait for the device on a GPU. Where there is a GPU, CUDA itself is asked.
"""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset

import monai_auxops as ma
from monai_auxops.core.context import BuildContext
from tests.engines.conftest import TAGS, Engines, cases, network

SEGMENTATION = {
    "ComputeDice": lambda: ma.ComputeDice("dice", mask_tag="mask"),
    "ComputeDice, independent": lambda: ma.ComputeDice(
        "d", is_independent_predictions=True, final_activation="sigmoid"
    ),
    "DiceMaskedOutput": lambda: ma.DiceMaskedOutput(["mean", "a", "b"], skip_background=True),
    "ComputeAccuracy": lambda: ma.ComputeAccuracy("accuracy"),
    "NegLoss": lambda: ma.NegLoss("negloss"),
    "ReduceMeanMasked": lambda: ma.ReduceMeanMasked("reduced", final_activation="softmax"),
}
CLASSIFICATION = {
    "ComputeMulticlassAccuracy": lambda: ma.ComputeMulticlassAccuracy("accuracy", label_format=[3, 1]),
    "ComputeMulticlassPreds": lambda: ma.ComputeMulticlassPreds(label_format=[3, 1], labels_onehot=True),
    "ComputeBinaryPreds": lambda: ma.ComputeBinaryPreds(label_format=[3, 1]),
}


def batches(device: str, dtype: torch.dtype):
    """Predictions and label of a segmentation and of a classification."""
    segmentation = torch.zeros(2, 3, 4, 4, dtype=dtype, device=device), torch.zeros(2, 1, 4, 4, device=device)
    return segmentation, (torch.zeros(2, 4, dtype=dtype, device=device), torch.zeros(2, 2, device=device).long())


def epoch(ops, batch, device) -> None:
    for _ in range(3):
        ctx = BuildContext(*batch, loss=torch.zeros((), device=device))
        for op in ops:
            op(*batch, build_ctx=ctx)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_no_value_is_read_on_the_host(dtype):
    segmentation, classification = batches("meta", dtype)
    readers = [ma.ComputeAverage("mean_dice", "dice"), ma.ComputeAverageDice("case", "model")]
    epoch([*(make() for make in SEGMENTATION.values()), *readers], segmentation, "meta")
    auc = ma.ComputeAUC("auc", "binary_preds", "binary_labels")
    epoch([*(make() for make in CLASSIFICATION.values()), auc], classification, "meta")


def test_a_host_read_would_be_seen():
    class Looks(ma.AuxiliaryOperation):
        def get_output_tensors(self, predictions, label, build_ctx):
            return {"value": torch.tensor(predictions.max().item())}

    with pytest.raises(RuntimeError, match="Looks"):
        epoch([Looks()], batches("meta", torch.float32)[0], "meta")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_cuda_waits_for_nothing_in_an_epoch(dtype):
    segmentation, classification = batches("cuda", dtype)
    ops = [make() for make in SEGMENTATION.values()], [make() for make in CLASSIFICATION.values()]
    epoch(ops[0], segmentation, "cuda")
    epoch(ops[1], classification, "cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        epoch(ops[0], segmentation, "cuda")
        epoch(ops[1], classification, "cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_trainer_waits_for_no_aux_op_within_an_epoch():
    """From the second epoch: in the first one kernels are compiled and sums move to the device."""
    items = [{key: value.cuda() for key, value in case.items()} for case in cases(6, 0)]
    ops = {"train_acc": ma.ComputeAccuracy("acc"), "train_negloss": ma.NegLoss("negloss")}
    trainer = Engines().trainer(
        network().cuda(),
        device=torch.device("cuda"),
        max_epochs=3,
        decollate=False,
        train_data_loader=DataLoader(Dataset(items), batch_size=2),
        key_train_metric={"train_dice": ma.DiceMaskedOutput(TAGS, skip_background=True)},
        additional_metrics=ops,
    )

    def listen(engine):
        torch.cuda.set_sync_debug_mode("error" if engine.state.epoch > 1 else "default")

    trainer.add_event_handler(Events.ITERATION_STARTED, listen)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: torch.cuda.set_sync_debug_mode("default"))
    try:
        trainer.run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trainer.state.epoch == 3
