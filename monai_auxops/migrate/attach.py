"""`monai-auxops attach`: aux-ops for a bundle that exists, as overrides; its own files stay as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from monai_auxops.migrate.bundle.blocks import Block, component
from monai_auxops.migrate.bundle.folder import dumps
from monai_auxops.migrate.diagnostics import did_you_mean
from monai_auxops.migrate.encode import Expr
from monai_auxops.migrate.rules import Rule, RuleBook, Section, Target

NAME: Final = "aux_ops.json"
ALONE: Final = "aux_ops_evaluate.json"
_ENGINES: Final = (
    ("train", "train#trainer", "key_train_metric", "train"),
    ("train", "validate#evaluator", "key_val_metric", "val"),
)
_EVALUATORS: Final = (("evaluate", "evaluator", "key_val_metric", "val"),)


class AttachError(Exception):
    """The bundle or the aux-ops cannot be used; the message says why."""


def attach(bundle: Path, ops: Iterable[str], force: bool = False) -> str:
    """Write `configs/aux_ops.json` and return what to do with it."""
    configs = bundle / "configs"
    train = _load(configs / "train.json")
    rows = [_row(name) for name in _unique(ops)]
    target = configs / NAME
    if target.exists() and not force:
        raise AttachError(f"{target} exists; --force replaces it")
    classes = _classes(configs / "metadata.json")
    sigmoid = _sigmoid(train)
    block = _overrides(train, _ENGINES, rows, classes, sigmoid)
    if not block:
        raise AttachError("the bundle's train.json has no train#trainer and no validate#evaluator")
    evaluate, alone = _evaluate(configs, train, rows, classes, sigmoid)
    text = _write(target, block)
    if alone:
        _write(configs / ALONE, alone)
    return _said(bundle, text, evaluate)


def _write(path: Path, block: Block) -> str:
    text = dumps({Expr(key): value for key, value in block.items()})
    path.write_text(text, encoding="utf-8", newline="\n")
    return text


def _unique(ops: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for op in ops for name in op.split(",") if name))


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AttachError(f"{path} is not there (YAML bundles: copy the block from the README)") from error
    except ValueError as error:
        raise AttachError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise AttachError(f"{path} holds no configuration")
    return found


def _row(name: str) -> Rule:
    book = RuleBook()
    rule = book.find(Section.AUX_OP, name)
    if rule is None:
        raise AttachError(_unknown(name, book))
    if not rule.accumulates:
        raise AttachError(f"{name} leaves arrays for a metric to read; add both by hand, as docs/migrate.md shows")
    return rule


def _unknown(name: str, book: RuleBook) -> str:
    """Say what a name is that is no aux-op."""
    if book.find(Section.METRIC, name):
        return f"{name} is a validation metric that reads an aux-op's tag; add it by hand, as docs/migrate.md shows"
    hint = did_you_mean(name, book.names(Section.AUX_OP))
    return f"there is no aux-op {name!r}; {hint or 'see monai-auxops components'}"


def _classes(path: Path) -> list[str]:
    """Return the names of the output channels, which metadata.json defines."""
    if not path.is_file():
        return []
    formats = _load(path).get("network_data_format", {})
    outputs = formats.get("outputs", {}) if isinstance(formats, dict) else {}
    pred: Any = next(iter(outputs.values()), {}) if isinstance(outputs, dict) else {}
    channels = pred.get("channel_def", {}) if isinstance(pred, dict) else {}
    return [str(channels[key]) for key in sorted(channels, key=str)] if isinstance(channels, dict) else []


def _sigmoid(train: dict[str, Any]) -> bool:
    """Tell from the loss whether the channels are independent."""
    loss = train.get("loss")
    return isinstance(loss, dict) and loss.get("sigmoid") is True


def _overrides(
    train: dict[str, Any],
    engines: Iterable[tuple[str, str, str, str]],
    rows: list[Rule],
    classes: list[str],
    sigmoid: bool,
) -> Block:
    block: Block = {}
    for _, engine_id, key_slot, prefix in engines:
        engine = _at(train, engine_id)
        if isinstance(engine, dict):
            validates = prefix == "val" and "loss" in train
            taken = _taken(train, engine_id, key_slot)
            names = [_free(f"{prefix}_{_tag(rule)}", taken, engine_id) for rule in rows]
            ops = [_op(rule, classes, sigmoid, validates) | _label_format(rule, train) for rule in rows]
            metrics = dict(zip(names, ops, strict=True))
            block |= _slots(engine, engine_id, key_slot, metrics)
    return block


def _at(config: dict[str, Any], path: str) -> Any:
    found: Any = config
    for part in path.split("#"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _free(name: str, taken: Block, engine_id: str) -> str:
    """Two values of one name would be one: beside another library's metric the aux-op gets a name of its own."""
    if name not in taken:
        return name
    other = f"{name}_aux"
    if other in taken or _is_op(taken[name]):
        raise AttachError(f"{engine_id} has {name} already, an aux-op's value: leave this aux-op out of --ops")
    return other


def _is_op(entry: Any) -> bool:
    target = str(entry.get("_target_", "")) if isinstance(entry, dict) else ""
    return RuleBook().find(Section.AUX_OP, target) is not None


