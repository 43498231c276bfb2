"""One section of a bundle, ``train`` or ``validate``: data, engine, handlers and metrics, in the model zoo's names."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from monai_auxops.migrate.bundle.stubs import stub_name
from monai_auxops.migrate.clara4 import signatures, wiring
from monai_auxops.migrate.clara4.components import METRICS
from monai_auxops.migrate.clara4.item import Block, Item, block_of
from monai_auxops.migrate.clara4.references import circular_references, reference_in
from monai_auxops.migrate.encode import Expr, literal

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.config import Clara4Config
    from monai_auxops.migrate.diagnostics import Log

_ENGINE: Final = {"train": "trainer", "validate": "evaluator"}
_DEFAULT_ENGINE: Final = {"trainer": "SupervisedTrainer", "evaluator": "SupervisedEvaluator"}
LOADER: Final = "CheckpointLoader"


def objects(items: list[Item]) -> list[Block]:
    """Write the objects of items; a stub takes the place of what somebody has to write, a setting may disable one."""
    found: list[Block] = []
    for item in items:
        if item.manual:
            found.append(stub(item))
        found += [_switched(block, item) for block in item.blocks]
    return found


def stub(item: Item) -> Block:
    """Write the reference to a class that the user must complete, without references in a circle."""
    place = item.occurrence.place
    circular = circular_references(place, place.part or "validate")
    given = {key: value for key, value in item.args.items() if not reference_in(value, circular)}
    plain = {key: value for key, value in given.items() if key.isidentifier() and _is_plain(value)}
    return block_of(f"scripts.manual.{stub_name(item)}", plain)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _switched(block: Block, item: Item) -> Block:
    switch = item.occurrence.switch
    if not switch:
        return block
    return {**block, Expr("_disabled_"): Expr(f"@{switch}")}


def single(item: Item | None, default: Block) -> Block:
    """Write the object of a single place."""
    return next(iter(objects([item])), default) if item is not None else default


def compose(blocks: list[Block]) -> Block:
    """Write a chain of transforms."""
    return block_of("Compose", {"transforms": blocks})


def section(config: Clara4Config, part: str, handlers: list[Block], extra: Block | None = None) -> Block:
    """Return a section; ``part`` is train, validate or nothing for an evaluation's own file."""
    name = part or "validate"
    key, additional = metrics(config, part)
    additional = {**additional, **aux_ops(config, part), **(extra or {})}
    if not key:  # MONAI attaches additional metrics only if there is a key metric
        key, additional = dict(islice(additional.items(), 1)), dict(islice(additional.items(), 1, None))
    post = [*objects(config.at(part, "post_transforms")), *post_blocks(config, part)]
    found: Block = {
        "preprocessing": compose(objects(config.at(part, "pre_transforms"))),
        "data": data(config, part),
        "dataset": single(config.first(part, "dataset"), _dataset(name)),
        "dataloader": single(config.first(part, "dataloader"), _dataloader(name)),
        "inferer": single(config.first(part, "inferer"), block_of("SimpleInferer", {})),
    }
    if post:
        found["postprocessing"] = compose(post)
    found["handlers"] = handlers
    if key:
        found["key_metric"] = key
    if additional:
        found["additional_metrics"] = additional
    engine = _ENGINE[name]
    found[engine] = _engine(config.first(part, engine), engine, name, frozenset(found))
    iteration = config.first(part, "iteration")
    if iteration is not None:
        found[engine]["iteration_update"] = single(iteration, {})
    return found


def _dataset(name: str) -> Block:
    return block_of("Dataset", {"data": Expr(f"@{name}#data"), "transform": Expr(f"@{name}#preprocessing")})


def _dataloader(name: str) -> Block:
    return block_of("DataLoader", {"dataset": Expr(f"@{name}#dataset"), "batch_size": 1, "num_workers": 4})


