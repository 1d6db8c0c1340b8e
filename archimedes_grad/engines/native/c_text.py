"""The C around the functions of a program: helpers before them, the entry that CasADi loads after them."""

from __future__ import annotations

from collections.abc import Sequence

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.blas_library import PLACES
from archimedes_grad.engines.native.equation_text import EQUATIONS
from archimedes_grad.engines.native.operations import LIBRARY_FUNCTIONS, VECTOR_FUNCTIONS, literal
from archimedes_grad.engines.native.product_text import LOADED, STAND_ALONE
from archimedes_grad.engines.native.program import Source
from archimedes_grad.engines.native.thread_text import PARTS

#: The names of the entries begin with it. Libraries are told apart by their files.
ENTRY = "archimedes_grad_entry_"

#: Matrices of at least so many rows, columns and inner ones are multiplied by BLAS.
BLAS_SIDE = 400

_MATHS = "#include <math.h>"

# The whole header takes longer to read than a short function takes to compile.
_FEW_MATHS = """\
#if defined(__linux__)
#include <features.h>
#endif
#define NAN __builtin_nan("")
#define INFINITY __builtin_inf()
{declarations}
"""

_HELPERS = """\
#if defined(_OPENMP) || defined(ARCHIMEDES_GRAD_SIMD)
#define VECTORISE(pragma) _Pragma(#pragma)
#else
#define VECTORISE(pragma)
#endif

#if defined(__GNUC__)
#define NOT_INLINED __attribute__((noinline))
#else
#define NOT_INLINED
#endif

/* Loops over these are computed several entries at a time where the C library has a vector form. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
{vector_forms}
#endif

/* A comparison instead of fmax and fmin: it is vectorised, and ignores nan as they do. */
static inline double larger(double a, double b) {{ return a >= b ? a : (b == b ? b : a); }}
static inline double smaller(double a, double b) {{ return a <= b ? a : (b == b ? b : a); }}
static inline double sign_of(double a) {{ return a < 0.0 ? -1.0 : (a > 0.0 ? 1.0 : a); }}
static inline double picked(const double *from, double place, long size)
{{
    const long k = (long)place;
    return k >= 0 && k < size ? from[k] : NAN;
}}

/* Sums of stretches, numbered from 0, in pairs, these in pairs, and so on: a level holds the sum of a power of two. */
static inline void add_in_pairs(double *levels, long number, double sum)
{{
    for (; number & 1; number >>= 1) sum += *levels++;
    *levels = sum;
}}
static inline double sum_of_pairs(const double *levels, long count)
{{
    double sum = 0.0;
    for (; count; count >>= 1, ++levels)
        if (count & 1) sum += *levels;
    return sum;
}}
"""

_LOADED = """\
static const long long {entry}_sizes_in[][3] = {{{sizes_in}}};
static const long long {entry}_sizes_out[][3] = {{{sizes_out}}};
long long {entry}_n_in(void) {{ return {n_in}; }}
long long {entry}_n_out(void) {{ return {n_out}; }}
const long long *{entry}_sparsity_in(long long i) {{ return {entry}_sizes_in[i]; }}
const long long *{entry}_sparsity_out(long long i) {{ return {entry}_sizes_out[i]; }}
int {entry}_work(long long *n_arg, long long *n_res, long long *n_iw, long long *n_w)
{{
    *n_arg = {n_in};
    *n_res = {n_out};
    *n_iw = 0;
    *n_w = {work};
    return 0;
}}
int {entry}(const double **arg, double **res, long long *iw, double *w, int memory)
{{
    (void)iw;
    (void)memory;
    return {called}((const double *const *)arg, res, w, (const double *const *)arg + {own});
}}
"""


