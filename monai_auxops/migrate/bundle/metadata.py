"""The bundle's metadata.json, in the form that ``python -m monai.bundle verify_metadata`` checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from monai_auxops.migrate.bundle.blocks import Block
    from monai_auxops.migrate.conversion.config import ConvertedConfig
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


class Network(NamedTuple):
    """What metadata.json tells about the network: its task, its input, and its output by class."""

    task: str
    spatial_dims: int
    patch: tuple[int, ...]
    in_channels: int
    classes: list[str]
    scans: bool

    @property
    def classifies(self) -> bool:
        """Whether the output is a vector of classes."""
        return self.task == "classification"

    @property
    def spatial_shape(self) -> list[Any]:
        """The spatial shape of the input, with ``*`` for any size."""
        return list(self.patch) or ["*"] * self.spatial_dims


def metadata(project: Project, config: ConvertedConfig, facts: Facts) -> Block:
    """Return the metadata that the configuration tells, with placeholders for the rest."""
    metrics = [entry.args["name"] for entry in config.at("validate", "metrics") if entry.built]
    classes, patch = class_names(project, facts), tuple(facts.patch_size)
    network = Network(facts.task, facts.spatial_dims, patch, facts.in_channels, classes, facts.scanning)
    return metadata_of(network, metrics, "a Clara Train MMAR", config.file)


def metadata_of(network: Network, metrics: Sequence[str], origin: str, file: str) -> Block:
    """Return the metadata of a bundle that was migrated from ``origin``, which is described as ``file``."""
    task = "Classification" if network.classifies else "Segmentation"
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"migrated from {origin}"},
        "monai_version": TESTED["monai"],
        "pytorch_version": TESTED["torch"],
        "numpy_version": TESTED["numpy"],
        "required_packages_version": PACKAGES,
        "task": f"{task}, migrated from a Clara Train MMAR",
        "description": f"A {task.lower()} bundle that monai-auxops migrated from {file}.",
        "authors": OWNER,
        "copyright": OWNER,
        "data_type": "nibabel",
        "eval_metrics": dict.fromkeys(metrics, 0.0),
        "intended_use": "To be validated before any use; not for clinical decisions.",
        "network_data_format": {"inputs": {"image": _image(network)}, "outputs": {"pred": _prediction_format(network)}},
    }


def _image(network: Network) -> Block:
    return {
        "type": "image",
        "format": "magnitude",
        "num_channels": network.in_channels,
        "spatial_shape": network.spatial_shape,
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": network.scans,
        "channel_def": {str(channel): f"image {channel}" for channel in range(network.in_channels)},
    }


def _prediction_format(network: Network) -> Block:
    kind = {"type": "image", "format": "segmentation"}
    shape = network.spatial_shape
    if network.classifies:
        kind, shape = {"type": "probabilities", "format": "classes"}, []
    return {
        **kind,
        "num_channels": len(network.classes),
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": network.scans,
        "channel_def": {str(index): name for index, name in enumerate(network.classes)},
    }


def class_names(project: Project, facts: Facts) -> list[str]:
    """Return a name for each output channel: BraTS classes, the data list's labels, or a number."""
    labels = project.data.labels if project.data is not None else ()
    return channel_names(facts.channel_names or labels, facts.channels, facts.activation)


def channel_names(known: Sequence[str], channels: int, activation: str | None) -> list[str]:
    """Return the known names if there is one for each channel, otherwise numbers."""
    if len(known) == channels:
        return list(known)
    exclusive = activation == "softmax" and channels > 1
    return ["background" if exclusive and index == 0 else f"class {index}" for index in range(channels)]
