"""Measure label maps on disk: ``monai-auxops evaluate --pred DIR --label DIR -o OUT``. Needs no engine."""
