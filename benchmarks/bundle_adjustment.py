"""Bundle adjustment: the sparse Jacobian beside a C++ derivative written by hand, and beside CasADi's own ways.

python -m pip install ".[benchmark]" && python benchmarks/bundle_adjustment.py   (g++ is needed)

31,843 observations of 7,776 points by 49 cameras, all random; unknowns are the cameras (rotation vector, centre, focal
length, principal point, two coefficients of radial distortion), the points and a weight for each observation. The
residuals are those of ADBench and GradBench.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from timing import Targets, compared, save

import archimedes_grad as arc

CAMERAS, POINTS, OBSERVATIONS = 49, 7_776, 31_843


@dataclass(frozen=True, eq=False)
class Scene:
    """Who sees what, and where: the data of a bundle adjustment."""

    n_cameras: int
    n_points: int
    camera_of: np.ndarray
    point_of: np.ndarray
    features: np.ndarray

    def unknowns(self, x):
        """Return cameras (n, 11), points (m, 3) and weights (p,) of the vector of all unknowns."""
        cameras, points = 11 * self.n_cameras, 3 * self.n_points
        return (
            x[:cameras].reshape(self.n_cameras, 11),
            x[cameras : cameras + points].reshape(self.n_points, 3),
            x[cameras + points :],
        )


def random_scene(n_cameras: int, n_points: int, n_observations: int) -> tuple[Scene, np.ndarray]:
    """Return a scene, and unknowns for it."""
    rng = np.random.default_rng([n_cameras, n_points, n_observations])
    scene = Scene(
        n_cameras, n_points, rng.integers(0, n_cameras, n_observations), rng.integers(0, n_points, n_observations),
        rng.normal(size=(n_observations, 2)),
    )  # fmt: skip
    return scene, rng.normal(size=11 * n_cameras + 3 * n_points + n_observations)


def residual(camera, point, weight, feature):
    """The weighted distance of one observation from where its camera would see the point."""
    r = camera[:3]
    angle = np.sqrt(np.sum(r**2))
    axis = r / angle
    d = point - camera[3:6]
    y = d * np.cos(angle) + np.cross(axis, d) * np.sin(angle) + axis * (np.sum(axis * d) * (1 - np.cos(angle)))
    q = y[:2] / y[2]
    s = np.sum(q**2)
    return weight * (camera[6] * (1 + camera[9] * s + camera[10] * s**2) * q + camera[7:9] - feature)


def mapped(x, scene):
    """All residuals: that of one observation, mapped."""
    cameras, points, weights = scene.unknowns(x)
    errors = arc.vmap(residual)(cameras[scene.camera_of], points[scene.point_of], weights, scene.features)
    return np.concatenate([errors.ravel(), 1 - weights**2])


def vectorised(x, scene):
    """All residuals, written with whole arrays."""
    cameras, points, weights = scene.unknowns(x)
    cameras, points = cameras[scene.camera_of], points[scene.point_of]
    r = cameras[:, :3]
    angle = np.sqrt(np.sum(r**2, axis=1, keepdims=True))
    axis = r / angle
    d = points - cameras[:, 3:6]
    along = np.sum(axis * d, axis=1, keepdims=True)
    y = d * np.cos(angle) + np.cross(axis, d) * np.sin(angle) + axis * (along * (1 - np.cos(angle)))
    q = y[:, :2] / y[:, 2:]
    s = np.sum(q**2, axis=1, keepdims=True)
    radial = 1 + cameras[:, 9:10] * s + cameras[:, 10:11] * s**2
    errors = weights[:, None] * (cameras[:, 6:7] * radial * q + cameras[:, 7:9] - scene.features)
    return np.concatenate([errors.ravel(), 1 - weights**2])


class ByHand:
    """The derivative of bundle_adjustment.cpp, compiled and called on NumPy arrays."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        library = folder / "bundle_adjustment.so"
        source = Path(__file__).with_suffix(".cpp")
        flags = ["-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
        self.function = ctypes.CDLL(str(library)).jacobian
        self.scene = scene
        p = scene.features.shape[0]
        self.values = np.empty(31 * p)
        of_cameras = (11 * scene.camera_of)[:, None] + np.arange(11)
        of_points = 11 * scene.n_cameras + (3 * scene.point_of)[:, None] + np.arange(3)
        of_weights = (11 * scene.n_cameras + 3 * scene.n_points + np.arange(p))[:, None]
        row = np.hstack([of_cameras, of_points, of_weights])
        self.columns = np.concatenate([np.hstack([row, row]).ravel(), of_weights.ravel()])
        self.pointers = np.concatenate([15 * np.arange(2 * p), 30 * p + np.arange(p + 1)])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the values of the Jacobian by rows; its structure stays the same."""
        scene = self.scene
        cameras, points, weights = scene.unknowns(x)
        arrays = (cameras, points, weights, scene.features, scene.camera_of, scene.point_of, self.values)
        self.function(ctypes.c_int64(len(weights)), *(ctypes.c_void_p(array.ctypes.data) for array in arrays))
        return self.values

    def matrix(self, x: np.ndarray) -> csr_array:
        return csr_array((self(x).copy(), self.columns, self.pointers), shape=(3 * len(self.scene.features), x.size))


def casadi_mapped(scene: Scene) -> Callable[[np.ndarray], Any]:
    """Return what one writes in CasADi: the Jacobian of one observation, mapped; the gathers by NumPy."""
    import casadi as cs

    one = arc.compile(residual).to_casadi(np.ones(11), np.ones(3), 1.0, np.ones(2))
    v = cs.SX.sym("v", 15)
    feature = cs.SX.sym("feature", 2)
    error = one.expand()(v[:11], v[11:14], v[14], feature)
    p = scene.features.shape[0]
    jacobian = cs.Function("jacobian", [v, feature], [cs.densify(cs.jacobian(error, v))]).map(p)
    buffer, evaluate = jacobian.buffer()
    taken, values, features = np.empty((p, 15)), np.empty(30 * p), scene.features.copy()
    buffer.set_arg(0, memoryview(taken.reshape(-1)))
    buffer.set_arg(1, memoryview(features.reshape(-1)))
    buffer.set_res(0, memoryview(values))
    keep = (buffer, jacobian)

    def call(x: np.ndarray) -> np.ndarray:
        assert keep
        cameras, points, weights = scene.unknowns(x)
        taken[:, :11], taken[:, 11:14] = cameras[scene.camera_of], points[scene.point_of]
        taken[:, 14] = weights
        evaluate()
        return values

    return call


def main() -> None:
    targets = Targets()
    scene, x = random_scene(CAMERAS, POINTS, OBSERVATIONS)
    times: dict[str, float] = {}
    calls: dict[str, Callable[[], Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        by_hand = ByHand(scene, Path(folder))
        expected = by_hand.matrix(x)
        calls["C++ by hand"] = lambda: by_hand(x)
        own_map = casadi_mapped(scene)
        calls["CasADi per observation and mapped"] = lambda: own_map(x)
        for function in (mapped, vectorised):
            name = function.__name__
            jacobian = arc.jac(function, static_argnames="scene", sparse=True)
            start = time.perf_counter()
            found = jacobian(x, scene)
            times[f"{name}: first call, traced and built"] = time.perf_counter() - start
            for step, seconds in jacobian.explain(x, scene).seconds.items():
                times[f"{name}: {step}"] = seconds
            difference = abs(found - expected).max() / abs(expected).max()
            assert difference < 1e-12, (name, difference)
            calls[name] = lambda jacobian=jacobian: jacobian(x, scene)
        times |= compared(calls)
    for name, seconds in times.items():
        print(f"{name:50s} {1e3 * seconds:10.2f} ms  {seconds / times['C++ by hand']:8.2f}")
    for name in ("mapped", "vectorised"):
        targets.check(f"{name}: sparse Jacobian against C++ by hand", times[name] / times["C++ by hand"], 7.0)
        targets.check(f"{name}: seconds to build it", times[f"{name}: differentiate"] + times[f"{name}: compile"], 1.0)
    targets.show()
    save("bundle_adjustment", {"seconds": times, "targets": targets.rows})


if __name__ == "__main__":
    main()
