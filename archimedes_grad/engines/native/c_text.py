"""The C around the functions of a program: helpers before them, the entry that CasADi loads after them."""

from __future__ import annotations

import casadi as cs

from archimedes_grad.engines.native.operations import VECTOR_FUNCTIONS
from archimedes_grad.engines.native.program import Source

#: The name of the entry. Libraries are told apart by their files.
ENTRY = "archimedes_grad_entry"

_HELPERS = """\
#include <math.h>

/* Loops over these are computed several entries at a time where the C library has a vector form. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
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
"""

_PRODUCT = """\
/* Column-major matrix product: c = beta * c + a b, by BLAS where it was found. */
typedef void (*dgemm_pointer)(const char *, const char *, const long long *, const long long *, const long long *,
                              const double *, const double *, const long long *, const double *, const long long *,
                              const double *, double *, const long long *);
static void matrix_product(const double *const *data, long long rows, long long columns, long long inner, int ta,
                           const double *a, long long lda, int tb, const double *b, long long ldb, double beta, double *c)
{{
    const dgemm_pointer dgemm = *(const dgemm_pointer *)data[{blas}];
    const double one = 1.0;
    if (dgemm) {{
        dgemm(ta ? "T" : "N", tb ? "T" : "N", &rows, &columns, &inner, &one, a, &lda, b, &ldb, &beta, c, &rows);
        return;
    }}
    for (long long j = 0; j < columns; ++j) {{
        double *restrict column = c + j * rows;
        if (beta == 0.0)
            for (long long i = 0; i < rows; ++i) column[i] = 0.0;
        for (long long k = 0; k < inner; ++k) {{
            const double factor = tb ? b[j + k * ldb] : b[k + j * ldb];
            if (ta)
                for (long long i = 0; i < rows; ++i) column[i] += a[k + i * lda] * factor;
            else
                for (long long i = 0; i < rows; ++i) column[i] += a[i + k * lda] * factor;
        }}
    }}
}}
"""

_LOADED = """\
static const long long sizes_in[][3] = {{{sizes_in}}};
static const long long sizes_out[][3] = {{{sizes_out}}};
long long {entry}_n_in(void) {{ return {n_in}; }}
long long {entry}_n_out(void) {{ return {n_out}; }}
const long long *{entry}_sparsity_in(long long i) {{ return sizes_in[i]; }}
const long long *{entry}_sparsity_out(long long i) {{ return sizes_out[i]; }}
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
    {called}((const double *const *)arg, res, w, (const double *const *)arg + {own});
    return 0;
}}
"""


def loaded_text(function: cs.Function, source: Source) -> str:
    """Return the C file of a library that CasADi loads: the function's inputs, then the program's data."""
    own = [function.nnz_in(i) for i in range(function.n_in())]
    data = [array.size for array in source.data] + [1] * source.uses_products
    outputs = [function.nnz_out(i) for i in range(function.n_out())]
    forms = [
        f'__attribute__((simd("notinbranch"))) double {name}(double{", double" * (arity - 1)});'
        for name, arity in VECTOR_FUNCTIONS.items()
        if f"{name}(" in source.text
    ]
    parts = [_HELPERS.format(vector_forms="\n".join(forms))]
    if source.uses_products:
        parts.append(_PRODUCT.format(blas=len(source.data)))
    loaded = _LOADED.format(
        entry=ENTRY, called=source.entry, own=len(own), work=source.work, n_in=len(own) + len(data),
        n_out=len(outputs), sizes_in=_columns(own + data), sizes_out=_columns(outputs),
    )  # fmt: skip
    return "\n".join([*parts, source.text, loaded])


def _columns(sizes: list[int]) -> str:
    # A dense column: rows, columns, and 1 for dense.
    return ", ".join(f"{{{size}, 1, 1}}" for size in sizes) or "{0, 0, 1}"
