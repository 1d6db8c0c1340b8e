"""Gradients written by hand in C++ (yardsticks/*.cpp), compiled when first called, and called through ctypes.

Vector forms of exp, and sums in several accumulators where the source asks for them; no -ffast-math otherwise.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OPTIONS = ("-O3", "-march=native", "-fno-math-errno", "-fopenmp-simd")
SOURCES = Path(__file__).parent / "yardsticks"

Yardstick = Callable[..., Any]


def has_compiler() -> bool:
    return shutil.which("g++") is not None


@functools.cache
def library(source: str) -> ctypes.CDLL:
    """Return a source file of yardsticks/ compiled and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "yardstick.so"
        command = ["g++", *OPTIONS, "-shared", "-fPIC", "-o", str(target), str(SOURCES / source), "-lmvec", "-lm"]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(target))


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.__array_interface__["data"][0])


def rosenbrock(x):
    gradient = np.empty_like(x)
    library("derivatives.cpp").rosenbrock(len(x), pointer(x), pointer(gradient))
    return gradient


def exp_sin(x):
    gradient = np.empty_like(x)
    library("derivatives.cpp").exp_sin(len(x), pointer(x), pointer(gradient))
    return gradient


def logsumexp(x):
    gradient = np.empty_like(x)
    library("derivatives.cpp").logsumexp(len(x), pointer(x), pointer(gradient))
    return gradient


def least_squares(coefficients, n):
    gradient = np.empty_like(coefficients)
    library("derivatives.cpp").least_squares(n, len(coefficients), pointer(coefficients), pointer(gradient))
    return gradient


def k_means(centroids, points):
    gradient = np.empty_like(centroids)
    k, d = centroids.shape
    library("derivatives.cpp").k_means(len(points), k, d, pointer(centroids), pointer(points), pointer(gradient))
    return gradient


def gaussian_mixture(alphas, means, icf, points, gamma, m):
    gradients = np.empty_like(alphas), np.empty_like(means), np.empty_like(icf)
    k, d = means.shape
    inputs = (pointer(array) for array in (alphas, means, icf, points))
    outputs = (pointer(array) for array in gradients)
    library("derivatives.cpp").gaussian_mixture(len(points), d, k, *inputs, ctypes.c_double(gamma), m, *outputs)
    return gradients


def lstm(main, extra, state, sequence):
    gradients = np.empty_like(main), np.empty_like(extra)
    layers, steps, width = len(main) // 2, len(sequence) - 1, sequence.shape[1]
    arrays = (pointer(array) for array in (main, extra, state, sequence, *gradients))
    library("lstm.cpp").lstm_gradient(layers, width, steps, *arrays)
    return gradients


#: By the name of the problem.
YARDSTICKS: dict[str, Yardstick] = {
    "rosenbrock": rosenbrock,
    "rosenbrock loop": rosenbrock,
    "exp sin": exp_sin,
    "logsumexp": logsumexp,
    "llsq": least_squares,
    "k-means": k_means,
    "gmm": gaussian_mixture,
    "lstm": lstm,
}
