"""Building blocks of an aux-op: the context of one iteration, running means, and agreement between ranks."""
