"""From a Clara Train MMAR (3.1 and older) to a MONAI bundle: read, convert by table, report, write."""
