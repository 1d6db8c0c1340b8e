"""NumPy in extended precision, factorisations and scipy.special included, and differences of order eight."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as scipy_special

LONG = np.longdouble

#: Central differences over the offsets 1 to 4, of orders 8 and 6: weights of the first derivative, and of the second.
_FIRST = np.array([[4 / LONG(5), -1 / LONG(5), 4 / LONG(105), -1 / LONG(280)],
                   [3 / LONG(4), -3 / LONG(20), 1 / LONG(60), LONG(0)]])  # fmt: skip
_SECOND = np.array([[8 / LONG(5), -1 / LONG(5), 8 / LONG(315), -1 / LONG(560)],
                    [3 / LONG(2), -3 / LONG(20), 1 / LONG(90), LONG(0)]])  # fmt: skip
_STEP = LONG(2) ** -9

#: Two orders of differences that disagree by more than this share mean a kink, a jump or a pole within reach.
UNSURE_FIRST, UNSURE_SECOND, UNSURE_KINK = 1e-10, 1e-6, 1e-3


#: What NumPy raises of a program at a point that it was not built for.
ERRORS = (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError, NameError, np.linalg.LinAlgError)


class Unsure(Exception):
    """The reference does not know: a kink, a jump or a pole lies within the stencil."""


class Effort:
    """What is left of the evaluations that a program may take: those of differences of differences are very many."""

    left = 0.0

    @classmethod
    def begin(cls, evaluations: float) -> None:
        """Give so many."""
        cls.left = evaluations

    @classmethod
    def spend(cls, evaluations: float) -> None:
        """Take some; raise Unsure where none is left."""
        if cls.left <= 0:
            raise Unsure
        cls.left -= evaluations


#: What an entry by mpmath takes, in evaluations of a program.
_OF_ONE_ENTRY = 5.0


@dataclass(frozen=True)
class Differences:
    """An output of a function along a direction.

    Attributes
    ----------
    value, first, second
        Value, first and second derivative, in extended precision; no derivatives where ``steady`` is not set.
    first_is_sure, second_is_sure
        Whether differences of orders six and eight agree.
    steady
        Whether the function gives finite numbers of one shape within the stencil.
    """

    value: Any
    first: Any = None
    second: Any = None
    first_is_sure: bool = False
    second_is_sure: bool = False
    steady: bool = False


def differences(along: Callable[[Any], Sequence[Any]], centre: Sequence[Any] | None = None) -> list[Differences]:
    """Return value and derivatives at 0 of the outputs of a function of one number of extended precision.

    The outputs at 0 may be given.
    """
    if centre is None:
        centre = along(LONG(0))
    try:
        right = [along(k * _STEP) for k in range(1, 5)]
        left = [along(-k * _STEP) for k in range(1, 5)]
    except ERRORS:
        return [Differences(np.asarray(x)) for x in centre]
    if any(len(outputs) != len(centre) for outputs in (*right, *left)):
        return [Differences(np.asarray(x)) for x in centre]
    return [_differences(*map(np.asarray, samples)) for samples in zip(centre, *right, *left, strict=True)]


def _differences(centre: Any, *around: Any) -> Differences:
    if any(x.shape != centre.shape for x in around):
        return Differences(centre)
    if centre.dtype.kind != "f":
        same = all(np.array_equal(x, centre) for x in around)
        zero = np.zeros(centre.shape, LONG)
        return Differences(centre, zero, zero, same, same, same)
    samples = np.array((centre, *around)).reshape(9, -1)
    if not np.isfinite(samples).all():
        return Differences(centre)
    # Differences before weights: those of a constant are 0, not nearly so.
    middle, right, left = samples[0], samples[1:5], samples[5:]
    first_8, first_6 = (_FIRST @ (right - left) / _STEP).reshape(2, *centre.shape)
    second_8, second_6 = (_SECOND @ (right - middle + (left - middle)) / _STEP**2).reshape(2, *centre.shape)
    # A kink at the very point shows in the second differences only: they grow as 1 / step.
    first_is_sure = _agree(first_8, first_6, UNSURE_FIRST) and _agree(second_8, second_6, UNSURE_KINK)
    return Differences(centre, first_8, second_8, first_is_sure, _agree(second_8, second_6, UNSURE_SECOND), True)


def _agree(best: Any, other: Any, share: float) -> bool:
    scale = np.abs(best).max(initial=1.0)
    return bool((np.abs(best - other) <= share * scale).all())


# --- NumPy in extended precision --------------------------------------------------------------------


def _eliminated(a: Any, b: Any) -> tuple[Any, Any]:
    """Return the solution of a x = b, by elimination with the largest pivot, and the determinant of a."""
    kind = np.result_type(a, b, LONG)
    a, b = np.array(a, kind), np.array(b, kind)
    n, determinant = len(a), LONG(1)
    for k in range(n):
        pivot = k + int(np.argmax(np.abs(a[k:, k])))
        if a[pivot, k] == 0:
            raise np.linalg.LinAlgError("Singular matrix")
        if pivot != k:
            a[[k, pivot]], b[[k, pivot]] = a[[pivot, k]], b[[pivot, k]]
            determinant = -determinant
        determinant = determinant * a[k, k]
        for i in range(n):
            if i != k:
                factor = a[i, k] / a[k, k]
                a[i] -= factor * a[k]
                b[i] -= factor * b[k]
    return (b.T / np.diag(a)).T, determinant


def _det(a: Any) -> Any:
    return _eliminated(a, np.eye(len(a)))[1]


def _slogdet(a: Any) -> Any:
    determinant = _det(a)
    return np.sign(determinant), np.log(np.abs(determinant))


def _cholesky(a: Any) -> Any:
    factor = np.zeros(np.shape(a), LONG)
    for i in range(len(a)):
        for j in range(i + 1):
            rest = a[i, j] - factor[i, :j] @ factor[j, :j]
            factor[i, j] = np.sqrt(rest) if i == j else rest / factor[j, j]
    return factor


def _eigvalsh(a: Any) -> Any:
    """Return the eigenvalues of the symmetric matrix in the lower triangle, by Jacobi's rotations."""
    a = np.tril(a) + np.tril(a, -1).T
    for _ in range(12):
        for p in range(len(a)):
            for q in range(p + 1, len(a)):
                if a[p, q] == 0:
                    continue
                theta = (a[q, q] - a[p, p]) / (2 * a[p, q])
                t = (1 if theta >= 0 else -1) / (np.abs(theta) + np.sqrt(theta * theta + 1))
                cosine = 1 / np.sqrt(t * t + 1)
                turn = np.eye(len(a), dtype=LONG)
                turn[p, p] = turn[q, q] = cosine
                turn[p, q], turn[q, p] = t * cosine, -t * cosine
                a = turn.T @ a @ turn
    return np.sort(np.diag(a))


