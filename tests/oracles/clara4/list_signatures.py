"""Print the public classes of the installed MONAI, torch and Ignite with their arguments, as JSON.

Run it with the Python of an old environment; it needs nothing of this project and runs on Python 3.8 and later.
"""

import enum
import importlib
import inspect
import json
import sys

MODULES = [
    "monai.transforms",
    "monai.losses",
    "monai.networks.nets",
    "monai.handlers",
    "monai.data",
    "monai.inferers",
    "monai.engines",
    "monai.metrics",
    "monai.apps.deepgrow.transforms",
    "monai.apps.deepgrow.interaction",
    "monai.apps.deepedit.transforms",
    "monai.apps.pathology.data",
    "monai.apps.pathology.transforms",
    "monai.apps.pathology.handlers",
    "monai.apps.pathology.metrics",
    "monai.apps.detection.transforms.dictionary",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "monai.optimizers",
    "torch.nn",
    "torch.utils.data",
    "ignite.metrics",
    "ignite.handlers",
]


ANY_INPUT = {
    "ApplyPending", "BatchInverseTransform", "DataStats", "EnsureType", "Identity", "Lambda", "Mark", "RandIdentity",
    "RandLambda", "RandMark", "RandRangePop", "RandRangePush", "RangePop", "RangePush", "SimulateDelay", "ToCupy",
    "ToNumpy", "ToTensor",
}  # fmt: skip


def plain(value):
    """Return a default as JSON; what is no number, text, list or dict is named."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    name = getattr(value, "__name__", None) or str(value)
    if "required" in name:
        return "<required>"
    return "<{}>".format(name.rpartition(".")[2].split(" ")[0])


def arguments(cls):
    """Return the arguments of a class, and whether it takes any other."""
    try:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    except (TypeError, ValueError):
        return {}, True
    found = {
        item.name: "<required>" if item.default is item.empty else plain(item.default)
        for item in parameters
        if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)
    }
    return found, any(item.kind is item.VAR_KEYWORD for item in parameters)


def bases():
    """Return the base class of each kind of class that a section of a configuration takes."""
    from ignite.metrics import Metric
    from monai.engines import Evaluator, Trainer
    from monai.inferers import Inferer
    from torch.optim import Optimizer, lr_scheduler
    from torch.utils.data import DataLoader, Dataset

    scheduler = getattr(lr_scheduler, "LRScheduler", lr_scheduler._LRScheduler)
    return {
        "optimizer": Optimizer, "lr_scheduler": scheduler, "dataset": Dataset, "dataloader": DataLoader,
        "inferer": Inferer, "metric": Metric, "trainer": Trainer, "evaluator": Evaluator,
    }  # fmt: skip


def kinds(cls, module):
    """Return the kinds that a class is of; an abstract class and the base class itself are of none."""
    from torch.nn import Module

    if inspect.isabstract(cls):
        return []
    found = [kind for kind, base in bases().items() if issubclass(cls, base) and cls is not base]
    if issubclass(cls, Module) and module in ("monai.losses", "torch.nn"):
        found.append("loss")
    if issubclass(cls, Module) and module == "monai.networks.nets":
        found.append("model")
    if cls.__module__.endswith("interaction"):
        found.append("iteration")
    if attaches(cls):
        found.append("handler")
    return found + transform_kinds(cls, module)


def attaches(cls):
    """Tell whether an engine of MONAI can attach a class as a handler: with nothing but itself."""
    if not callable(getattr(cls, "attach", None)):
        return False
    others = list(inspect.signature(cls.attach).parameters.values())[2:]
    return all(item.default is not item.empty or "VAR_" in item.kind.name for item in others)


def transform_kinds(cls, module):
    """Return whether a class transforms dictionaries, as every chain of Clara's needs, or arrays only."""
    from monai.transforms import Compose, MapTransform

    if "transforms" not in module or not any("__call__" in vars(base) for base in cls.__mro__[:-1]):
        return []
    short = cls.__name__
    of_arrays = hasattr(importlib.import_module(module), short + "d")
    of_items = issubclass(cls, (Compose, MapTransform)) or short.endswith("d")
    return ["transform"] if short in ANY_INPUT or (of_items and not of_arrays) else ["array transform"]


def is_wanted(module, public, value):
    """Tell a class of the library itself that a configuration may name."""
    if not inspect.isclass(value) or public.startswith("_"):
        return False
    if module == "torch.nn":
        return public.endswith("Loss")
    if module == "torch.utils.data":
        return public.endswith("Sampler")
    return value.__module__.partition(".")[0] == module.partition(".")[0]


def classes():
    """Return name -> (class, module, arguments, takes others) of every public class; MONAI's come first."""
    found = {}
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        for public, value in sorted(vars(module).items()):
            if is_wanted(name, public, value) and public not in found:
                args, others = arguments(value)
                found[public] = {"class": value.__name__, "module": name, "args": args, "others": others}
                found[public]["kinds"] = kinds(value, name)
    return found


def ambiguous(names):
    """Return the class names that today's MONAI finds in more than one module."""
    try:
        from monai.bundle.config_item import ComponentLocator
    except ImportError:
        return []
    locator = ComponentLocator()
    return sorted(name for name in names if isinstance(locator.get_component_module_name(name), list))


def main():
    """Print the table of this environment."""
    import monai

    found = classes()
    names = sorted({item["class"] for item in found.values()})
    table = {"monai": monai.__version__, "classes": found, "ambiguous": ambiguous(names)}
    json.dump(table, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
