"""Weights that follow from a seed: TensorFlow's side and the tests make the same ones."""

import numpy as np


def seeded(shapes, seed):
    """Return float32 weights by name; a tensor's values follow from its place in the sorted names."""
    found = {}
    for index, name in enumerate(sorted(shapes)):
        values = np.random.RandomState(seed + index).standard_normal(shapes[name]).astype(np.float32)
        leaf = name.rpartition("/")[2]
        fan = max(int(np.prod(shapes[name][:-1])), 1)
        scaled = {"gamma": 1 + 0.1 * values, "moving_variance": 1 + values**2, "kernel": values * np.sqrt(2.0 / fan)}
        found[name] = np.asarray(scaled.get(leaf, 0.1 * values), np.float32)
    return found
