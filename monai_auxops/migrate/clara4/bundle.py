"""The files of a bundle from an MMAR of Clara Train 4."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.blocks import Block
from monai_auxops.migrate.bundle.data import copied_list, data_places
from monai_auxops.migrate.bundle.folder import all_files
from monai_auxops.migrate.bundle.multi_gpu import multi_gpu_json
from monai_auxops.migrate.bundle.stubs import stub_file
from monai_auxops.migrate.clara4.aux_ops import aux_ops
from monai_auxops.migrate.clara4.config import Clara4Config, Role
from monai_auxops.migrate.clara4.evaluate import EvaluatedNetwork, evaluate_json, inference_json
from monai_auxops.migrate.clara4.metadata import metadata
from monai_auxops.migrate.clara4.readme import readme
from monai_auxops.migrate.clara4.sections import data_root, datalist_path, single
from monai_auxops.migrate.clara4.shape import shape_of
from monai_auxops.migrate.clara4.train import train_json
from monai_auxops.migrate.clara4.wiring import weights_name
from monai_auxops.migrate.rules.facts import Facts

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.project import Mmar4
    from monai_auxops.migrate.clara4.weights import Weights

_OWN_CODE: Final = '''"""The MMAR's own classes, as they were; their modules find each other here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
'''


def files(mmar: Mmar4, weights: Weights, with_aux: bool, trust: bool) -> dict[str, str]:
    """Return the text of every file of the bundle."""
    code, datalist = stub_file(mmar.used, _facts(mmar)), copied_list(mmar.data, mmar.root)
    written = configs(mmar, weights, with_aux)
    found = all_files(written, readme(mmar, weights, written), code, datalist)
    if trust:
        found |= own_code(mmar)
    return dict(sorted(found.items()))


def _facts(mmar: Mmar4) -> Facts:
    """Return the shapes that a stub mentions."""
    if mmar.main is None:
        return Facts()
    shape = shape_of(mmar.main)
    outputs = shape.out_channels or 1
    facts = Facts(out_channels=outputs, in_channels=shape.in_channels, spatial_dims=shape.spatial_dims)
    return facts.update(patch_size=shape.patch, task=shape.task)


def configs(mmar: Mmar4, weights: Weights, with_aux: bool) -> dict[str, Block]:
    """Return the configurations: training if there is one, evaluation and inference with the old weights."""
    train, found = mmar.chosen.get(Role.TRAIN), dict[str, Block]()
    if train is not None:
        training = train_json(train, _data(mmar, train), _aux(train, with_aux))
        found |= {"train.json": training, "multi_gpu_train.json": multi_gpu_json(training)}
    evaluates = mmar.chosen.get(Role.EVALUATE) or (train if train is not None and "validate" in train.parts else None)
    if evaluates is not None:
        model = model_of(mmar, evaluates, weights)
        part = "" if evaluates.role is Role.EVALUATE else "validate"
        extra = _aux(evaluates, with_aux).get(part, {})
        found["evaluate.json"] = evaluate_json(evaluates, _data(mmar, evaluates), model, extra, mmar.log)
    infers = mmar.chosen.get(Role.INFER) or evaluates
    if infers is not None:
        network = model_of(mmar, infers, weights)
        found["inference.json"] = inference_json(infers, _data(mmar, infers), network, mmar.log)
    main = mmar.main
    if main is not None:
        found["metadata.json"] = metadata(mmar, main)
    return found


def _aux(config: Clara4Config, wanted: bool) -> dict[str, Block]:
    shape = shape_of(config)
    return {part: aux_ops(config, part, shape) for part in config.parts} if wanted else {}


def model_of(mmar: Mmar4, config: Clara4Config, weights: Weights) -> EvaluatedNetwork:
    """Return the network of an evaluation: its own, the training's, or that of the checkpoint."""
    train = mmar.chosen.get(Role.TRAIN) or weights.train
    item = config.first("", "model") or (train.first("train", "model") if train is not None else None)
    definition = single(item, {}) if item is not None else None
    values, named = config.variables.values, config.weights
    checkpoint = weights_name(named.get("ckpt_path") or str(values.get("MMAR_CKPT", "")))
    script = weights_name(named.get("ts_path") or str(values.get("MMAR_TORCHSCRIPT", "")))
    script = script if script.endswith(".ts") else "model.ts"
    asked = next(iter(config.weights), "") == "ts_path"
    scripted = definition is None or (script in weights.names and (asked or checkpoint not in weights.names))
    return EvaluatedNetwork(definition, checkpoint, script, scripted)


def _data(mmar: Mmar4, config: Clara4Config) -> Block:
    """Return dataset_dir and datalist; the user can override both when running the bundle."""
    return data_places(data_root(config), datalist_path(config), mmar.root, copied_list(mmar.data, mmar.root))


def own_code(mmar: Mmar4) -> dict[str, str]:
    """Return the Python files of the MMAR's custom folder."""
    folder = mmar.root / "custom"
    modules = {item.occurrence.path for item in mmar.used if item.active and item.occurrence.path}
    if not folder.is_dir() or not modules:
        return {}
    found = {"scripts/__init__.py": "", "scripts/custom/__init__.py": _OWN_CODE}
    for path in _python_files(folder):
        name = path.relative_to(folder).as_posix()
        if name != "__init__.py":
            found[f"scripts/custom/{name}"] = path.read_text(encoding="utf-8", errors="replace")
    return found


def _python_files(folder: Path) -> Iterable[Path]:
    """Yield the Python files inside a folder, without links to other places."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*.py")):
        if path.is_file() and path.resolve().is_relative_to(root):
            yield path
