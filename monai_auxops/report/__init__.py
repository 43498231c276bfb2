"""The report of a finished or running training: ``monai-auxops report RUN_DIR``. Loads neither torch nor MONAI."""
