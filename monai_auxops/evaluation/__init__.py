"""The evaluation of label maps on disk: ``monai-auxops evaluate --pred DIR --label DIR -o OUT``."""
