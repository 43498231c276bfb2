"""Run what was migrated: MONAI's validation of the bundle, and a short training for ``--check``."""
