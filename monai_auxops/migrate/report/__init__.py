"""What ``monai-auxops migrate`` reports: one model, shown as text, JSON, HTML or side by side."""
