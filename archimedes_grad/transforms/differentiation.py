"""The public functions that make compiled functions: ``grad``, ``jac``, ``hess``, their products, ``compile``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from archimedes_grad.arguments.signature import CallSignature, name_of
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.derivatives.autodiff import (
    gradient_function,
    value_and_gradient_function,
    value_function,
)
from archimedes_grad.derivatives.representation import Transformation
from archimedes_grad.transforms.options import (
    require_control_flow,
    require_engine,
    require_method,
    require_name,
    require_options,
    require_plain_function,
    require_progress,
    require_sparse,
    require_truth,
)

Indices = int | Sequence[int]
Names = str | Sequence[str]


class _FirstArgument(int):
    """The default of ``argnums``: 0, and yet not the 0 that a caller gives beside ``argnames``."""


_FIRST_ARGUMENT = _FirstArgument(0)


def grad(
    func: Callable[..., Any] | None = None, argnums: Indices = _FIRST_ARGUMENT, name: str | None = None,
    static_argnums: Indices | None = None, static_argnames: Names | None = None, *, argnames: Names | None = None,
    has_aux: bool = False, method: str = "symbolic", engine: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Return the function that computes the gradient of a scalar function.

    The function is traced at the first call with each form of arguments (shapes, dtypes, tree structures,
    static values), differentiated by one reverse sweep, and compiled; further calls evaluate.

    Parameters
    ----------
    func
        A function of arrays, numbers and trees of these, written with NumPy, that returns one scalar. Left out,
        a decorator is returned: ``@arc.grad(argnums=1)``.
    argnums : int or sequence of int
        Which positional arguments to differentiate; negative ones count from the end. One int gives one
        gradient, a sequence a tuple.
    name
        ``__name__`` of the result; ``grad_`` and the function's name when left out.
    static_argnums, static_argnames
        Arguments that are passed to the function as they are; each new value is traced anew.
    argnames : str or sequence of str
        As argnums, by name; keyword-only arguments included.
    has_aux
        The function returns ``(output, aux)``, the result ``(gradient, aux)``.
    method
        ``"symbolic"``; ``"finite"``, ``"adaptive"`` or ``"complex"`` call the function at points and take the options
        of ``archimedes_grad.numeric``; ``"auto"`` is symbolic, and adaptive where tracing is impossible.
    engine
        ``"vm"``, CasADi's interpreter; ``"native"``, C compiled for the function; ``"auto"``, the first at once and
        the second where it proves worth it. None: what :func:`set_engine` says.
    **options
        ``control_flow`` and ``max_paths`` as in :func:`compile`; ``progress=True`` shows a bar (tqdm) where tracing,
        compiling or a numeric method take long; the options of a numeric ``method``.

    Returns
    -------
    CompiledFunction
        Called like ``func``. A gradient is float64, in the shape and tree structure of its argument; for a
        scalar, ``np.float64``. Leaves that are no numbers have gradient None.

    Raises
    ------
    ValueError
        Here: for argnums out of range, static, repeated or empty, an unknown method or option. At a call: when
        the output is not one scalar of shape ().
    TypeError
        At a call: for a differentiated argument that holds no real numbers, or an argument that is neither array,
        number nor tree.
    TraceError
        At a call: where the function asks a traced value for a plain number.

    Notes
    -----
    Reverse accumulation (Griewank and Walther, *Evaluating Derivatives*, 2nd ed., 2008, chapter 3): a gradient
    costs a small multiple of the function, whatever the number of arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> def f(x):
    ...     return np.sin(x**2)
    >>> bool(np.allclose(arc.grad(f)(1.0), 2.0 * np.cos(1.0)))
    True
    """
    return _transformed(
        grad, gradient_function, func, argnums, name, static_argnums, static_argnames, argnames, has_aux, method,
        engine, options,
    )  # fmt: skip


