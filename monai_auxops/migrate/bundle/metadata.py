"""The bundle's metadata.json, in the form that ``python -m monai.bundle verify_metadata`` checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monai_auxops.migrate.bundle.blocks import Block
    from monai_auxops.migrate.conversion.config import Config
    from monai_auxops.migrate.conversion.project import Project
    from monai_auxops.migrate.rules.facts import Facts

SCHEMA: Final = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
TESTED: Final = {"monai": "1.6.1", "torch": "2.13.0", "numpy": "2.4.6"}
PACKAGES: Final = {
    "monai-auxops": "0.1.0",
    "nibabel": "5.4.2",
    "pytorch-ignite": "0.5.5",
    "tensorboard": "2.21.0",
}
OWNER: Final = "To be filled in by the publisher of this bundle"


def metadata(project: Project, config: Config, facts: Facts) -> Block:
    """Return the metadata that the configuration tells, with placeholders for the rest."""
    task = "Classification" if facts.task == "classification" else "Segmentation"
    metrics = [entry.args["name"] for entry in config.at("validate", "metrics") if entry.built]
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "migrated from a Clara Train MMAR"},
        "monai_version": TESTED["monai"],
        "pytorch_version": TESTED["torch"],
        "numpy_version": TESTED["numpy"],
        "required_packages_version": PACKAGES,
        "task": f"{task}, migrated from a Clara Train MMAR",
        "description": f"A {task.lower()} bundle that monai-auxops migrated from {config.file}.",
        "authors": OWNER,
        "copyright": OWNER,
        "data_type": "nibabel",
        "eval_metrics": dict.fromkeys(metrics, 0.0),
        "intended_use": "To be validated before any use; not for clinical decisions.",
        "network_data_format": {"inputs": {"image": _image(facts)}, "outputs": {"pred": _pred(project, facts)}},
    }


def _shape(facts: Facts) -> list[Any]:
    return list(facts.patch_size) or ["*"] * facts.spatial_dims


def _image(facts: Facts) -> Block:
    return {
        "type": "image",
        "format": "magnitude",
        "num_channels": facts.in_channels,
        "spatial_shape": _shape(facts),
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": facts.scanning,
        "channel_def": {str(channel): f"image {channel}" for channel in range(facts.in_channels)},
    }


def _pred(project: Project, facts: Facts) -> Block:
    classification = facts.task == "classification"
    return {
        "type": "probabilities" if classification else "image",
        "format": "classes" if classification else "segmentation",
        "num_channels": facts.channels,
        "spatial_shape": [] if classification else _shape(facts),
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": facts.scanning,
        "channel_def": {str(index): name for index, name in enumerate(class_names(project, facts))},
    }


def class_names(project: Project, facts: Facts) -> list[str]:
    """Return a name for each output channel: BraTS classes, the data list's labels, or a number."""
    known = facts.channel_names or (project.data.labels if project.data is not None else ())
    if len(known) == facts.channels:
        return list(known)
    exclusive = facts.activation == "softmax" and facts.channels > 1
    return ["background" if exclusive and index == 0 else f"class {index}" for index in range(facts.channels)]
