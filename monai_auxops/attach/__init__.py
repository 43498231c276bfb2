"""``monai-auxops attach``: aux-ops for a MONAI bundle that exists, as overrides; its own files stay as they are."""
