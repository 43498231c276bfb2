"""The rows: changes beyond a plain rename. Other classes keep name and arguments, by ``signatures.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monai_auxops.migrate.clara4.tables.data import DATA
from monai_auxops.migrate.clara4.tables.handlers import HANDLERS
from monai_auxops.migrate.clara4.tables.losses import LOSSES
from monai_auxops.migrate.clara4.tables.networks import NETWORKS
from monai_auxops.migrate.clara4.tables.successors import SUCCESSORS
from monai_auxops.migrate.clara4.tables.transforms import TRANSFORMS

if TYPE_CHECKING:
    from monai_auxops.migrate.clara4.tables.base import Row

ROWS: Final = (*LOSSES, *NETWORKS, *TRANSFORMS, *DATA, *HANDLERS, *SUCCESSORS)
_BY_NAME: Final = {name: row for row in ROWS for name in row.names}


def find(name: str) -> Row | None:
    """Return the row of a class by one of its names."""
    return _BY_NAME.get(name)
