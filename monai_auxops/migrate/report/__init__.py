"""What `monai-auxops migrate` says: one model, shown as text, JSON, HTML or side by side."""
