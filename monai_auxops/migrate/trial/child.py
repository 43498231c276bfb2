"""The child process of ``migrate --check``: builds every object of a bundle, trains two iterations, validates."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monai_auxops.migrate.trial import predictions
from monai_auxops.migrate.trial.shrink import (
    ITERATIONS,
    first_value,
    label_scale,
    reader_of,
    redirect_outputs,
    replace_target,
    shorten_run,
    shrink_patches,
    spacing_of,
)

_SIDES: Final = {2: 64, 3: 32}
_CASES: Final = 2
_BUILT: Final = ("network_def", "loss", "optimizer", "lr_scheduler")


class StepError(Exception):
    """A step failed; ``step`` is the id of the bundle's object."""

    def __init__(self, step: str, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {_root(error)}")
        self.step = step


def _root(error: BaseException) -> str:
    """Return the message of the first cause: MONAI wraps errors in errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".")


def run(folder: Path) -> str:
    """Check the bundle in a folder and return a sentence about it."""
    bundle, spec = folder / "bundle", json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    sys.path[:0] = [str(bundle), *spec["python_path"]]
    parser = _parser(bundle, ["train.json"])
    data = _data(parser, spec, folder)
    _prepare(parser, spec, data, folder)
    trained = _train(parser, spec)
    _keep_a_checkpoint(folder / "out" / "models")
    more = [_evaluate(bundle, spec, data, folder), _infer(bundle, spec, data, folder)]
    done = [f"{ITERATIONS} iterations and a validation on {data.kind} data: {trained}", *filter(None, more)]
    return "; ".join(done)


def _parser(bundle: Path, names: list[str]) -> Any:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / name) for name in names])
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    return parser


def _train(parser: Any, spec: dict[str, Any]) -> str:
    """Build every object, train two iterations and validate."""
    for item in _BUILT:
        _build(parser, item)
    for part in ("train", "validate"):
        _transforms(parser, part, spec)
    _metrics(parser)
    trainer = _build(parser, "train#trainer")
    _step("training", trainer.run)
    return _values(parser, trainer)


def _keep_a_checkpoint(models: Path) -> None:
    """Evaluate the trained model if no validation chose a best one."""
    best, final = models / "model.pt", models / "model_final.pt"
    if final.is_file() and not best.is_file():
        shutil.copy(final, best)


def _evaluate(bundle: Path, spec: dict[str, Any], data: _Data, folder: Path) -> str:
    """Run evaluate.json over train.json."""
    if not (bundle / "configs" / "evaluate.json").is_file():
        return ""
    parser = _parser(bundle, ["train.json", "evaluate.json"])
    _prepare(parser, spec, data, folder)
    parser["list_key"] = "validation"
    evaluator = _build(parser, "validate#evaluator", "evaluation")
    _step("evaluation", evaluator.run)
    return f"an evaluation of {_CASES} cases"


def _infer(bundle: Path, spec: dict[str, Any], data: _Data, folder: Path) -> str:
    """Run inference.json, and read back what it wrote: one prediction per case, of the image's size."""
    parser = _parser(bundle, ["inference.json"])
    _prepare(parser, spec, data, folder)
    parser["list_key"] = "validation"
    parser["output_dir"] = str(folder / "predictions")
    evaluator = _build(parser, "evaluator", "inference")
    _step("inference", evaluator.run)
    files = [path for path in sorted((folder / "predictions").rglob("*")) if path.is_file()]
    return str(_step("inference", lambda: predictions.check(files, spec, data.cases)))


@dataclass(frozen=True, slots=True)
class _Data:
    """The data of a check: whose it is, the data list, its folder, and the cases of the validation list."""

    kind: str
    datalist: Path
    root: str
    cases: list[Any]


def _data(parser: Any, spec: dict[str, Any], folder: Path) -> _Data:
    """Return a few cases of the MMAR's own data if it is available, otherwise generate similar ones."""
    from monai_auxops.migrate.trial import data as check_data

    found = check_data.real(spec, folder / "data")
    if found is not None:
        datalist, root = found
    else:
        size = parser.config.get("patch_size") or [_SIDES[spec["spatial_dims"]]] * spec["spatial_dims"]
        size = [min(side, _SIDES[spec["spatial_dims"]]) for side in size]
        if spec["spatial_dims"] == 2:
            size = [size[0], 2 * size[1]]  # rows and columns that were exchanged would show
        spec["in_channels"] //= max(first_value(parser.config, "repeats", 1), 1)
        spec["label_scale"] = label_scale(parser.config)
        datalist = check_data.make(folder / "data", spec, reader_of(parser.config), size, spacing_of(parser.config))
        root = str(folder / "data")
    lists = json.loads(datalist.read_text(encoding="utf-8"))
    kind = "the MMAR's own" if found is not None else "generated"
    return _Data(kind, datalist, root, lists.get("validation", next(iter(lists.values()))))


def _prepare(parser: Any, spec: dict[str, Any], data: _Data, folder: Path) -> None:
    """Point a configuration to small data and a short run."""
    for stub, path in spec["own"].items():
        replace_target(parser.config, stub, path)
    shrink_patches(parser.config, _SIDES[spec["spatial_dims"]])
    redirect_outputs(parser.config, str(folder / "predictions"))
    settings: dict[str, Any] = {"bundle_root": str(folder / "out"), "dataset_dir": data.root}
    settings["datalist"] = str(data.datalist)
    settings |= {"epochs": 1, "val_interval": 1, "amp": False, "summary_interval": 1}
    for key, value in settings.items():
        parser[key] = value
    parser["device"] = "$torch.device('cpu')"
    if parser.get("dataloader") is not None:
        parser["dataloader#num_workers"] = 0
    shorten_run(parser)


def _step(name: str, action: Any) -> Any:
    try:
        return action()
    except Exception as error:
        raise StepError(name, error) from error


def _build(parser: Any, item: str, step: str = "") -> Any:
    return _step(step or item, lambda: parser.get_parsed_content(item)) if parser.get(item) is not None else None


def _transforms(parser: Any, part: str, spec: dict[str, Any]) -> None:
    """Apply the transforms one by one to the first case, so that a failure names its transform; then the network."""
    if parser.get(part) is None:
        return
    chain = parser[f"{part}#preprocessing#transforms"]
    built = [_build(parser, f"{part}#preprocessing#transforms#{index}") for index in range(len(chain))]
    items = _build(parser, f"{part}#data")[:1]
    for index, transform in enumerate(built):
        step = f"{part}#preprocessing#transforms#{index}"
        results = [_step(step, lambda item=item, transform=transform: transform(item)) for item in items]
        items = [one for result in results for one in (result if isinstance(result, list) else [result])]
    network = _build(parser, "network")
    if items and part == "train" and network is not None:
        _step("network_def", lambda: predictions.compare(network, items[0], spec))


def _metrics(parser: Any) -> None:
    for part in ("train", "validate"):
        for slot in ("key_metric", "additional_metrics"):
            for name in parser.get(f"{part}#{slot}", None) or {}:
                _step(
                    f"{part}#metrics#{name}", lambda p=part, s=slot, n=name: parser.get_parsed_content(f"{p}#{s}#{n}")
                )


def _values(parser: Any, trainer: Any) -> str:
    shown = dict(trainer.state.metrics)
    if parser.get("validate") is not None:
        shown |= parser.get_parsed_content("validate#evaluator").state.metrics
    return ", ".join(f"{name} {value:.4f}" for name, value in sorted(shown.items()) if isinstance(value, float))


def main(arguments: list[str]) -> int:
    """Print the result as one JSON line; what the bundle prints goes to stderr."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            result = {"ok": True, "message": run(Path(arguments[0]))}
    except StepError as error:
        result = {"ok": False, "step": error.step, "error": str(error)}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
