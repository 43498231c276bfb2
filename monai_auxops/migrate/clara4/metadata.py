"""The bundle's metadata.json from an MMAR of Clara Train 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai_auxops.migrate.bundle.metadata import Network, channel_names, metadata_of
from monai_auxops.migrate.clara4.config import Clara4Config, Role
from monai_auxops.migrate.clara4.sections import metric_items
from monai_auxops.migrate.clara4.shape import shape_of
from monai_auxops.migrate.encode import is_evaluated

if TYPE_CHECKING:
    from monai_auxops.migrate.bundle.blocks import Block
    from monai_auxops.migrate.clara4.project import Mmar4


def metadata(mmar: Mmar4, config: Clara4Config) -> Block:
    """Return the metadata that the configuration tells, with placeholders for the rest."""
    shape = shape_of(config)
    part = "validate" if config.role is Role.TRAIN else ""
    names = [item.label for item in metric_items(config, part)]
    known = mmar.data.labels if mmar.data is not None else ()
    classes = channel_names(known, shape.out_channels or 1, shape.activation)
    network = Network(shape.task, shape.spatial_dims, tuple(shape.patch), shape.in_channels, classes, shape.windows)
    origin = f"an MMAR of {config.dialect.title}"
    return metadata_of(network, [name for name in names if not is_evaluated(name)], origin, origin)
