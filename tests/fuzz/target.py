"""A coverage-guided fuzzer of the migrator (needs ``pip install atheris``; no dependency of the project).

``python -m tests.fuzz.target [--reader] -max_total_time=600 tests/fuzz/corpus``: whatever escapes, hangs or fills the
memory is kept by libFuzzer as a file ``crash-…``. All other options are libFuzzer's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("this target needs atheris: pip install atheris")

with atheris.instrument_imports(include=["monai_auxops.migrate"]):
    from monai_auxops.migrate.command import MigrateOptions, run
    from monai_auxops.migrate.diagnostics import Log
    from monai_auxops.migrate.reading.json_source import parse


def reader(data: bytes) -> None:
    """Bytes to values; nothing but diagnostics."""
    log = Log()
    assert parse(data, "f.json", log) is not None or log.items


def migration(data: bytes) -> None:
    """The same bytes as a training configuration, a data list and an environment, migrated and written."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mmar" / "config"
        config.mkdir(parents=True)
        for name, part in zip(("config_train", "environment", "dataset"), data.split(b"\n---\n"), strict=False):
            (config / f"{name}.json").write_bytes(part)
        _, code = run(MigrateOptions(config.parent, output=Path(folder) / "out", validate=False))
        assert code in (0, 1, 2)
        assert sorted(path.name for path in Path(folder).iterdir()) in (["mmar"], ["mmar", "out"])


if __name__ == "__main__":
    target = reader if "--reader" in sys.argv else migration
    atheris.Setup([arg for arg in sys.argv if arg != "--reader"], target)
    atheris.Fuzz()
