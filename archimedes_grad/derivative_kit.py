"""``DerivativeKit``: derivatives of a function of one number, or of a table."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archimedes_grad.arguments.signature import require_function
from archimedes_grad.errors import TraceError, asked_by
from archimedes_grad.numeric import OPTIONS, DerivativeResult, derivative, validate_options
from archimedes_grad.numeric.derivatives import parameter_vector
from archimedes_grad.numeric.executors import check_workers
from archimedes_grad.numeric.input_cache import CachedFunction
from archimedes_grad.numeric.pictures import plot_derivative
from archimedes_grad.numeric.results import worst_status
from archimedes_grad.numeric.table import TabulatedFunction

METHODS = (None, "symbolic", *OPTIONS)

#: What says how a result is returned; a symbolic derivative takes these alone.
PRESENTATION_OPTIONS = ("return_error", "diagnostics")

#: What says how a numeric method is run, beside its own options.
RUN_OPTIONS = ("vectorized", "dk_init_kwargs")


class DerivativeKit:
    """Derivatives of a function of one number at one point, or at many.

    Parameters
    ----------
    function : callable, optional
        Maps a float to a float or an array.
    x0 : float or array_like
        The point, or an array of points.
    tab_x, tab_y : array_like, optional
        A table of shape (n,) and (n, ...) to differentiate instead of a function, by a cubic spline. The claimed
        error then includes what the derivative, there and half an interval beside, changes when every second point is
        left out.
    use_input_cache : bool
        Whether to remember the function's values between calls of `differentiate`. Off by default: the methods
        reuse their points by themselves, and a function that is not pure must not be remembered.
    cache_number_decimal_places : int, optional
        Arguments equal after rounding to so many places share a value.
    cache_maxsize : int or None
        How many values to keep.
    cache_copy : bool
        Whether arrays are copied out of the cache.

    Raises
    ------
    ValueError
        For an empty `x0`; if both or neither of a function and a table are given; for a table that is not one.

    Examples
    --------
    >>> import numpy as np
    >>> from archimedes_grad.derivative_kit import DerivativeKit
    >>> kit = DerivativeKit(np.cos, x0=1.0)
    >>> bool(abs(kit.differentiate(method="adaptive") + np.sin(1.0)) < 1e-12)
    True
    """

    def __init__(
        self,
        function: Callable[..., Any] | None = None,
        x0: ArrayLike | None = None,
        *,
        tab_x: ArrayLike | None = None,
        tab_y: ArrayLike | None = None,
        use_input_cache: bool = False,
        cache_number_decimal_places: int | None = None,
        cache_maxsize: int | None = 4096,
        cache_copy: bool = True,
    ) -> None:
        with asked_by("DerivativeKit"):
            self.table = _table_of(function, tab_x, tab_y)
            self.traceable = function
            self.function: Callable[..., Any] = self._table() if function is None else function
            require_function("function", self.function)
            if use_input_cache:
                self.function = CachedFunction(self.function, cache_maxsize, cache_copy, cache_number_decimal_places)
            if x0 is None:
                raise ValueError("x0 is missing: a point, or an array of points, was expected. Give x0=1.0, say")
            self.x0 = parameter_vector(np.ravel(np.asarray(x0))).reshape(np.shape(x0))

    def _table(self) -> TabulatedFunction:
        if self.table is None:
            raise ValueError("function is missing: give a function, or a table as tab_x and tab_y")
        return self.table

    def differentiate(
        self,
        *,
        method: str | None = None,
        order: int = 1,
        n_workers: int = 1,
        executor: Executor | None = None,
        vectorized: bool = False,
        full_output: bool = False,
        **options: Any,
    ) -> Any:
        """The derivative.

        Parameters
        ----------
        method : {None, "symbolic", "finite", "adaptive", "complex"}
            None: symbolic where the function can be traced, else adaptive.
        order : int
            1 to 4.
        n_workers : int
            Threads that evaluate the points of one step; 1 starts none.
        executor : concurrent.futures.Executor, optional
            Where to evaluate them instead.
        vectorized : bool
            Whether the function takes an array of points in one call.
        full_output : bool
            Return a `DerivativeResult`.
        **options
            Of ``finite``: stepsize, num_points, extrapolation, levels, return_error. Of ``adaptive``: n_points,
            spacing, base_abs, domain, grid, ridge, return_error, diagnostics. Without n_points, spacing, base_abs, grid
            or ridge, ``adaptive`` looks for its own steps. ``return_error=True`` returns ``(value, error)``, and
            ``diagnostics=True`` adds a dict of samples to what is returned.

        Returns
        -------
        float64 or ndarray
            Shape of `x0`, then of the function's output.

        Raises
        ------
        ValueError
            For an unknown method or option.
        FloatingPointError
            If a numeric derivative is not finite.
        TypeError
            If the function's output is complex or not numeric.

        Warns
        -----
        RuntimeWarning
            If no claim can be made about a numeric derivative, as at a kink.

        Examples
        --------
        >>> import numpy as np
        >>> from archimedes_grad.derivative_kit import DerivativeKit
        >>> kit = DerivativeKit(lambda x: x**3, x0=[1.0, 2.0])
        >>> kit.differentiate(method="finite", order=2).round(6)
        array([ 6., 12.])
        """
        with asked_by("DerivativeKit.differentiate"):
            check_settings(method, {"n_workers": n_workers, "executor": executor, "order": order}, options)
        run = {"n_workers": n_workers, "executor": executor, "vectorized": vectorized}
        wanted = {"return_error": bool(options.get("return_error")), "diagnostics": bool(options.get("diagnostics"))}
        if full_output:
            options = {**options, "return_error": True}
        results = [self._at(float(point), method, order, run, options) for point in self.x0.ravel()]
        result = results[0] if self.x0.ndim == 0 else _stacked(results, self.x0)
        return presented(result, full_output=full_output, **wanted)

    def _at(
        self, point: float, method: str | None, order: int, run: dict[str, Any], options: dict[str, Any]
    ) -> DerivativeResult:
        if self.table is not None:
            return self._of_table(self.table, point, method, order, run, options)
        if method in (None, "symbolic"):
            found = symbolic_or_none(method, lambda: self._symbolic(point, order))
            if found is not None:
                return found
        return derivative(self.function, point, method=method or "adaptive", order=order, **run, **options)

    def _symbolic(self, point: float, order: int) -> Any:
        assert self.traceable is not None
        transform = "jac" if np.shape(self.traceable(point)) else "grad"
        return transformed(self.traceable, *[transform] * order)(point)

    def _of_table(
        self,
        table: TabulatedFunction,
        point: float,
        method: str | None,
        order: int,
        run: dict[str, Any],
        options: dict[str, Any],
    ) -> DerivativeResult:
        """The derivative of the spline, with the error of the spline."""
        if method in ("symbolic", "complex"):
            raise ValueError(
                f"DerivativeKit.differentiate: method {method!r} needs a function, and a table came. A table takes "
                f"'adaptive' or 'finite'."
            )
        if not table.x[0] <= point <= table.x[-1]:
            raise ValueError(
                f"DerivativeKit.differentiate: x0 = {point:g} is outside the table; a point in [{table.x[0]:g}, "
                f"{table.x[-1]:g}] was expected. Splines do not extrapolate: tabulate further."
            )
        settings = {"method": method or "adaptive", "order": order, **options}
        fine = derivative(self.function, point, **run, **settings)
        coarser = table.coarser()
        if not coarser:
            few = f"{len(table.x)} points leave nothing to judge a spline by: at least 6 were expected"
            unknown = np.full(np.shape(fine.value), np.inf)
            return replace(fine, error=unknown, status="failed", success=False, message=few)
        # The distance of two splines changes its sign here and there: one place alone may have none.
        change = np.max([
            np.abs(derivative(table, place, **settings).value - derivative(spline, place, **settings).value)
            for place in table.around(point)
            for spline in coarser
        ], axis=0)  # fmt: skip
        return replace(fine, error=fine.error + change)

    def plot(self, order: int = 1, **options: Any) -> Any:
        """A figure of the samples with the fit, the residual and the extrapolations of ``adaptive``.

        Parameters
        ----------
        order : int
            Order of the derivative.
        **options
            Options of ``adaptive``.

        Returns
        -------
        matplotlib.figure.Figure
            Save it with ``figure.savefig("derivative.png")``; notebooks display it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `x0` is an array of points.
        TypeError
            If the function does not return a scalar.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> figure = arc.DerivativeKit(np.sin, 1.0).plot()
        >>> len(figure.axes) > 0
        True
        """
        if self.x0.ndim:
            raise ValueError(
                f"DerivativeKit.plot: x0 has shape {self.x0.shape}, and one point was expected. Make a kit for each "
                f"point."
            )
        return plot_derivative(self.function, float(self.x0), order, **options)


def check_settings(method: str | None, run: dict[str, Any], options: dict[str, Any]) -> None:
    """Refuse what no method takes, whichever will be used.

    Raises
    ------
    ValueError
        For an unknown method or option, a value that is not allowed, or a number of workers or order that is none.
    TypeError
        For an executor that is none.
    """
    if method not in METHODS:
        raise ValueError(
            f"unknown method {method!r}; valid methods: {', '.join(map(repr, METHODS))}. Leave it out for the "
            f"library's choice"
        )
    check_workers(run["n_workers"], run["executor"])
    if method == "symbolic":
        unknown = [name for name in options if name not in PRESENTATION_OPTIONS]
        if unknown:
            raise ValueError(
                f"unknown option {unknown[0]!r} of method 'symbolic'; valid options: "
                f"{', '.join(PRESENTATION_OPTIONS)}. Steps are options of a numeric method: method='adaptive'"
            )
    numeric = {name: option for name, option in options.items() if name not in RUN_OPTIONS}
    validate_options("adaptive" if method in (None, "symbolic") else method, numeric, run.get("order", 1))


def presented(result: DerivativeResult, *, full_output: bool, return_error: bool, diagnostics: bool = False) -> Any:
    """What the caller asked to be returned: the value, with its error and samples, or the whole result."""
    if full_output:
        return result
    value = result.value if result.method == "symbolic" else result.checked()
    extras = [result.error] * return_error + [result.details] * diagnostics
    return (value, *extras) if extras else value


def symbolic_or_none(method: str | None, compute: Callable[[], Any]) -> DerivativeResult | None:
    """The symbolic result; None where `method` leaves the choice and the function cannot be traced."""
    try:
        return exact(compute())
    except TraceError:
        if method == "symbolic":
            raise
        return None


def transformed(function: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """A function transformed by ``grad`` or ``jac``, one after the other."""
    # Here, not above: who differentiates numerically does not wait for the transforms.
    from archimedes_grad.transforms import differentiation

    for name in names:
        function = getattr(differentiation, name)(function)
    return function


def exact(value: Any) -> DerivativeResult:
    """A symbolic derivative as a result: no error is estimated, and none but rounding is made."""
    array = np.asarray(value, dtype=np.float64)
    shown: NDArray[np.float64] | np.float64 = array if array.shape else np.float64(array)
    message = "symbolic: the function was traced and differentiated"
    return DerivativeResult(shown, shown * np.nan, 1, np.zeros(array.shape), "symbolic", "exact", True, message)


def _table_of(
    function: Callable[..., Any] | None, tab_x: ArrayLike | None, tab_y: ArrayLike | None
) -> TabulatedFunction | None:
    if function is not None and (tab_x is not None or tab_y is not None):
        raise ValueError(
            "function and tab_x, tab_y came, and one of them was expected: give a function or a table, not both"
        )
    if (tab_x is None) != (tab_y is None):
        missing = "tab_x" if tab_x is None else "tab_y"
        raise ValueError(f"{missing} is missing: a table needs both tab_x and tab_y. Give the values at the points")
    return None if tab_x is None or tab_y is None else TabulatedFunction(tab_x, tab_y)


def _stacked(results: list[DerivativeResult], x0: NDArray[np.float64]) -> DerivativeResult:
    """One result for an array of points, whose axes come first."""

    def stack(entries: list[Any]) -> NDArray[np.float64]:
        array = np.array(entries, dtype=np.float64)
        return array.reshape(x0.shape + array.shape[1:])

    status = worst_status([r.status for r in results])
    message = next(r.message for r in results if r.status == status)
    return DerivativeResult(
        stack([r.value for r in results]),
        stack([r.error for r in results]),
        sum(r.n_evaluations for r in results),
        stack([r.steps for r in results]),
        results[0].method,
        status,
        all(r.success for r in results),
        message,
        {f"x0[{index}]": r.details for index, r in enumerate(results)} if results[0].details else {},
    )