def _svdvals(a: Any) -> Any:
    squares = _eigvalsh(a.T @ a if len(a) >= len(a.T) else a @ a.T)
    return np.sqrt(np.maximum(squares, 0))[::-1]


def _cond(a: Any) -> Any:
    values = _svdvals(a)
    return values[0] / values[-1]


def _pinv(a: Any) -> Any:
    """Return the pseudo-inverse of a matrix of full rank."""
    if len(a) >= len(a.T):
        return _eliminated(a.T @ a, a.T)[0]
    return _pinv(a.T).T


def _lstsq(a: Any, b: Any) -> Any:
    return _pinv(a) @ b, None, None, None


def _qr(a: Any) -> Any:
    """Return the triangular factor with positive diagonal, and no other."""
    return None, _cholesky(a.T @ a).T


def _polyfit(x: Any, y: Any, degree: int) -> Any:
    return _pinv(np.vander(np.asarray(x, LONG), degree + 1)) @ y


def _in_stacks(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of matrices, the first argument's, for stacks of them."""

    def of_stack(a: Any, *more: Any) -> Any:
        if np.ndim(a) == 2:
            return function(a, *more)
        results = [of_stack(item, *more) for item in a]
        if isinstance(results[0], tuple):
            return tuple(map(np.array, zip(*results, strict=True)))
        return np.array(results)

    return of_stack


def _solve(a: Any, b: Any) -> Any:
    """np.linalg.solve: of a vector, or of matrices in stacks that broadcast."""
    a, b = np.asarray(a), np.asarray(b)
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, stack + a.shape[-2:]), b if b.ndim == 1 else np.broadcast_to(b, stack + b.shape[-2:])
    if b.ndim == 1 or not stack:
        return _in_stacks(lambda a: _eliminated(a, b)[0])(a)
    return np.array([_solve(one, other) for one, other in zip(a, b, strict=True)])


