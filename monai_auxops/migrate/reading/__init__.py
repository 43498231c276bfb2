"""Read an MMAR: its JSON with places, its variables, its scripts and its data list."""
