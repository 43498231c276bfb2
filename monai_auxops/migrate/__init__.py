"""Convert a Clara Train MMAR to a MONAI bundle: read, convert by table, report, write."""