def _long(function: Callable[..., Any], of_numpy: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is NumPy's own for doubles, and another for extended precision."""

    def chosen(*args: Any, **options: Any) -> Any:
        extended = any(np.asarray(a).dtype in (LONG, np.clongdouble) for a in args)
        return function(*args, **options) if extended else of_numpy(*args, **options)

    return chosen


class Namespace:
    """A module with some functions replaced."""

    def __init__(self, module: Any, **replaced: Any) -> None:
        self._module = module
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


_linalg = Namespace(
    np.linalg,
    solve=_long(_solve, np.linalg.solve),
    inv=_long(_in_stacks(lambda a: _eliminated(a, np.eye(len(a)))[0]), np.linalg.inv),
    det=_long(_in_stacks(_det), np.linalg.det),
    slogdet=_long(_in_stacks(_slogdet), np.linalg.slogdet),
    cholesky=_long(_in_stacks(_cholesky), np.linalg.cholesky),
    eigvalsh=_long(_in_stacks(_eigvalsh), np.linalg.eigvalsh), svdvals=_long(_svdvals, np.linalg.svdvals),
    pinv=_long(_pinv, np.linalg.pinv), lstsq=_long(_lstsq, np.linalg.lstsq), qr=_long(_qr, np.linalg.qr),
    cond=_long(_cond, np.linalg.cond),
)


def _interp(x: Any, xp: Any, fp: Any) -> Any:
    """np.interp for increasing nodes, in extended precision."""
    x = np.asarray(x)
    k = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    slope = (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
    return np.where(x < xp[0], fp[0], np.where(x > xp[-1], fp[-1], fp[k] + slope * (x - xp[k])))[()]


def _through_mpmath(name: str) -> Callable[..., Any]:
    of_scipy = getattr(scipy_special, name)

    # A gradient moves one entry after the other, the rest stay where they were.
    @functools.lru_cache(maxsize=4_000)
    def entry(*arguments: Any) -> Any:
        import mpmath

        if not all(np.isfinite(x) for x in arguments):
            return LONG(of_scipy(*map(float, arguments)))
        Effort.spend(_OF_ONE_ENTRY)

        with mpmath.workprec(90):
            exact = []
            for x in arguments:
                head = float(x)
                exact.append(mpmath.mpf(head) + mpmath.mpf(float(x - LONG(head))))
            try:
                result = _MPMATH[name](mpmath, *exact)
            except (ValueError, ZeroDivisionError):  # mpmath raises at poles, where SciPy is infinite or nan.
                return LONG(of_scipy(*map(float, arguments)))
            if isinstance(result, mpmath.mpc):
                return LONG(of_scipy(*map(float, arguments)))  # Beyond where the function is real: nan or infinite.
            head = float(result)
            return LONG(head) + LONG(float(result - mpmath.mpf(head)))

    entries = np.vectorize(entry, otypes=[LONG])
    return _long(lambda *xs: entries(*xs)[()], of_scipy)


def _student(m: Any, df: Any, t: Any) -> Any:
    factor = m.gamma((df + 1) / 2) / (m.sqrt(df * m.pi) * m.gamma(df / 2))
    return 0.5 + t * factor * m.hyp2f1(0.5, (df + 1) / 2, 1.5, -t * t / df)


#: scipy.special name -> the function by mpmath, its first argument.
_MPMATH: dict[str, Callable[..., Any]] = {
    "erf": lambda m, x: m.erf(x), "ndtr": lambda m, x: m.ncdf(x), "gammaln": lambda m, x: m.loggamma(x),
    "digamma": lambda m, x: m.digamma(x), "i0": lambda m, x: m.besseli(0, x), "j1": lambda m, x: m.besselj(1, x),
    "expit": lambda m, x: 1 / (1 + m.exp(-x)), "erfc": lambda m, x: m.erfc(x), "gamma": lambda m, x: m.gamma(x),
    "log_ndtr": lambda m, x: m.log(m.ncdf(x)), "j0": lambda m, x: m.besselj(0, x), "i1": lambda m, x: m.besseli(1, x),
    "erfcx": lambda m, x: m.exp(x * x) * m.erfc(x), "y0": lambda m, x: m.bessely(0, x),
    "spence": lambda m, x: m.re(m.polylog(2, 1 - x)) if x >= 0 else m.nan, "ellipk": lambda m, x: m.ellipk(x),
    "dawsn": lambda m, x: m.sqrt(m.pi) / 2 * m.exp(-x * x) * m.erfi(x), "entr": lambda m, x: -x * m.log(x),
    "exprel": lambda m, x: m.expm1(x) / x if x else m.mpf(1), "i0e": lambda m, x: m.exp(-abs(x)) * m.besseli(0, x),
    "logit": lambda m, x: m.log(x / (1 - x)),
    "jv": lambda m, v, x: m.besselj(v, x), "yv": lambda m, v, x: m.bessely(v, x),
    "iv": lambda m, v, x: m.besseli(v, x), "expi": lambda m, x: m.ei(x),
    "exp1": lambda m, x: m.e1(x), "expn": lambda m, n, x: m.expint(n, x), "ellipe": lambda m, x: m.ellipe(x),
    "ellipkm1": lambda m, x: m.ellipk(1 - x), "ndtri": lambda m, p: m.sqrt(2) * m.erfinv(2 * p - 1),
    "erfinv": lambda m, x: m.erfinv(x), "erfi": lambda m, x: m.erfi(x),
    "gammainc": lambda m, a, x: m.gammainc(a, 0, x, regularized=True),
    "gammaincc": lambda m, a, x: m.gammainc(a, x, m.inf, regularized=True),
    "betainc": lambda m, a, b, x: m.betainc(a, b, 0, x, regularized=True),
    "hyp0f1": lambda m, b, x: m.hyp0f1(b, x), "hyp1f1": lambda m, a, b, x: m.hyp1f1(a, b, x),
    "hyp2f1": lambda m, a, b, c, x: m.hyp2f1(a, b, c, x), "stdtr": _student,
    "chdtr": lambda m, v, x: m.gammainc(v / 2, 0, x / 2, regularized=True),
    "wrightomega": lambda m, x: m.re(m.lambertw(m.exp(x))), "eval_legendre": lambda m, n, x: m.legendre(n, x),
    "eval_chebyt": lambda m, n, x: m.chebyt(n, x), "eval_hermite": lambda m, n, x: m.hermite(n, x),
    "eval_laguerre": lambda m, n, x: m.laguerre(n, 0, x), "struve": lambda m, v, x: m.struveh(v, x),
    "polygamma": lambda m, n, x: m.psi(int(n), x), "zeta": lambda m, s, q: m.zeta(s, q),
    "rgamma": lambda m, x: m.rgamma(x), "beta": lambda m, a, b: m.beta(a, b),
    "betaln": lambda m, a, b: m.log(m.beta(a, b)), "binom": lambda m, n, k: m.binomial(n, k),
    "poch": lambda m, x, n: m.rf(x, n), "factorial": lambda m, n: m.gamma(n + 1),
    "spherical_jn": lambda m, n, x: m.sqrt(m.pi / (2 * x)) * m.besselj(n + 0.5, x),
    "multigammaln": lambda m, a, d: m.log(m.pi) / 2 + m.loggamma(a) + m.loggamma(a - 0.5),
    "log_expit": lambda m, x: -m.log1p(m.exp(-x)), "softplus": lambda m, x: m.log1p(m.exp(x)),
    "huber": lambda m, d, x: x * x / 2 if abs(x) <= d else d * (abs(x) - d / 2),
    "pseudo_huber": lambda m, d, x: d * d * (m.sqrt(1 + (x / d) ** 2) - 1),
    "boxcox": lambda m, x, k: (x**k - 1) / k, "inv_boxcox": lambda m, y, k: (1 + k * y) ** (1 / k),
    "rel_entr": lambda m, x, y: x * m.log(x / y), "kl_div": lambda m, x, y: x * m.log(x / y) - x + y,
    "xlog1py": lambda m, x, y: x * m.log1p(y), "cosm1": lambda m, x: m.cos(x) - 1, "exp10": lambda m, x: m.mpf(10) ** x,
}  # fmt: skip


def _logsumexp(x: Any, axis: Any = None) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis))


