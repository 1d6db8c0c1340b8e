"""The C of matrix products: a kernel for small and narrow matrices, and BLAS for those that are large both ways.

BLAS packs both operands before it multiplies. Where one matrix is small, that takes as long as the multiplication; the
kernel here reads the other matrix where it lies, and needs no threads. It is compiled once for a machine, and bound to
the programs by its address, as BLAS is.
"""

from __future__ import annotations

KERNEL = """\
#if defined(__GNUC__)
/* A strip of the result, of up to three vectors of rows and a few columns, is kept in registers. */
#if defined(__AVX512F__)
enum { LANES = 8, STRIP = 8 };
#elif defined(__AVX__)
enum { LANES = 4, STRIP = 4 };
#else
enum { LANES = 2, STRIP = 4 };
#endif
/* So many terms at a time: a strip of b and a panel of a stay in the first-level cache. */
enum { DEPTH = 160 };
typedef double lanes __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* A product and its sum are one operation here, as in BLAS. */
#if defined(__clang__)
#define CONTRACTED
#define CONTRACT _Pragma("clang fp contract(fast)")
#else
#define CONTRACTED __attribute__((optimize("O2", "fp-contract=fast")))
#define CONTRACT
#endif

/* Compilers load a again for each multiplication by it, and there are as many units for loads as for products. */
#if defined(__AVX512F__)
#define KEPT_IN_REGISTER(vector) __asm__ volatile("" : "+v"(vector))
#elif defined(__x86_64__)
#define KEPT_IN_REGISTER(vector) __asm__ volatile("" : "+x"(vector))
#else
#define KEPT_IN_REGISTER(vector)
#endif

/* Up to three vectors of rows: what is multiplied, and where it goes. The last column of a may lie apart. */
typedef struct {
    long long rows, columns, depth, step_a, step_b, between_b, between_c;
    const double *a, *a_last, *b;
    double *c;
    int adds;
} panel;

static inline __attribute__((always_inline)) void add_terms(
    lanes sum[3][STRIP], const int vectors, const double *a, const double *const b[STRIP], long long term)
{
    CONTRACT
    lanes column[3];
    _Pragma("GCC unroll 3")
    for (int v = 0; v < vectors; ++v) {
        column[v] = *(const lanes *)(a + v * LANES);
        KEPT_IN_REGISTER(column[v]);
    }
    _Pragma("GCC unroll 8")
    for (int j = 0; j < STRIP; ++j) {
        const double factor = b[j][term];
        _Pragma("GCC unroll 3")
        for (int v = 0; v < vectors; ++v) {
            sum[v][j] += column[v] * factor;
            KEPT_IN_REGISTER(sum[v][j]);
        }
    }
}

/* Entry by entry, where not all of a strip lies in the result. */
static NOT_INLINED void store_part(const panel *s, const double *sum, long long columns, double *c)
{
    for (long long j = 0; j < columns; ++j, c += s->between_c, sum += 3 * LANES)
        for (long long i = 0; i < s->rows; ++i) c[i] = s->adds ? c[i] + sum[i] : sum[i];
}

static inline __attribute__((always_inline)) void strip_product(const panel *s, const int vectors, long long first)
{
    lanes sum[3][STRIP];
    const double *a = s->a, *b[STRIP];
    const long long step_a = s->step_a, step_b = s->step_b, depth = s->depth, columns = s->columns;
    _Pragma("GCC unroll 8")
    for (int j = 0; j < STRIP; ++j) {
        /* Behind the last column it is multiplied again, and not stored. */
        b[j] = s->b + (first + j < columns ? first + j : columns - 1) * s->between_b;
        _Pragma("GCC unroll 3")
        for (int v = 0; v < vectors; ++v) sum[v][j] = (lanes){0.0};
    }
    for (long long k = 0; k < depth; ++k, a += step_a)
        add_terms(sum, vectors, k < depth - 1 ? a : s->a_last, b, k * step_b);
    /* A whole vector may run on into the next columns, which are stored later. */
    const long long rest = s->rows - (vectors - 1) * LANES, left = columns - first - STRIP;
    double *c = s->c + first * s->between_c;
    if (left < 0 || (rest < LANES && (s->adds || left * s->between_c < LANES - rest))) {
        /* Of a copy: the sums themselves would be kept in memory if their address were taken. */
        lanes copy[STRIP][3];
        _Pragma("GCC unroll 8")
        for (int j = 0; j < STRIP; ++j)
            _Pragma("GCC unroll 3")
            for (int v = 0; v < vectors; ++v) copy[j][v] = sum[v][j];
        store_part(s, (const double *)copy, left < 0 ? columns - first : STRIP, c);
        return;
    }
    _Pragma("GCC unroll 8")
    for (int j = 0; j < STRIP; ++j, c += s->between_c) {
        _Pragma("GCC unroll 3")
        for (int v = 0; v < vectors; ++v) {
            lanes *const to = (lanes *)(c + v * LANES);
            if (s->adds) sum[v][j] += *to;
            *to = sum[v][j];
        }
    }
}

#define PANEL_PRODUCT(vectors) \\
    CONTRACTED static NOT_INLINED void panel_product_##vectors(const panel *s) \\
    { \\
        for (long long j = 0; j < s->columns; j += STRIP) strip_product(s, vectors, j); \\
    }
PANEL_PRODUCT(1)
PANEL_PRODUCT(2)
PANEL_PRODUCT(3)

/* Column-major matrix product: c = a b, or c += a b. */
LINKAGE void small_product(long long rows, long long columns, long long inner, int ta, const double *a, long long lda,
                           int tb, const double *b, long long ldb, int adds, double *c)
{
    double packed[3 * LANES * DEPTH];
    const long long parts = 1 + (inner - 1) / DEPTH, most = (inner + parts - 1) / parts, step_b = tb ? ldb : 1;
    for (long long k0 = 0; k0 < inner; k0 += most) {
        /* From the last rows on: what runs on into the next column is stored again. No vector of rows is left alone. */
        long long before = (rows + LANES - 1) / LANES;
        while (before > 0) {
            const long long vectors = before == 1 ? 1 : before % 3 ? 2 : 3;
            before -= vectors;
            const long long i0 = before * LANES, width = vectors * LANES;
            panel s = {.rows = rows - i0 < width ? rows - i0 : width, .columns = columns,
                       .depth = inner - k0 < most ? inner - k0 : most,
                       .step_a = lda, .step_b = step_b, .between_b = tb ? 1 : ldb, .between_c = rows,
                       .a = a + i0 + k0 * lda, .b = b + k0 * step_b, .c = c + i0, .adds = adds || k0 > 0};
            const long long last = s.depth - 1;
            /* Vectors of a may run on into its next column, but not beyond the last one: that is packed. All are
               where they would share few places of the cache. */
            const int all = ta || lda < LANES || (lda % 32 == 0 && columns >= 16);
            if (all || s.rows < width) {
                for (long long k = all ? 0 : last; k <= last; ++k) {
                    double *column = packed + k * width;
                    for (long long i = 0; i < s.rows; ++i)
                        column[i] = ta ? a[k0 + k + (i0 + i) * lda] : a[i0 + i + (k0 + k) * lda];
                    for (long long i = s.rows; i < width; ++i) column[i] = 0.0;
                }
                s.a_last = packed + last * width;
            } else {
                s.a_last = s.a + last * lda;
            }
            if (all) {
                s.a = packed;
                s.step_a = width;
            }
            if (vectors == 1) panel_product_1(&s);
            else if (vectors == 2) panel_product_2(&s);
            else panel_product_3(&s);
        }
    }
}
#else
/* Column-major matrix product: c = a b, or c += a b. */
LINKAGE void small_product(long long rows, long long columns, long long inner, int ta, const double *a, long long lda,
                           int tb, const double *b, long long ldb, int adds, double *c)
{
    for (long long j = 0; j < columns; ++j) {
        double *column = c + j * rows;
        if (!adds)
            for (long long i = 0; i < rows; ++i) column[i] = 0.0;
        for (long long k = 0; k < inner; ++k) {
            const double factor = tb ? b[j + k * ldb] : b[k + j * ldb];
            for (long long i = 0; i < rows; ++i) column[i] += (ta ? a[k + i * lda] : a[i + k * lda]) * factor;
        }
    }
}
#endif
"""

