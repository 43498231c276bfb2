"""Clara Train's auxiliary operations as in-training metrics for MONAI, and the way from an MMAR to a MONAI bundle."""

__version__ = "0.1.0"
