"""The C of linear equations: triangular ones by blocks, others by their LU factors, on the thread that calls it.

The solvers of OpenBLAS give work to threads that wait busily for more, from 32 equations on; a product of at most 2^18
multiplications it computes on the thread that calls it. So blocks of 64 are multiplied by BLAS, and solved here.
"""

from __future__ import annotations

#: A file with nothing but the solver. It is compiled once for a machine, and takes the addresses of all routines.
EQUATIONS_FILE = """\
#if defined(__GNUC__)
#define NOT_INLINED __attribute__((noinline))
#else
#define NOT_INLINED
#endif

enum { BLOCK = 64, SIDES = 8 };

/* Of BLAS and LAPACK, with 64-bit integers: the product of matrices, and the LU factors of a narrow one. */
typedef void (*dgemm_routine)(const char *, const char *, const long long *, const long long *, const long long *,
                              const double *, const double *, const long long *, const double *, const long long *,
                              const double *, double *, const long long *);
typedef void (*dgetrf_routine)(const long long *, const long long *, double *, const long long *, long long *,
                               long long *);

/* A triangle of a matrix, as it is or transposed. Forward: the first equation has one unknown. */
typedef struct {
    const double *a;
    long long n, leading;
    int forward, transposed, unit;
} triangle;

/* c -= a b in blocks; leading_c also for b. */
static void subtract_product(dgemm_routine dgemm, long long rows, long long columns, long long inner, int ta,
                             const double *a, long long leading_a, const double *b, double *c, long long leading_c)
{
    const double minus = -1.0, one = 1.0;
    for (long long i = 0; i < rows; i += BLOCK) {
        const long long is = rows - i < BLOCK ? rows - i : BLOCK;
        for (long long j = 0; j < columns; j += BLOCK) {
            const long long js = columns - j < BLOCK ? columns - j : BLOCK;
            dgemm(ta ? "T" : "N", "N", &is, &js, &inner, &minus, ta ? a + i * leading_a : a + i, &leading_a,
                  b + j * leading_c, &leading_c, &one, c + i + j * leading_c, &leading_c);
        }
    }
}

/* Equations k to k + size - 1, by themselves, for columns x. */
static NOT_INLINED void solve_block(const triangle *t, long long k, long long size, long long columns, double *x,
                                    long long leading_x)
{
    double columns_of[BLOCK][BLOCK], some[BLOCK][SIDES];
    for (long long j = 0; j < size; ++j)
        for (long long i = j; i < size; ++i) {
            /* Turned round where the last equation comes first. */
            const long long row = k + (t->forward ? i : size - 1 - i), column = k + (t->forward ? j : size - 1 - j);
            columns_of[j][i] = t->a[t->transposed ? column + row * t->leading : row + column * t->leading];
        }
    for (long long first = 0; first < columns; first += SIDES) {
        const long long count = columns - first < SIDES ? columns - first : SIDES;
        double *own = x + k + first * leading_x;
        for (long long i = 0; i < size; ++i)
            for (long long s = 0; s < SIDES; ++s)
                some[i][s] = s < count ? own[(t->forward ? i : size - 1 - i) + s * leading_x] : 0.0;
        for (long long j = 0; j < size; ++j) {
            double known[SIDES];
            const double divisor = t->unit ? 1.0 : columns_of[j][j];
            for (long long s = 0; s < SIDES; ++s) some[j][s] = known[s] = some[j][s] / divisor;
            for (long long i = j + 1; i < size; ++i)
                for (long long s = 0; s < SIDES; ++s) some[i][s] -= columns_of[j][i] * known[s];
        }
        for (long long i = 0; i < size; ++i)
            for (long long s = 0; s < count; ++s)
                own[(t->forward ? i : size - 1 - i) + s * leading_x] = some[i][s];
    }
}

static void solve_triangle(dgemm_routine dgemm, const triangle *t, long long columns, double *x, long long leading_x)
{
    const long long blocks = (t->n + BLOCK - 1) / BLOCK;
    for (long long block = 0; block < blocks; ++block) {
        const long long k = (t->forward ? block : blocks - 1 - block) * BLOCK;
        const long long size = t->n - k < BLOCK ? t->n - k : BLOCK;
        solve_block(t, k, size, columns, x, leading_x);
        const long long from = t->forward ? k + size : 0, until = t->forward ? t->n : k;
        const double *below = t->a + (t->transposed ? k + from * t->leading : from + k * t->leading);
        subtract_product(dgemm, until - from, columns, size, t->transposed, below, t->leading, x + k, x + from,
                         leading_x);
    }
}

static void exchange_rows(double *a, long long leading, long long columns, const long long *pivots, long long from,
                          long long until, int backwards)
{
    for (long long j = 0; j < columns; ++j)
        for (long long q = from; q < until; ++q) {
            const long long k = backwards ? until - 1 - (q - from) : q;
            const double kept = a[k + j * leading];
            a[k + j * leading] = a[pivots[k] + j * leading];
            a[pivots[k] + j * leading] = kept;
        }
}

/* Put the LU factors of a matrix in its place: 1 where it is singular. */
static int factorise(dgemm_routine dgemm, dgetrf_routine dgetrf, long long n, double *a, long long *pivots)
{
    for (long long k = 0; k < n; k += BLOCK) {
        const long long size = n - k < BLOCK ? n - k : BLOCK, rows = n - k, right = n - k - size;
        long long info = 0;
        dgetrf(&rows, &size, a + k + k * n, &n, pivots + k, &info);
        if (info != 0) return 1;
        for (long long q = k; q < k + size; ++q) pivots[q] += k - 1;
        exchange_rows(a, n, k, pivots, k, k + size, 0);
        if (right == 0) continue;
        double *beside = a + (k + size) * n;
        exchange_rows(beside, n, right, pivots, k, k + size, 0);
        const triangle lower = {.a = a + k + k * n, .n = size, .leading = n, .forward = 1, .unit = 1};
        solve_triangle(dgemm, &lower, right, beside + k, n);
        subtract_product(dgemm, right, right, size, 0, a + k + size + k * n, n, beside + k, beside + k + size, n);
    }
    return 0;
}

/* Solve a x = b, or with a transposed, for columns b: 1 where a is singular. work: a copy of a, and its pivots. */
int solve_equations(const void *const *routines, long long n, long long columns, int transposed, const double *a,
                    const double *b, double *x, double *work)
{
    const dgemm_routine dgemm = (dgemm_routine)routines[0];
    int has_lower = 0, has_upper = 0, has_zero = 0;
    for (long long j = 0; j < n; ++j) {
        for (long long i = 0; i < j; ++i) has_upper |= a[i + j * n] != 0.0;
        for (long long i = j + 1; i < n; ++i) has_lower |= a[i + j * n] != 0.0;
        has_zero |= a[j + j * n] == 0.0;
    }
    for (long long i = 0; i < n * columns; ++i) x[i] = b[i];
    if (!has_lower || !has_upper) {
        const triangle whole = {a, n, n, has_lower != transposed, transposed, 0};
        if (has_zero) return 1;
        solve_triangle(dgemm, &whole, columns, x, n);
        return 0;
    }
    long long *pivots = (long long *)(work + n * n);
    for (long long i = 0; i < n * n; ++i) work[i] = a[i];
    if (factorise(dgemm, (dgetrf_routine)routines[1], n, work, pivots)) return 1;
    const triangle lower = {work, n, n, !transposed, transposed, 1}, upper = {work, n, n, transposed, transposed, 0};
    if (!transposed) exchange_rows(x, n, columns, pivots, 0, n, 0);
    solve_triangle(dgemm, transposed ? &upper : &lower, columns, x, n);
    solve_triangle(dgemm, transposed ? &lower : &upper, columns, x, n);
    if (transposed) exchange_rows(x, n, columns, pivots, 0, n, 1);
    return 0;
}
"""

#: Equations in a library that is loaded, by the addresses at the place ``{{routines}}`` of its data.
EQUATIONS = """\
/* Solve a x = b, or with a transposed, for columns b: 1 where a is singular. */
typedef int (*solver_pointer)(const void *const *, long long, long long, int, const double *, const double *,
                              double *, double *);
static int solve_equations(const double *const *data, long long n, long long columns, int transposed,
                           const double *a, const double *b, double *x, double *work)
{{
    const void *const *routines = (const void *const *)data[{routines}];
    return ((solver_pointer)routines[{solver}])(routines, n, columns, transposed, a, b, x, work);
}}
"""
