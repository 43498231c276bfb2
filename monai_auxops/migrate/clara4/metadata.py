"""The bundle's metadata.json from an MMAR of Clara Train 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.bundle.metadata import OWNER, PACKAGES, SCHEMA, TESTED
from monai_auxops.migrate.clara4.config import Config, Role
from monai_auxops.migrate.clara4.sections import log_label, metric_items
from monai_auxops.migrate.clara4.shape import NetworkShape, shape_of
from monai_auxops.migrate.encode import is_evaluated

if TYPE_CHECKING:
    from monai_auxops.migrate.bundle.blocks import Block
    from monai_auxops.migrate.clara4.project import Mmar4

_ONE: Final = 1


def metadata(mmar: Mmar4, config: Config) -> Block:
    """Return the metadata that the configuration tells, with placeholders for the rest."""
    shape = shape_of(config)
    task = "Classification" if shape.task == "classification" else "Segmentation"
    part = "validate" if config.role is Role.TRAIN else ""
    names = [log_label(item) for item in metric_items(config, part)]
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"migrated from an MMAR of {config.dialect.title}"},
        "monai_version": TESTED["monai"],
        "pytorch_version": TESTED["torch"],
        "numpy_version": TESTED["numpy"],
        "required_packages_version": PACKAGES,
        "task": f"{task}, migrated from a Clara Train MMAR",
        "description": f"A {task.lower()} bundle that monai-auxops migrated from an MMAR of {config.dialect.title}.",
        "authors": OWNER,
        "copyright": OWNER,
        "data_type": "nibabel",
        "eval_metrics": dict.fromkeys((name for name in names if not is_evaluated(name)), 0.0),
        "intended_use": "To be validated before any use; not for clinical decisions.",
        "network_data_format": {
            "inputs": {"image": _image(shape)},
            "outputs": {"pred": _pred(mmar, shape)},
        },
    }


def _shape(shape: NetworkShape) -> list[object]:
    return list(shape.patch) or ["*"] * shape.spatial_dims


def _image(shape: NetworkShape) -> Block:
    return {
        "type": "image",
        "format": "magnitude",
        "num_channels": shape.in_channels,
        "spatial_shape": _shape(shape),
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": shape.windows,
        "channel_def": {str(channel): f"image {channel}" for channel in range(shape.in_channels)},
    }


def _pred(mmar: Mmar4, shape: NetworkShape) -> Block:
    classifies = shape.task == "classification"
    channels = shape.out_channels or _ONE
    return {
        "type": "probabilities" if classifies else "image",
        "format": "classes" if classifies else "segmentation",
        "num_channels": channels,
        "spatial_shape": [] if classifies else _shape(shape),
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": shape.windows,
        "channel_def": {str(index): name for index, name in enumerate(_names(mmar, shape, channels))},
    }


def _names(mmar: Mmar4, shape: NetworkShape, channels: int) -> list[str]:
    known = mmar.data.labels if mmar.data is not None else ()
    if len(known) == channels:
        return list(known)
    exclusive = shape.activation == "softmax" and channels > 1
    return ["background" if exclusive and index == 0 else f"class {index}" for index in range(channels)]
