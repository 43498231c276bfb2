"""``python -m monai_auxops`` is ``monai-auxops``."""

from monai_auxops.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
