"""The process that ``migrate --weights`` starts, because the migrator itself loads neither torch nor MONAI."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from monai_auxops.weights.bundle_files import write_models
from monai_auxops.weights.convert import convert
from monai_auxops.weights.errors import WeightsError


def run(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the files of the weights into a folder and return the result.

    Args:
        spec: the MMAR (``mmar``), the bundle's block for its network and the activation that the bundle applies.
        folder: for ``model.pt`` and ``graph.json``.
    """
    try:
        conversion = convert(Path(spec["mmar"]), spec["network_def"], spec["activation"])
    except WeightsError as error:
        return {"outcome": "refused", "sentence": str(error), "network_def": None}
    write_models(conversion, folder)
    return {"outcome": conversion.outcome, "sentence": conversion.sentence, "network_def": conversion.network_def}


def main(arguments: list[str]) -> int:
    """Print the result as one JSON line."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    spec = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    with contextlib.redirect_stdout(sys.stderr):
        result = run(spec, Path(arguments[1]))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