def loaded_text(functions: Sequence[cs.Function], source: Source) -> str:
    """Return the C file of a library that CasADi loads; each entry takes its own inputs, then the program's data."""
    declarations = [_declaration(name) for name in LIBRARY_FUNCTIONS if f"{name}(" in source.text]
    parts = [
        "#define ARCHIMEDES_GRAD_SIMD",
        _FEW_MATHS.format(declarations="\n".join(declarations)),
        _HELPERS.format(vector_forms=_vector_forms(source.text)),
    ]
    if "solve_equations" in source.kernels:
        parts.append(EQUATIONS.format(routines=len(source.data), solver=PLACES["solve_equations"]))
    if "small_product" in source.kernels:
        parts.append(LOADED.format(blas=len(source.data), kernel=PLACES["small_product"], least=BLAS_SIDE))
    if "run_in_parts" in source.kernels:
        parts.append(PARTS.format(routines=len(source.data), pool=PLACES["run_in_parts"]))
    data = [(array.size, 1) for array in source.data]
    if source.kernels:
        data.append((len(PLACES), 1))
    loaded = []
    for number, (function, entry) in enumerate(zip(functions, source.entries, strict=True)):
        own = [_dense(function.sparsity_in(i)) for i in range(function.n_in())]
        outputs = [_dense(function.sparsity_out(i)) for i in range(function.n_out())]
        loaded.append(_LOADED.format(
            entry=f"{ENTRY}{number}", called=entry.name, own=len(own), work=entry.work, n_in=len(own) + len(data),
            n_out=len(outputs), sizes_in=_patterns(own + data), sizes_out=_patterns(outputs),
        ))  # fmt: skip
    return "\n".join([*parts, source.text, *loaded])


def _vector_forms(text: str) -> str:
    """Return the declarations of vector forms for what a text calls."""
    by_version: dict[str, list[str]] = {}
    for name, version in VECTOR_FUNCTIONS.items():
        if f"{name}(" in text:
            form = f'__attribute__((simd("notinbranch"))) {_declaration(name)}'
            by_version.setdefault(version, []).append(form)
    return "\n".join(
        "\n".join([f"#if __GLIBC_PREREQ({version})", *forms, "#endif"]) for version, forms in by_version.items()
    )


def _declaration(name: str) -> str:
    return f"double {name}(double{', double' * (LIBRARY_FUNCTIONS[name] - 1)});"


def _dense(sparsity: cs.Sparsity) -> tuple[int, int]:
    """Return the rows and columns of a matrix; of a sparse one, those of the column of its entries."""
    return sparsity.shape if sparsity.is_dense() else (sparsity.nnz(), 1)


def _patterns(shapes: list[tuple[int, int]]) -> str:
    # Rows, columns, and 1 for dense.
    return ", ".join(f"{{{rows}, {columns}, 1}}" for rows, columns in shapes) or "{0, 0, 1}"


_STAND_ALONE_HEADER = """\
/* {description} */
#ifndef {guard}
#define {guard}

/* Numbers of working memory that a call needs. */
#define {guard}_WORK {work}

/*
Inputs, one pointer for each (arrays in C order):
{inputs}
Outputs:
{outputs}
*/
void {name}(const double *const *inputs, double *const *outputs, double *work);

#endif
"""

_STAND_ALONE_ENTRY = """\
void {name}(const double *const *inputs, double *const *outputs, double *work)
{{
    const double *const all[] = {{{pointers}}};
    {called}(all, outputs, work, all + {own});
}}
"""


def stand_alone_text(
    name: str, source: Source, inputs: list[str], outputs: list[str], hidden: Sequence[npt.NDArray[np.float64]]
) -> tuple[str, str]:
    """Return a C file and its header that need neither CasADi nor Python.

    Parameters
    ----------
    name
        The C function's name, and that of the header.
    inputs, outputs
        A line for each, for the reader.
    hidden
        Arrays that the function was traced with; they become constants of the file.
    """
    guard = name.upper()
    constants = [*hidden, *source.data]
    pointers = [f"inputs[{k}]" for k in range(len(inputs))]
    (compiled,) = source.entries
    texts = []
    for k, array in enumerate(constants):
        is_place = array.dtype == np.int64
        entries = ", ".join(map(str, array.tolist()) if is_place else map(literal, array.tolist()))
        texts.append(f"static const {'long long' if is_place else 'double'} constant_{k}[] = {{{entries}}};")
        pointers.append(f"(const double *)constant_{k}" if is_place else f"constant_{k}")
    header = _STAND_ALONE_HEADER.format(
        description=f"{name}: compiled by archimedes_grad", guard=guard, work=max(1, compiled.work), name=name,
        inputs=_listed(inputs), outputs=_listed(outputs),
    )  # fmt: skip
    parts = [f'#include "{name}.h"', _MATHS, _HELPERS.format(vector_forms="/* none asked for */"), *texts]
    if "small_product" in source.kernels:
        parts.append(STAND_ALONE)
    entry = _STAND_ALONE_ENTRY.format(
        name=name, pointers=", ".join(pointers) or "0", called=compiled.name, own=len(inputs) + len(hidden)
    )
    return "\n".join([*parts, source.text, entry]), header


def _listed(lines: list[str]) -> str:
    return "\n".join(f"  [{k}] {line}" for k, line in enumerate(lines)) or "  none"
