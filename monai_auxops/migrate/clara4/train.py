"""The bundle's train.json from a training configuration of Clara Train 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.clara4.item import Block, block_of
from monai_auxops.migrate.clara4.sections import LOADER, objects, section, single
from monai_auxops.migrate.clara4.values import PARAMETERS
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.reading.variables import parse_value

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.config import Clara4Config
    from monai_auxops.migrate.clara4.item import Item

DEVICE: Final = Expr("$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')")
FOLDERS: Final = {
    "bundle_root": ".",
    "ckpt_dir": Expr("$@bundle_root + '/models'"),
    "output_dir": Expr("$@bundle_root + '/eval'"),
}
_MISSING: Final = block_of("scripts.manual.ClaraMissing", {})
_ADAM: Final = block_of("torch.optim.Adam", {"params": PARAMETERS, "lr": Expr("@learning_rate")})
DEFAULTS: Final = {"epochs": 1, "val_interval": 1, "learning_rate": 1e-4, "amp": False}


def train_json(config: Clara4Config, data: Block, aux: dict[str, Block]) -> Block:
    """Return the training configuration of the bundle; ``aux`` holds metrics to add, by section."""
    validates = "validate" in config.parts
    found: Block = {
        **FOLDERS,
        **data,
        "finetune": _finetune(config),
        "device": DEVICE,
        **DEFAULTS,
        **config.settings,
        **switches(config),
        "network_def": single(config.first("train", "model"), _MISSING),
        "network": Expr("$@network_def.to(@device)"),
        "loss": single(config.first("train", "loss"), _MISSING),
        "optimizer": single(config.first("train", "optimizer"), _ADAM),
    }
    scheduler = config.first("train", "lr_scheduler")
    if scheduler is not None:
        found["lr_scheduler"] = single(scheduler, _MISSING)
    found["train"] = section(config, "train", _train_handlers(config), aux.get("train"))
    if validates:
        found["validate"] = section(config, "validate", objects(config.at("validate", "handlers")), aux.get("validate"))
    return {**found, "initialize": initialize(config), "run": [Expr("$@train#trainer.run()")]}


def switches(config: Clara4Config, trains: bool = True) -> Block:
    """Return the variables that switch components off, as settings; an evaluation loads weights by itself."""
    replaced = _fine_tuning(config)
    items = [item for item in config.items if item is not replaced and (trains or item.occurrence.name != LOADER)]
    names = [item.occurrence.switch for item in items]
    wanted = dict.fromkeys(name for name in names if name)
    return {name: _truth(config.variables.values.get(name)) for name in wanted}


def _truth(value: Any) -> bool:
    return parse_value(value) is True if isinstance(value, str) else bool(value)


def _fine_tuning(config: Clara4Config) -> Item | None:
    """Return the handler that loads weights before the training: the setting ``finetune`` takes its switch's place."""
    return next((item for item in config.at("train", "handlers") if item.occurrence.name == LOADER), None)


def _finetune(config: Clara4Config) -> Any:
    """Return the weights that a training starts from: none if Clara's switch said so."""
    loader = _fine_tuning(config)
    if loader is None or not loader.blocks:
        return ""
    switch = loader.occurrence.switch
    if switch and _truth(config.variables.values.get(switch)):
        return ""
    return loader.blocks[0]["load_path"]


def _train_handlers(config: Clara4Config) -> list[Block]:
    """Return the handlers in the order of the file; the one that loads weights is a switch."""
    items = config.at("train", "handlers")
    found = objects(items)
    loaders = [block for block in found if str(block["_target_"]) == LOADER]
    if not loaders:
        return [loader({"model": Expr("@network")}), *found]
    return [loader(block["load_dict"], block) if block is loaders[0] else block for block in found]


def loader(states: Any, block: Block | None = None) -> Block:
    """Write the handler that fine-tunes where ``finetune`` names a file."""
    given = {key: value for key, value in (block or {}).items() if key not in ("_target_", "_disabled_")}
    args = {**given, "load_path": Expr("@finetune"), "load_dict": states}
    return {**block_of(LOADER, args), Expr("_disabled_"): Expr("$not @finetune")}


def initialize(config: Clara4Config) -> list[Expr]:
    """Return what runs first: the seed, then the switches of cuDNN and TF32."""
    found = []
    seed, benchmark, tf32 = map(config.setting, ("determinism", "cudnn_benchmark", "tf32"))
    if seed is not None:
        found.append(Expr(f"$monai.utils.set_determinism(seed={seed})"))
    if benchmark is not None:
        found.append(Expr(f"$setattr(torch.backends.cudnn, 'benchmark', {benchmark})"))
    if tf32 is not None:
        found.append(Expr(f"$setattr(torch.backends.cuda.matmul, 'allow_tf32', {tf32})"))
    return found
