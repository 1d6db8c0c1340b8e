// Gradients written by hand, as the limit to measure against. Arrays are in C order; every entry point writes the
// gradient afresh. Compiled by yardsticks.py, which says with what options.

#include <algorithm>
#include <cmath>
#include <vector>

// glibc has vector forms of these, of which its header tells only under -ffast-math.
extern "C" {
__attribute__((simd("notinbranch"))) double exp(double) noexcept;
__attribute__((simd("notinbranch"))) double sin(double) noexcept;
__attribute__((simd("notinbranch"))) double cos(double) noexcept;
}

namespace {

// The weights exp(scores - logsumexp(scores)), in the place of the scores.
void to_weights(double* scores, int count) {
    double largest = scores[0], total = 0.0;
#pragma omp simd reduction(max : largest)
    for (int i = 0; i < count; ++i) largest = scores[i] > largest ? scores[i] : largest;
#pragma omp simd reduction(+ : total)
    for (int i = 0; i < count; ++i) total += scores[i] = exp(scores[i] - largest);
    for (int i = 0; i < count; ++i) scores[i] /= total;
}

}  // namespace

extern "C" {

void rosenbrock(int n, const double* x, double* gradient) {
    const auto residual = [x](int i) { return x[i + 1] - x[i] * x[i]; };
    const auto own = [&](int i) { return -400.0 * x[i] * residual(i) - 2.0 * (1.0 - x[i]); };
    gradient[0] = own(0);
    for (int i = 1; i < n - 1; ++i) gradient[i] = own(i) + 200.0 * residual(i - 1);
    gradient[n - 1] = 200.0 * residual(n - 2);
}

void exp_sin(int n, const double* x, double* gradient) {
    // Two loops, in blocks: of sin and cos of the same argument gcc makes one call, which has no vector form.
    for (int start = 0; start < n; start += 1024) {
        const int stop = std::min(n, start + 1024);
        for (int i = start; i < stop; ++i) gradient[i] = sin(x[i]);
        for (int i = start; i < stop; ++i) gradient[i] = exp(x[i]) * (gradient[i] + cos(x[i]));
    }
}

void logsumexp(int n, const double* x, double* gradient) {
    std::copy(x, x + n, gradient);
    to_weights(gradient, n);
}

// Points are computed as they are needed, powers by repeated multiplication, eight points at a time.
void least_squares(int n, int m, const double* coefficients, double* gradient) {
    constexpr int width = 8;
    std::vector<double> sums(m * width, 0.0);
    for (int start = 0; start < n; start += width) {
        double point[width], power[width], residual[width];
        for (int i = 0; i < width; ++i) {
            const bool inside = start + i < n;
            point[i] = inside ? -1.0 + 2.0 * (start + i) / (n - 1) : 0.0;
            residual[i] = inside ? -((point[i] > 0.0) - (point[i] < 0.0)) : 0.0;
            power[i] = inside ? 1.0 : 0.0;
        }
        for (int j = 0; j < m; ++j)
            for (int i = 0; i < width; ++i) {
                residual[i] += coefficients[j] * power[i];
                power[i] *= point[i];
            }
        for (int i = 0; i < width; ++i) power[i] = residual[i];
        for (int j = 0; j < m; ++j)
            for (int i = 0; i < width; ++i) {
                sums[j * width + i] += power[i];
                power[i] *= point[i];
            }
    }
    for (int j = 0; j < m; ++j) {
        gradient[j] = 0.0;
        for (int i = 0; i < width; ++i) gradient[j] += sums[j * width + i];
    }
}

// Distances to all centroids at once, coordinate by coordinate.
void k_means(int n, int k, int d, const double* centroids, const double* points, double* gradient) {
    std::vector<double> columns(d * k), distances(k);
    for (int j = 0; j < k; ++j)
        for (int c = 0; c < d; ++c) columns[c * k + j] = centroids[j * d + c];
    std::fill(gradient, gradient + k * d, 0.0);
    for (int i = 0; i < n; ++i) {
        const double* point = points + i * d;
        std::fill(distances.begin(), distances.end(), 0.0);
        for (int c = 0; c < d; ++c)
            for (int j = 0; j < k; ++j) {
                const double difference = point[c] - columns[c * k + j];
                distances[j] += difference * difference;
            }
        int nearest = 0;
        for (int j = 1; j < k; ++j)
            if (distances[j] < distances[nearest]) nearest = j;
        for (int c = 0; c < d; ++c) gradient[nearest * d + c] += 2.0 * (centroids[nearest * d + c] - point[c]);
    }
}

// The diagonal of a factor is exp of the first d entries of its row of icf; the rest stands there column by column.
void gaussian_mixture(int n, int d, int k, const double* alphas, const double* means, const double* icf,
                      const double* points, double gamma, int m, double* d_alphas, double* d_means, double* d_icf) {
    const int triangle = d * (d + 1) / 2;
    std::vector<double> diagonals(k * d), offsets(k), centred(k * d), whitened(k * d), pulled(d), weights(k);
    std::fill(d_means, d_means + k * d, 0.0);
    std::fill(d_icf, d_icf + k * triangle, 0.0);
    for (int j = 0; j < k; ++j) {
        offsets[j] = alphas[j];
        for (int c = 0; c < d; ++c) {
            diagonals[j * d + c] = exp(icf[j * triangle + c]);
            offsets[j] += icf[j * triangle + c];
        }
    }
    std::vector<double> softmax(alphas, alphas + k);
    to_weights(softmax.data(), k);
    for (int j = 0; j < k; ++j) d_alphas[j] = -n * softmax[j];

    for (int i = 0; i < n; ++i) {
        for (int j = 0; j < k; ++j) {
            double* __restrict x = centred.data() + j * d;
            double* __restrict z = whitened.data() + j * d;
            const double* below = icf + j * triangle + d;
            for (int c = 0; c < d; ++c) x[c] = points[i * d + c] - means[j * d + c];
            for (int c = 0; c < d; ++c) z[c] = diagonals[j * d + c] * x[c];
            for (int c = 0; c < d; ++c) {
                for (int r = c + 1; r < d; ++r) z[r] += below[r - c - 1] * x[c];
                below += d - c - 1;
            }
            double square = 0.0;
#pragma omp simd reduction(+ : square)
            for (int c = 0; c < d; ++c) square += z[c] * z[c];
            weights[j] = offsets[j] - 0.5 * square;
        }
        to_weights(weights.data(), k);
        for (int j = 0; j < k; ++j) {
            const double weight = weights[j];
            double* __restrict x = centred.data() + j * d;
            double* __restrict z = whitened.data() + j * d;
            double* __restrict g = d_icf + j * triangle;
            d_alphas[j] += weight;
            for (int c = 0; c < d; ++c) {
                z[c] *= weight;
                g[c] += weight - z[c] * x[c] * diagonals[j * d + c];
                pulled[c] = diagonals[j * d + c] * z[c];
            }
            const double* below = icf + j * triangle + d;
            double* __restrict g_below = g + d;
            for (int c = 0; c < d; ++c) {
                double sum = 0.0;
#pragma omp simd reduction(+ : sum)
                for (int r = c + 1; r < d; ++r) sum += below[r - c - 1] * z[r];
                for (int r = c + 1; r < d; ++r) g_below[r - c - 1] -= z[r] * x[c];
                pulled[c] += sum;
                below += d - c - 1;
                g_below += d - c - 1;
            }
            for (int c = 0; c < d; ++c) d_means[j * d + c] += pulled[c];
        }
    }

    for (int j = 0; j < k; ++j) {
        double* g = d_icf + j * triangle;
        for (int c = 0; c < d; ++c) g[c] += gamma * gamma * diagonals[j * d + c] * diagonals[j * d + c] - m;
        for (int c = d; c < triangle; ++c) g[c] += gamma * gamma * icf[j * triangle + c];
    }
}

}  // extern "C"