#: A file with nothing but the kernel.
KERNEL_FILE = f"#define NOT_INLINED __attribute__((noinline))\n#define LINKAGE\n{KERNEL}"

#: Products in the programs of one file: all by the kernel.
STAND_ALONE = f"""\
#define LINKAGE static NOT_INLINED
{KERNEL}
#define matrix_product(data, ...) small_product(__VA_ARGS__)
"""

#: Products in a library that is loaded, by the addresses at the place ``{{blas}}`` of its data.
LOADED = """\
/* The matrix product of BLAS, with 64-bit integers. */
typedef void (*dgemm_pointer)(const char *, const char *, const long long *, const long long *, const long long *,
                              const double *, const double *, const long long *, const double *, const long long *,
                              const double *, double *, const long long *);
typedef void (*kernel_pointer)(long long, long long, long long, int, const double *, long long,
                               int, const double *, long long, int, double *);

/* Column-major matrix product: c = a b, or c += a b. */
static void matrix_product(const double *const *data, long long rows, long long columns, long long inner,
                           int ta, const double *a, long long lda, int tb, const double *b, long long ldb,
                           int adds, double *c)
{{
    const void *const *routines = (const void *const *)data[{blas}];
    const double one = 1.0, beta = adds;
    if (routines[0] && rows >= {least} && columns >= {least} && inner >= {least})
        ((dgemm_pointer)routines[0])(ta ? "T" : "N", tb ? "T" : "N", &rows, &columns, &inner, &one, a, &lda, b, &ldb,
                                     &beta, c, &rows);
    else
        ((kernel_pointer)routines[{kernel}])(rows, columns, inner, ta, a, lda, tb, b, ldb, adds, c);
}}
"""
