"""A finished or running training as one page: ``monai-auxops report RUN_DIR``. Loads neither torch nor MONAI."""
