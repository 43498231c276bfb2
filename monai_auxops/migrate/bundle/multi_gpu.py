"""The bundle's multi_gpu_train.json: what torchrun needs, as overrides of train.json."""

from __future__ import annotations

from monai_auxops.migrate.bundle.blocks import Block, component
from monai_auxops.migrate.bundle.handlers import RANK_LOCAL
from monai_auxops.migrate.encode import Expr


def multi_gpu_json(train: Block) -> Block:
    """Return overrides of train.json for torchrun: samplers, a wrapped network, and local handlers on rank 0 only."""
    parts = {"train": "train_handlers", "validate": "val_handlers"}
    engines = {"train": "trainer", "validate": "evaluator"}
    found: Block = {
        "imports": [Expr("$import os"), Expr("$import torch.distributed as dist")],
        "device": Expr("$torch.device('cuda:' + os.environ['LOCAL_RANK'] if torch.cuda.is_available() else 'cpu')"),
        "network": component(
            "torch.nn.parallel.DistributedDataParallel",
            module=Expr("$@network_def.to(@device)"),
            device_ids=Expr("$[@device] if torch.cuda.is_available() else None"),
        ),
    }
    for part in (part for part in parts if part in train):
        sampler = component(
            "DistributedSampler",
            dataset=Expr(f"@{part}#dataset"),
            even_divisible=part == "train",
            shuffle=part == "train",
        )
        found[f"{part}#sampler"] = sampler
        found[f"{part}#dataloader#sampler"] = Expr(f"@{part}#sampler")
        found[f"{part}#dataloader#shuffle"] = False
        found[f"{part}#{engines[part]}#{parts[part]}"] = Expr(
            f"$[h for h in @{part}#handlers if dist.get_rank() == 0 or not type(h).__name__.endswith({RANK_LOCAL})]"
        )
    found["initialize"] = [
        Expr("$dist.is_initialized() or dist.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')"),
        Expr("$torch.cuda.set_device(@device) if torch.cuda.is_available() else None"),
        *train["initialize"],
    ]
    found["run"] = [Expr("$@train#trainer.run()")]
    found["finalize"] = [Expr("$dist.is_initialized() and dist.destroy_process_group()")]
    return {Expr(key): value for key, value in found.items()}
