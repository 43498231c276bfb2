"""``monai-auxops attach``: add aux-ops to a MONAI bundle as overrides; its own files stay as they are."""
