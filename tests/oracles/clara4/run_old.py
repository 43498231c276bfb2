"""Run the cases as they are written with an old MONAI, and print losses, metrics, images and tables as JSON.

python run_old.py 40 > monai_0.5.3.json        # in an environment with MONAI 0.5.3
python run_old.py 41 > monai_0.8.1.json        # in an environment with MONAI 0.8.1
"""

import contextlib
import copy
import json
import re
import sys
import tempfile
from pathlib import Path

import ignite
import monai
import numpy as np
import torch
from ignite.engine import Events

from cases import SEED_AGAIN, cases, classes_of, make_data
from data import files_of, fill

MODULES = [monai.transforms, monai.losses, monai.networks.nets, monai.handlers, monai.data, monai.inferers,
           monai.optimizers, monai.engines, ignite.metrics, torch.optim, torch.optim.lr_scheduler,
           torch.nn]  # fmt: skip
OLD = monai.__version__.startswith("0.5")
NAMES = {"monai": monai, "torch": torch, "np": np, "__builtins__": __builtins__}


def find(name):
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


class Section:
    """The objects of one section; `@name` is one of them, and `#code` may name them, too."""

    def __init__(self, config, variables, shared):
        self.config, self.variables, self.objects = config, variables, dict(shared)

    def value(self, value):
        if isinstance(value, dict):
            return {key: self.value(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self.value(child) for child in value]
        if not isinstance(value, str):
            return value
        if value.startswith("@"):
            return self.objects.get(value[1:])
        if value.startswith("#"):
            return eval(re.sub(r"@(\w+)", r"objects['\1']", value[1:]), dict(NAMES, objects=self.objects))
        if value.startswith("lambda"):
            return eval(value, dict(NAMES))
        if re.fullmatch(r"\{\w+\}", value):
            return self.variables[value[1:-1]]
        return re.sub(r"\{(\w+)\}", lambda found: str(self.variables[found.group(1)]), value)

    def build(self, node, **implicit):
        args = {key: self.value(value) for key, value in node.get("args", {}).items()}
        if "device" in args:
            args["device"] = "cpu"
        return find(node["name"])(**dict(implicit, **args))

    def chain(self, key):
        return monai.transforms.Compose([self.build(node) for node in self.config[key]])

    def loader(self):
        node = self.config["dataset"]
        segments = self.variables["PROCESSING_TASK"] != "classification"
        items = monai.data.load_decathlon_datalist(
            self.value(node["data_list_file_path"]), segments, node["data_list_key"], self.variables["DATA_ROOT"]
        )
        self.objects["pre_transforms"] = self.chain("pre_transforms")
        self.objects["dataset"] = self.build(node, data=items, transform=self.objects["pre_transforms"])
        return self.build(self.config["dataloader"], dataset=self.objects["dataset"])

    def metrics(self):
        nodes = [self.config[key] for key in ("key_metric",) if key in self.config]
        nodes += self.config.get("metrics", []) + self.config.get("additional_metrics", [])
        made = {node["log_label"]: self.build(node) for node in nodes}
        first = next((node["log_label"] for node in nodes if node.get("is_key_metric")), nodes[0]["log_label"])
        return {first: made.pop(first)}, made

    def common(self, network):
        key, more = self.metrics()
        post = {"post_transform" if OLD else "postprocessing": self.chain("post_transforms")}
        found = {"device": torch.device("cpu"), "network": network, "inferer": self.build(self.config["inferer"])}
        return dict(found, additional_metrics=more, **post), key


def first(node):
    return next(item for item in (node if isinstance(node, list) else [node]) if not item.get("disabled"))


def refs(config):
    """Put the training's components where the validation refers to them."""
    known = {node["name"]: node for key in ("pre_transforms", "post_transforms") for node in config["train"][key]}
    for key in ("pre_transforms", "post_transforms"):
        config["validate"][key] = [known[node["ref"]] if "ref" in node else node for node in config["validate"][key]]
    return config


def enabled(nodes):
    return [node for node in nodes if node.get("disabled") is not True]


def train(config, variables):
    config = refs(copy.deepcopy(config))
    config["train"]["pre_transforms"] = enabled(config["train"]["pre_transforms"])
    monai.utils.set_determinism(seed=config["determinism"]["random_seed"])
    section = Section(config["train"], variables, {})
    network = section.build(first(config["train"]["model"]))
    fill(network)
    if config["determinism"]["random_seed"] == SEED_AGAIN:
        monai.utils.set_determinism(seed=SEED_AGAIN)
    section.objects["model"] = network
    optimizer = section.build(first(config["train"]["optimizer"]), params=network.parameters())
    section.objects["optimizer"] = optimizer
    scheduler = section.build(config["train"]["lr_scheduler"], optimizer=optimizer)
    losses, metrics = [], []
    evaluator = make_evaluator(config["validate"], variables, network, [])
    common, key = section.common(network)
    trainer = monai.engines.SupervisedTrainer(
        max_epochs=2, train_data_loader=section.loader(), optimizer=optimizer, key_train_metric=key,
        loss_function=section.build(first(config["train"]["loss"])),
        train_handlers=[monai.handlers.LrScheduleHandler(lr_scheduler=scheduler, print_lr=False),
                        monai.handlers.ValidationHandler(validator=evaluator, interval=1, epoch_level=True)],
        **common
    )  # fmt: skip

    def keep(engine):
        output = engine.state.output
        losses.append(float((output if isinstance(output, dict) else output[0])["loss"]))

    trainer.add_event_handler(Events.ITERATION_COMPLETED, keep)
    evaluator.add_event_handler(Events.COMPLETED, lambda engine: metrics.append(dict(engine.state.metrics)))
    trainer.run()
    return {"losses": losses, "metrics": metrics}


def make_evaluator(config, variables, network, handlers):
    section = Section(config, variables, {"model": network})
    loader = section.loader()
    common, key = section.common(network)
    implicit = {"transform": section.objects["pre_transforms"], "loader": loader}
    built = [section.build(node, **(implicit if node["name"] == INVERTER else {})) for node in handlers]
    if INVERTER in [node["name"] for node in handlers]:
        return inverting(common, key, loader, built)
    return monai.engines.SupervisedEvaluator(val_data_loader=loader, key_val_metric=key, val_handlers=built, **common)


def inverting(common, key, loader, handlers):
    """Attach the inverter before the metrics that read what it wrote, as Clara Train did."""
    common = dict(common, additional_metrics=None)
    evaluator = monai.engines.SupervisedEvaluator(val_data_loader=loader, **common)
    for handler in handlers[:1]:
        handler.attach(evaluator)
    for name, metric in key.items():
        metric.attach(evaluator, name)
    for handler in handlers[1:]:
        handler.attach(evaluator)
    return evaluator


INVERTER = "TransformInverter"
WRITERS = (INVERTER, "SegmentationSaver", "MetricsSaver")


def evaluate(config, variables):
    nodes = [node for node in config["handlers"] if node["name"] in WRITERS]
    unet = {"spatial_dims" if not OLD else "dimensions": 3}
    network = monai.networks.nets.UNet(
        in_channels=1, out_channels=variables["classes"], channels=(8, 16, 32), strides=(2, 2), num_res_units=2, **unet
    )
    fill(network)
    evaluator = make_evaluator(config, variables, network, nodes)
    evaluator.run()
    output = Path(variables["MMAR_EVAL_OUTPUT_PATH"])
    tables = {path.name: path.read_text() for path in sorted(output.glob("*.csv"))}
    return {"metrics": [dict(evaluator.state.metrics)], "files": files_of(output), "tables": tables}


def transforms(config, variables):
    section = Section(config, variables, {})
    chain = section.chain("pre_transforms")
    chain.set_random_state(seed=5)
    root = Path(variables["DATA_ROOT"])
    found = chain({"image": str(root / "image_0.nii.gz"), "label": str(root / "label_0.nii.gz")})
    found = found[0] if isinstance(found, list) else found
    affine = np.asarray(found["image_meta_dict"]["affine"])
    images = {
        key: {"shape": list(found[key].shape), "sum": float(np.asarray(found[key], dtype=np.float64).sum())}
        for key in config["keys"]
    }
    return {"images": images, "affine": np.round(affine, 5).tolist()}


def main(version, part=""):
    results = {"monai": monai.__version__, "torch": torch.__version__}
    actions = {"train": train, "evaluate": evaluate, "transforms": transforms}
    for name, (kind, wanted, config) in cases().items():
        if wanted != int(version) or part not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            make_data(name, data)
            variables = {
                "DATA_ROOT": str(data), "DATASET_JSON": str(data / "dataset.json"), "MMAR_CKPT_DIR": folder,
                "MMAR_EVAL_OUTPUT_PATH": str(Path(folder) / "eval"), "learning_rate": config.get("learning_rate"),
                "PROCESSING_TASK": "classification" if "pictures" in name else "segmentation", "epochs": 2,
                "classes": classes_of(name), "num_interval_per_valid": 1, "amp": False,
                "dont_load_ckpt_model": True,
            }  # fmt: skip
            with contextlib.redirect_stdout(sys.stderr):
                results[name] = actions[kind](config, variables)
            print(name, results[name].get("losses") or list(results[name])[:3], file=sys.stderr)
    json.dump(results, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
