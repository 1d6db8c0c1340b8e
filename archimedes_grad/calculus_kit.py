"""``CalculusKit``: gradients, Jacobians and higher derivatives of a function of many parameters."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from archimedes_grad import numeric
from archimedes_grad.arguments.signature import name_of, require_function
from archimedes_grad.derivative_kit import check_settings, presented, symbolic_or_none, transformed
from archimedes_grad.errors import asked_by
from archimedes_grad.numeric import DerivativeResult
from archimedes_grad.numeric.derivatives import parameter_vector
from archimedes_grad.numeric.functions import Output, check_output_shape
from archimedes_grad.numeric.input_cache import CachedFunction, LockedFunction

#: What DerivKit calls the options of the cache, and their defaults.
CACHE_OPTIONS = {
    "use_input_cache": False,
    "cache_number_decimal_places": None,
    "cache_maxsize": 4096,
    "cache_copy": True,
}


class CalculusKit:
    """Derivatives of a function at a point, by whatever method suits.

    Parameters
    ----------
    function : callable
        Maps a vector of shape (n,) to a scalar, or to a vector (`jacobian`).
    x0 : array_like of shape (n,)
        The point.
    thread_safe : bool
        Let one thread at a time call the function.
    thread_lock : lock, optional
        The lock to use for that; it implies `thread_safe`.

    Raises
    ------
    ValueError
        If `x0` is empty, not a vector or not finite.

    Notes
    -----
    All methods take ``method`` (None: symbolic where the function can be traced, else adaptive, without a
    warning), ``n_workers`` (threads; 1 starts none), ``executor`` (anything with the interface of
    ``concurrent.futures.Executor``, one parameter a task), ``progress`` (a tqdm bar), ``full_output`` (return a
    `DerivativeResult`), ``return_error`` (return value and error), ``vectorized`` (the function takes points of
    shape (k, n)), ``dk_init_kwargs`` (a dict of use_input_cache, cache_maxsize, cache_copy and
    cache_number_decimal_places) and the options of the method, see `DerivativeKit.differentiate`. They raise
    ValueError for an unknown method or option, TypeError for an output of the wrong kind, and FloatingPointError,
    naming the parameter, where a numeric method meets a result that is not finite. An exception of the function
    comes back with the parameter in a note.

    Examples
    --------
    >>> import numpy as np
    >>> from archimedes_grad.calculus_kit import CalculusKit
    >>> def func(theta):
    ...     return np.sin(theta[0]) + theta[1] ** 2
    >>> CalculusKit(func, x0=np.array([0.5, 2.0])).gradient()
    array([0.87758256, 4.        ])
    """

    def __init__(
        self,
        function: Callable[..., Any],
        x0: ArrayLike,
        thread_safe: bool = False,
        thread_lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        with asked_by("CalculusKit"):
            require_function("function", function)
            self.x0 = parameter_vector(x0)
            if thread_lock is not None and not hasattr(thread_lock, "__enter__"):
                raise TypeError(
                    f"thread_lock must be a lock, not {type(thread_lock).__name__} {thread_lock!r}. Leave it out and "
                    f"say thread_safe=True for one of its own"
                )
        self.function = function
        self._called: Callable[..., Any] = function
        if thread_safe or thread_lock is not None:
            self._called = LockedFunction(function, thread_lock)

    def gradient(
        self,
        method: str | None = None,
        n_workers: int = 1,
        executor: Executor | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Any:
        """Gradient of a scalar function, shape (n,).

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> kit = arc.CalculusKit(lambda x: np.sum(x**3), np.array([1.0, 2.0]))
        >>> kit.gradient(method="adaptive").round(6)
        array([ 3., 12.])
        """
        run = {"n_workers": n_workers, "executor": executor, "progress": progress}
        return self._run(numeric.gradient, self._symbolic_gradient, method, run, options)

    def jacobian(
        self,
        method: str | None = None,
        n_workers: int = 1,
        executor: Executor | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Any:
        """Jacobian of a vector function, shape (m, n); the outputs share all evaluations.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> arc.CalculusKit(lambda x: x**2, np.array([1.0, 2.0])).jacobian()
        array([[2., 0.],
               [0., 4.]])
        """
        run = {"n_workers": n_workers, "executor": executor, "progress": progress}
        return self._run(numeric.jacobian, self._symbolic_jacobian, method, run, options)

    def hessian(
        self,
        method: str | None = None,
        n_workers: int = 1,
        executor: Executor | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Any:
        """Second derivatives: shape (n, n), after the axes of the output if it has any.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> arc.CalculusKit(lambda x: np.sum(x**3), np.array([1.0, 2.0])).hessian()
        array([[ 6.,  0.],
               [ 0., 12.]])
        """
        run = {"n_workers": n_workers, "executor": executor, "progress": progress}
        return self._run(numeric.hessian, lambda: self._symbolic_tensor(2), method, run, options)

    def hessian_diag(
        self,
        method: str | None = None,
        n_workers: int = 1,
        executor: Executor | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Any:
        """The diagonal of the Hessian of a scalar function, shape (n,).

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> kit = arc.CalculusKit(lambda x: np.sum(x**3), np.array([1.0, 2.0]))
        >>> kit.hessian_diag(method="finite").round(6)
        array([ 6., 12.])
        """
        run = {"n_workers": n_workers, "executor": executor, "progress": progress}
        return self._run(numeric.hessian_diag, self._symbolic_diagonal, method, run, options)

    def hyper_hessian(
        self,
        method: str | None = None,
        n_workers: int = 1,
        executor: Executor | None = None,
        progress: bool = False,
        order: int = 3,
        **options: Any,
    ) -> Any:
        """All derivatives of one order, 1 to 4: shape (n,) * order, after the axes of the output if it has any.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> kit = arc.CalculusKit(lambda x: np.sum(x**3), np.array([1.0, 2.0]))
        >>> kit.hyper_hessian(order=3)[0, 0, 0]
        np.float64(6.0)
        """
        run = {"n_workers": n_workers, "executor": executor, "progress": progress, "order": order}
        return self._run(numeric.hyper_hessian, lambda: self._symbolic_tensor(order), method, run, options)

    def _run(
        self,
        driver: Callable[..., DerivativeResult],
        symbolic: Callable[[], Any],
        method: str | None,
        run: dict[str, Any],
        options: dict[str, Any],
    ) -> Any:
        options = dict(options)
        full_output = bool(options.pop("full_output", False))
        with asked_by("CalculusKit"):
            check_settings(method, run, options)
        wanted = {"return_error": bool(options.get("return_error")), "diagnostics": bool(options.get("diagnostics"))}
        function = self._cached(options.pop("dk_init_kwargs", None) or {})
        if full_output:
            options["return_error"] = True
        result = symbolic_or_none(method, symbolic) if method in (None, "symbolic") else None
        if result is None:
            result = driver(function, self.x0, method=method or "adaptive", **run, **options)
        return presented(result, full_output=full_output, **wanted)

    def _cached(self, given: dict[str, Any]) -> Callable[..., Any]:
        if not isinstance(given, dict):
            raise TypeError(
                f"CalculusKit: dk_init_kwargs must be a dict, got {type(given).__name__} {given!r}. Its entries are "
                f"{', '.join(CACHE_OPTIONS)}."
            )
        unknown = [name for name in given if name not in CACHE_OPTIONS]
        if unknown:
            raise ValueError(
                f"CalculusKit: unknown entry {unknown[0]!r} of dk_init_kwargs; valid: {', '.join(CACHE_OPTIONS)}. "
                f"Options of the method are given as they are."
            )
        settings: dict[str, Any] = {**CACHE_OPTIONS, **given}
        if not settings["use_input_cache"]:
            return self._called
        with asked_by("CalculusKit"):
            return CachedFunction(
                self._called,
                settings["cache_maxsize"],
                settings["cache_copy"],
                settings["cache_number_decimal_places"],
            )

    def _output_shape(self, output: Output) -> tuple[int, ...]:
        shape: tuple[int, ...] = np.shape(self._called(self.x0.copy()))
        check_output_shape(shape, output, name_of(self.function))
        return shape

    def _symbolic_gradient(self) -> Any:
        self._output_shape("scalar")
        return self._transformed("grad")

    def _symbolic_jacobian(self) -> Any:
        self._output_shape("vector")
        return self._transformed("jac")

    def _symbolic_diagonal(self) -> Any:
        self._output_shape("scalar")
        return np.diagonal(self._transformed("grad", "jac")).copy()

    def _symbolic_tensor(self, order: int) -> Any:
        """Derivatives of one order by nesting Jacobians."""
        first = "jac" if self._output_shape("any") else "grad"
        return self._transformed(first, *["jac"] * (order - 1))

    def _transformed(self, *names: str) -> Any:
        return transformed(self.function, *names)(self.x0.copy())