def _engine(item: Item | None, engine: str, name: str, present: frozenset[str]) -> Block:
    block = single(item, block_of(_DEFAULT_ENGINE[engine], {}))
    given = {key: value for key, value in block.items() if key != "_target_"}
    wired = wiring.engine(engine, given, name, present)
    known = signatures.find(str(block["_target_"]).rpartition(".")[2])
    named = {key: value for key, value in wired.items() if known is None or not known.args or key in known.args}
    return block_of(block["_target_"], named)


def post_blocks(config: Clara4Config, part: str) -> list[Block]:
    """Return the transforms that handlers and metrics of Clara 4.0 become, in the order of the file."""
    items = config.at(part, "handlers", "key_metric", "metrics", "additional_metrics")
    return [block for item in items for block in item.post]


def metrics(config: Clara4Config, part: str) -> tuple[Block, Block]:
    """Return the key metric and the others, under their names in the log."""
    items = [item for item in metric_items(config, part) if item.blocks or item.manual]
    key = key_item(items)
    named = {item.label: single(item, {}) for item in items}
    first = {key.label: named[key.label]} if key is not None else {}
    return first, {name: block for name, block in named.items() if name not in first}


def aux_ops(config: Clara4Config, part: str) -> Block:
    """Return the aux-ops of Clara Train 3.1 that an early access file has, under their tags."""
    items = [item for item in config.at(part, "aux_ops") if item.blocks and item.creates]
    return {item.label: item.blocks[0] for item in items}


def metric_items(config: Clara4Config, part: str) -> list[Item]:
    """Return the metrics of a section."""
    return config.at(part, *METRICS)


def key_item(items: list[Item]) -> Item | None:
    """Return the metric that selects the model: the marked one, the one in its own place, or the first."""
    marked = [item for item in items if item.is_key]
    return next(iter(marked or items), None)


def check_metrics(config: Clara4Config, part: str, log: Log) -> None:
    """Report a section without a key metric, and one with two."""
    items = metric_items(config, part)
    marked = [item for item in items if item.is_key]
    for extra in marked[1:]:
        log.add("CT502", extra.occurrence.where, f'"{extra.label}" is a second key metric')
    if items and not marked:
        log.add("CT501", items[0].occurrence.where, f'no metric is marked; "{items[0].label}" is used')


def data(config: Clara4Config, part: str) -> Expr:
    """Write the call that reads a section's list of the data list."""
    item = config.first(part, "dataset")
    key = attribute(config, item, "data_list_key") or ("training" if part == "train" else "validation")
    segmentation = str(config.variables.values.get("PROCESSING_TASK", "")) != "classification"
    path = Expr("@datalist")
    own, main = attribute(config, item, "data_list_file_path"), datalist_path(config)
    if own and own != main:
        path = Expr(literal(own))
    base, folder = attribute(config, item, "data_file_base_dir"), Expr("@dataset_dir")
    if base and base != data_root(config):
        folder = Expr(literal(base))
    return Expr(f"$monai.data.load_decathlon_datalist({path}, {segmentation}, {literal(str(key))}, {folder})")


def datalist_path(config: Clara4Config) -> str:
    """Return the data list that the file names first."""
    items = [item for part in config.parts for item in config.at(part, "dataset")]
    return next((path for path in (attribute(config, item, "data_list_file_path") for item in items) if path), "")


def data_root(config: Clara4Config) -> str:
    """Return the folder of the images that the file names first, otherwise DATA_ROOT."""
    items = [item for part in config.parts for item in config.at(part, "dataset")]
    named = (attribute(config, item, "data_file_base_dir") for item in items)
    return next((folder for folder in named if folder), str(config.variables.values.get("DATA_ROOT", "")))


def attribute(config: Clara4Config, item: Item | None, key: str) -> str:
    """Return an attribute beside the arguments with its variables filled in, or nothing."""
    node = item.occurrence.attribute(key) if item is not None else None
    value = config.variables.resolve(node) if node is not None else None
    return value if isinstance(value, str) else ""
