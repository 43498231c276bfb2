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
