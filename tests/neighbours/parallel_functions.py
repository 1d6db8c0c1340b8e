"""What workers import by name."""

import numpy as np

import archimedes_grad as arc


@arc.value_and_grad
def distance(x, centre):
    return np.sqrt(np.sum((x - centre) ** 2) + 1.0)