def _taken(config: dict[str, Any], engine_id: str, key_slot: str) -> Block:
    """Return the engine's metrics by name."""
    found = (_resolved(config, f"{engine_id}#{slot}") for slot in (key_slot, "additional_metrics"))
    return {name: entry for block in found for name, entry in block.items()}


def _resolved(config: dict[str, Any], path: str) -> Block:
    """Return what stands at a path, or where the reference there points."""
    found = _at(config, path)
    elsewhere = _referred(found)
    found = _at(config, elsewhere) if elsewhere else found
    return found if isinstance(found, dict) else {}


def _slots(engine: dict[str, Any], engine_id: str, key_slot: str, metrics: Block) -> Block:
    """MONAI attaches additional metrics only where there is a key metric: without one, the first aux-op becomes it."""
    names = list(metrics)
    block: Block = {}
    if not engine.get(key_slot):
        first = names.pop(0)
        block[f"{engine_id}#{key_slot}"] = {first: metrics[first]}
    if names:
        block[f"+{_home(engine, engine_id)}"] = {name: metrics[name] for name in names}
    return block


def _home(engine: dict[str, Any], engine_id: str) -> str:
    """Return where the engine's additional metrics stand: in place, or where a reference points."""
    return _referred(engine.get("additional_metrics")) or f"{engine_id}#additional_metrics"


def _referred(value: Any) -> str:
    """Return the path that a reference names, nothing for another value."""
    return value[1:].replace("::", "#") if isinstance(value, str) and value.startswith("@") else ""


def _tag(rule: Rule) -> str:
    names = {"ComputeDice": "dice", "DiceMaskedOutput": "mean_dice", "NegLoss": "neg_loss"}
    return names.get(rule.name, rule.name.removeprefix("Compute").lower())


def _op(rule: Rule, classes: list[str], sigmoid: bool, validates: bool) -> Block:
    known = {param.name for param in rule.params}
    args: Block = {"tags": _tags(rule, classes, sigmoid)} if "tags" in known else {"tag": _tag(rule)}
    if "is_independent_predictions" in known and sigmoid:
        args |= {"is_independent_predictions": True, "is_onehot_targets": True, "final_activation": "sigmoid"}
    elif "skip_background" in known and len(classes) > 1:
        args["skip_background"] = True
    if "use_sigmoid" in known and sigmoid:
        args["use_sigmoid"] = True
    extra = rule.in_validation if validates else {}
    return component(f"monai_auxops.{rule.name}", **args, **extra)


def _label_format(rule: Rule, config: dict[str, Any]) -> Block:
    """Return the label_format of an op that needs one, as the configuration's own ops have it."""
    if not any(isinstance(target, Target) and "label_format" in target.args for target in rule.targets):
        return {}
    found = "@label_format" if "label_format" in config else next(_formats(config), None)
    if found is None:
        raise AttachError(
            f'{rule.name} needs label_format: add "label_format": [3, 1] (k for a label of k classes, 1 for a binary '
            "one) at the top of the bundle's train.json, and of an evaluate.json that stands alone"
        )
    return {"label_format": Expr(found) if isinstance(found, str) else found}


def _formats(value: Any) -> Iterator[Any]:
    """Yield every label_format of a component; a relative reference means nothing elsewhere."""
    if isinstance(value, dict):
        found = value.get("label_format") if "_target_" in value else None
        if found and not str(found).startswith("@#"):
            yield found
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _formats(child)


def _tags(rule: Rule, classes: list[str], sigmoid: bool) -> list[str]:
    """Name the average, and one value per class where there are several."""
    shown = classes if sigmoid or len(classes) < 2 else classes[1:]
    single = len(shown) < 2
    return [_tag(rule)] if single else [_tag(rule), *(f"dice_{_word(name)}" for name in shown)]


def _word(name: str) -> str:
    return "_".join("".join(char if char.isalnum() else " " for char in name.lower()).split())


def _evaluate(
    configs: Path, train: dict[str, Any], rows: list[Rule], classes: list[str], sigmoid: bool
) -> tuple[list[str], Block]:
    """Return the files that the evaluation is run with, and the overrides of one that stands alone."""
    path = configs / "evaluate.json"
    if not path.is_file():
        return [], {}
    evaluate = _load(path)
    alone = {} if "validate" in train else _overrides(evaluate, _EVALUATORS, rows, classes, sigmoid)
    if alone:
        return ["configs/evaluate.json", f"configs/{ALONE}"], alone
    return ["configs/train.json", "configs/evaluate.json", f"configs/{NAME}"], {}


def _said(bundle: Path, text: str, evaluate: list[str]) -> str:
    train = f"['configs/train.json','configs/{NAME}']"
    lines = [f"Written: {bundle / 'configs' / NAME}", "", text, "Train with it, in the bundle's folder:"]
    lines.append(f'  python -m monai.bundle run --config_file "{train}"')
    if evaluate:
        files = ",".join(f"'{name}'" for name in evaluate)
        lines += ["Evaluate with it:", f'  python -m monai.bundle run --config_file "[{files}]"']
    return "\n".join(lines) + "\n"
