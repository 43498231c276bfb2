"""What counting costs, as a multiple of reading the data once: ``python -m benchmarks.run``."""
