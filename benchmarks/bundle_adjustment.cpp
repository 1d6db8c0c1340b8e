// The sparse Jacobian of bundle adjustment with its derivative written by hand: the yardstick of bundle_adjustment.py.
//
// A camera holds a rotation vector r, a centre C, a focal length f, a principal point and two coefficients of radial
// distortion. With k = r / |r|, a = |r| and d = X - C, Rodrigues' formula rotates d to
//     y = cos(a) d + sin(a) (k x d) + (1 - cos(a)) (k . d) k,
// q = (y0, y1) / y2 is its projection, s = |q|^2, and the residual is w (f (1 + k1 s + k2 s^2) q + c - feature).
// Values are written by rows: for each observation two rows of 11 + 3 + 1 entries; then 1 - w^2 gives one entry each.

#include <cmath>
#include <cstdint>

namespace {

inline void cross(const double *a, const double *b, double *result) {
    result[0] = a[1] * b[2] - a[2] * b[1];
    result[1] = a[2] * b[0] - a[0] * b[2];
    result[2] = a[0] * b[1] - a[1] * b[0];
}

inline double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// The two rows of one observation.
inline void rows_of(const double *camera, const double *point, double weight, const double *feature, double *rows) {
    const double *r = camera, *centre = camera + 3;
    const double focal = camera[6], k1 = camera[9], k2 = camera[10];
    const double angle = std::sqrt(dot(r, r)), inverse = 1.0 / angle;
    const double sine = std::sin(angle), cosine = std::cos(angle), rest = 1.0 - cosine;
    const double k[3] = {r[0] * inverse, r[1] * inverse, r[2] * inverse};
    const double d[3] = {point[0] - centre[0], point[1] - centre[1], point[2] - centre[2]};
    const double along = dot(k, d);
    double turned[3], y[3];
    cross(k, d, turned);
    for (int i = 0; i < 3; ++i) y[i] = cosine * d[i] + sine * turned[i] + rest * along * k[i];

    // dy/dr, column j: the angle grows by k_j, and the axis by (e_j - k_j k) / a.
    double by_rotation[3][3];
    for (int j = 0; j < 3; ++j) {
        double axis[3], axis_turned[3];
        for (int i = 0; i < 3; ++i) axis[i] = ((i == j) - k[j] * k[i]) * inverse;
        cross(axis, d, axis_turned);
        const double axis_along = dot(axis, d);
        for (int i = 0; i < 3; ++i)
            by_rotation[i][j] = k[j] * (cosine * turned[i] - sine * d[i] + sine * along * k[i]) + sine * axis_turned[i] +
                                rest * (axis_along * k[i] + along * axis[i]);
    }
    // dy/dX is the rotation itself; dy/dC its negative.
    double rotation[3][3] = {{cosine, -sine * k[2], sine * k[1]},
                             {sine * k[2], cosine, -sine * k[0]},
                             {-sine * k[1], sine * k[0], cosine}};
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) rotation[i][j] += rest * k[i] * k[j];

    const double depth = 1.0 / y[2];
    const double q[2] = {y[0] * depth, y[1] * depth};
    const double s = q[0] * q[0] + q[1] * q[1];
    const double radial = 1.0 + s * (k1 + k2 * s), radial_slope = 2.0 * (k1 + 2.0 * k2 * s);
    const double scale = weight * focal;
    for (int row = 0; row < 2; ++row) {
        double *values = rows + 15 * row;
        // What the residual changes by with q, then with y.
        const double by_q[2] = {scale * (radial_slope * q[0] * q[row] + (row == 0) * radial),
                                scale * (radial_slope * q[1] * q[row] + (row == 1) * radial)};
        const double by_y[3] = {by_q[0] * depth, by_q[1] * depth, -(by_q[0] * q[0] + by_q[1] * q[1]) * depth};
        for (int j = 0; j < 3; ++j) {
            values[j] = by_y[0] * by_rotation[0][j] + by_y[1] * by_rotation[1][j] + by_y[2] * by_rotation[2][j];
            const double by_point = by_y[0] * rotation[0][j] + by_y[1] * rotation[1][j] + by_y[2] * rotation[2][j];
            values[3 + j] = -by_point;
            values[11 + j] = by_point;
        }
        values[6] = weight * radial * q[row];
        values[7] = (row == 0) * weight;
        values[8] = (row == 1) * weight;
        values[9] = scale * s * q[row];
        values[10] = scale * s * s * q[row];
        values[14] = focal * radial * q[row] + camera[7 + row] - feature[row];
    }
}

}  // namespace

extern "C" void jacobian(std::int64_t n_observations, const double *cameras, const double *points, const double *weights,
                         const double *features, const std::int64_t *camera_of, const std::int64_t *point_of,
                         double *values) {
    for (std::int64_t i = 0; i < n_observations; ++i)
        rows_of(cameras + 11 * camera_of[i], points + 3 * point_of[i], weights[i], features + 2 * i, values + 30 * i);
    double *of_weights = values + 30 * n_observations;
    for (std::int64_t i = 0; i < n_observations; ++i) of_weights[i] = -2.0 * weights[i];
}