def _softmax(x: Any, axis: Any = None) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


def _kv(v: Any, x: Any) -> Any:
    """Return the integral of exp(-x cosh t) cosh(v t) over all t > 0 for x >= 0.05, by the trapezoidal rule."""
    x = np.asarray(x)
    step = np.minimum(LONG(0.15), LONG(0.55) / np.sqrt(x))
    at = np.arange(64) * step[..., None]
    samples = np.exp(-x[..., None] * np.cosh(at)) * np.cosh(v * at)
    return step * (np.sum(samples, axis=-1) - samples[..., 0] / 2)


EXTENDED_SPECIAL = Namespace(
    scipy_special, k0=_long(lambda x: _kv(0, x), scipy_special.k0), kv=_long(_kv, scipy_special.kv),
    xlogy=_long(lambda x, y: np.where(x == 0, 0, x * np.log(y))[()], scipy_special.xlogy),
    logsumexp=_long(_logsumexp, scipy_special.logsumexp), softmax=_long(_softmax, scipy_special.softmax),
    log_softmax=_long(lambda x, axis=None: np.log(_softmax(x, axis)), scipy_special.log_softmax),
    **{name: _through_mpmath(name) for name in _MPMATH},
)  # fmt: skip
EXTENDED_NUMPY = Namespace(np, linalg=_linalg, interp=_long(_interp, np.interp),
                            polyfit=_long(_polyfit, np.polyfit))