def value_and_grad(
    func: Callable[..., Any] | None = None, argnums: Indices = _FIRST_ARGUMENT, name: str | None = None,
    static_argnums: Indices | None = None, static_argnames: Names | None = None, *, argnames: Names | None = None,
    has_aux: bool = False, method: str = "symbolic", engine: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Return the function that computes value and gradient of a scalar function in one evaluation.

    Parameters and errors are those of :func:`grad`. The result is ``(value, gradient)``, with ``has_aux``
    ``((value, aux), gradient)``.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> value, gradient = arc.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    >>> float(value), gradient.tolist()
    (5.0, [2.0, 4.0])
    """
    return _transformed(
        value_and_grad, value_and_gradient_function, func, argnums, name, static_argnums, static_argnames, argnames,
        has_aux, method, engine, options,
    )  # fmt: skip


def jac(
    func: Callable[..., Any] | None = None, argnums: Indices = _FIRST_ARGUMENT, name: str | None = None,
    static_argnums: Indices | None = None, static_argnames: Names | None = None, *, argnames: Names | None = None,
    has_aux: bool = False, sparse: bool = False, method: str = "symbolic", engine: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Return the function that computes the Jacobian of a function of any output.

    Parameters are those of :func:`grad`; the output may be an array of any rank or a tree of these.

    Parameters
    ----------
    sparse
        Return a ``scipy.sparse.csc_array`` of shape (output.size, input.size), both flat in C order, for one
        array argument and an array output. The structure is found from the graph; cost goes by its colours.

    Returns
    -------
    CompiledFunction
        Gives arrays of shape ``output.shape + input.shape``; the output tree outside, the argument's inside.

    Raises
    ------
    ValueError
        At a call with ``sparse=True``: for trees or several arguments.
    ImportError
        For ``sparse=True`` without SciPy.

    Notes
    -----
    Forward or reverse sweeps, whichever takes fewer colours: Curtis, Powell and Reid, *J. Inst. Maths Applics*
    13 (1974) 117; Gebremedhin, Manne and Pothen, *SIAM Review* 47 (2005) 629.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> arc.jac(lambda x: x**2)(np.array([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    require_sparse("jac", sparse)
    from archimedes_grad.derivatives.jacobians import jacobian_function, sparse_jacobian_function

    return _transformed(
        jac, sparse_jacobian_function if sparse else jacobian_function, func, argnums, name, static_argnums,
        static_argnames, argnames, has_aux, method, engine, options, sparse=sparse,
    )  # fmt: skip


def hess(
    func: Callable[..., Any] | None = None, argnums: Indices = _FIRST_ARGUMENT, name: str | None = None,
    static_argnums: Indices | None = None, static_argnames: Names | None = None, *, argnames: Names | None = None,
    has_aux: bool = False, sparse: bool = False, method: str = "symbolic", engine: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Return the function that computes the Hessian of a scalar function.

    Parameters and errors are those of :func:`grad` and :func:`jac`.

    Returns
    -------
    CompiledFunction
        Gives an array of shape ``input.shape + input.shape``; for a tuple of argnums a nested tuple with the cross
        blocks; for trees the argument's tree outside and inside again. ``sparse=True``: a ``scipy.sparse.csc_array``
        of shape (input.size, input.size), coloured by its symmetric structure.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> arc.hess(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0])).tolist()
    [[4.0, 2.0], [2.0, 0.0]]
    """
    require_sparse("hess", sparse)
    from archimedes_grad.derivatives.jacobians import hessian_function, sparse_hessian_function

    return _transformed(
        hess, sparse_hessian_function if sparse else hessian_function, func, argnums, name, static_argnums,
        static_argnames, argnames, has_aux, method, engine, options, sparse=sparse,
    )  # fmt: skip


def jvp(
    func: Callable[..., Any] | None = None, argnums: Indices = _FIRST_ARGUMENT, name: str | None = None,
    static_argnums: Indices | None = None, static_argnames: Names | None = None, *, argnames: Names | None = None,
    has_aux: bool = False, method: str = "symbolic", engine: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Return the function ``(*args, v) -> J @ v``, by one forward sweep.

    Parameters are those of :func:`grad`. ``v`` is the last positional argument, shaped or structured like the chosen
    argument (a tuple for a tuple of argnums); the function's own arguments come before it or by keyword.

    Raises
    ------
    ValueError
        At a call: for a direction of another shape or structure.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> arc.jvp(lambda x: x**2)(np.array([1.0, 2.0]), np.array([1.0, 10.0])).tolist()
    [2.0, 40.0]
    """
    from archimedes_grad.derivatives.directional import jvp_function

    return _transformed(
        jvp, jvp_function, func, argnums, name, static_argnums, static_argnames, argnames, has_aux, method, engine,
        options, direction="v",
    )  # fmt: skip


def vjp(
    func: Callable[..., Any] | None = None, argnums: Indices = _FIRST_ARGUMENT, name: str | None = None,
    static_argnums: Indices | None = None, static_argnames: Names | None = None, *, argnames: Names | None = None,
    has_aux: bool = False, method: str = "symbolic", engine: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Return the function ``(*args, w) -> w @ J``, by one reverse sweep.

    Parameters are those of :func:`grad`. ``w`` is the last positional argument, shaped or structured like the output.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> arc.vjp(lambda x: x**2)(np.array([1.0, 2.0]), np.array([1.0, 10.0])).tolist()
    [2.0, 40.0]
    """
    from archimedes_grad.derivatives.directional import vjp_function

    return _transformed(
        vjp, vjp_function, func, argnums, name, static_argnums, static_argnames, argnames, has_aux, method, engine,
        options, direction="w",
    )  # fmt: skip


def hvp(
    func: Callable[..., Any] | None = None, argnums: Indices = _FIRST_ARGUMENT, name: str | None = None,
    static_argnums: Indices | None = None, static_argnames: Names | None = None, *, argnames: Names | None = None,
    has_aux: bool = False, method: str = "symbolic", engine: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Return the function ``(*args, v) -> H @ v`` of a scalar function; the Hessian is never formed.

    Parameters are those of :func:`grad`; ``v`` is as in :func:`jvp`.

    Notes
    -----
    One forward sweep over the gradient: Pearlmutter, *Neural Computation* 6 (1994) 147.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> arc.hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 1.0])).tolist()
    [6.0, 12.0]
    """
    from archimedes_grad.derivatives.directional import hvp_function

    return _transformed(
        hvp, hvp_function, func, argnums, name, static_argnums, static_argnames, argnames, has_aux, method, engine,
        options, direction="v",
    )  # fmt: skip


def _transformed(
    transform: Callable[..., Any], transformation: Transformation, func: Callable[..., Any] | None,
    argnums: Indices, name: str | None, static_argnums: Indices | None, static_argnames: Names | None,
    argnames: Names | None, has_aux: bool, method: str, engine: str | None, options: dict[str, Any],
    direction: str | None = None, **more: Any,
) -> Any:  # fmt: skip
    """Validate what the transforms have in common, and return the compiled function or the decorator."""
    require_method(transform.__name__, method)
    require_engine(transform.__name__, engine)
    require_name(transform.__name__, name)
    require_truth(transform.__name__, "has_aux", has_aux)
    recipe = {
        "name": name, "static_argnums": static_argnums, "static_argnames": static_argnames, "argnames": argnames,
        "has_aux": has_aux, "method": method, "engine": engine, **options, **more,
    }  # fmt: skip
    if argnums is not _FIRST_ARGUMENT:
        recipe["argnums"] = argnums
    if func is None:
        return lambda function: transform(function, **recipe)
    control_flow, max_paths = options.pop("control_flow", "paths"), options.pop("max_paths", 128)
    require_control_flow(transform.__name__, control_flow, max_paths)
    progress = options.get("progress", False)
    if method == "symbolic":
        options.pop("progress", None)
    require_progress(transform.__name__, progress)
    require_options(transform.__name__, method, options)
    require_plain_function(transform.__name__, func)
    by_name = argnames is not None and argnums is _FIRST_ARGUMENT
    signature = CallSignature(
        func, argnums=None if by_name else argnums, argnames=argnames, static_argnums=static_argnums,
        static_argnames=static_argnames, direction=direction,
    )  # fmt: skip
    name = name or f"{transform.__name__}_{name_of(func)}"
    alone = {key: option for key, option in recipe.items() if key not in options}
    compiled: CompiledFunction[..., Any] = CompiledFunction(
        func, signature, transformation, name, has_aux, control_flow == "structured", max_paths,
        (transform, func, {**alone, "method": "symbolic", "progress": progress}), progress, engine,
    )  # fmt: skip
    if method == "symbolic":
        return compiled
    from archimedes_grad.transforms.numeric_functions import AutomaticFunction, NumericFunction

    called = "adaptive" if method == "auto" else method
    numeric = NumericFunction(
        func, signature, transform.__name__, name, has_aux, called, options, more.get("sparse", False),
        (transform, func, {**recipe, "method": called}),
    )  # fmt: skip
    return AutomaticFunction(compiled, numeric, (transform, func, recipe)) if method == "auto" else numeric


def compile(
    func: Callable[..., Any] | None = None, *, static_argnums: Indices | None = None,
    static_argnames: Names | None = None, name: str | None = None, engine: str | None = None,
    control_flow: str = "paths", max_paths: int = 128, progress: bool = False,
) -> Any:  # fmt: skip
    """Return a function that computes the same, traced once and compiled.

    Parameters
    ----------
    func
        A function of arrays, numbers and trees of these, written with NumPy; it returns arrays, numbers or trees.
        Left out, a decorator is returned.
    static_argnums, static_argnames
        As in :func:`grad`.
    name
        ``__name__`` of the result; the function's own when left out.
    engine
        ``"vm"``, CasADi's interpreter; ``"native"``, C compiled for the function; ``"auto"``, the first at once and
        the second where it proves worth it. None: what :func:`set_engine` says.
    control_flow, max_paths
        How Python's branches on traced values are treated: ``"paths"`` or ``"structured"``, and how many paths
        are kept.
    progress
        Show a bar (tqdm) where tracing and compiling take longer than half a second.

    Returns
    -------
    CompiledFunction
        Called like ``func``; results keep NumPy's dtypes.

    Raises
    ------
    ValueError
        For an unknown engine or control flow, or static arguments that the function does not have.
    TraceError
        At a call: where the function asks a traced value for a plain number.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> @arc.compile
    ... def f(x):
    ...     return {"norm": np.sqrt(np.sum(x**2)), "doubled": 2 * x}
    >>> f(np.array([3.0, 4.0]))["doubled"].tolist()
    [6.0, 8.0]
    """
    require_engine("compile", engine)
    require_name("compile", name)
    require_control_flow("compile", control_flow, max_paths)
    require_progress("compile", progress)
    recipe: dict[str, Any] = {
        "static_argnums": static_argnums, "static_argnames": static_argnames, "name": name, "engine": engine,
        "control_flow": control_flow, "max_paths": max_paths, "progress": progress,
    }  # fmt: skip
    if func is None:
        return lambda function: compile(function, **recipe)
    require_plain_function("compile", func)
    signature = CallSignature(func, static_argnums=static_argnums, static_argnames=static_argnames)
    return CompiledFunction(
        func, signature, value_function, name or name_of(func), structured=control_flow == "structured",
        max_paths=max_paths, recipe=(compile, func, recipe), progress=bool(progress),
        engine=engine,
    )  # fmt: skip
