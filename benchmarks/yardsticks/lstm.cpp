// The gradient of the LSTM of problems.py by hand: gates and cells are kept going forward, and read going back.
// Compiled and called by yardsticks.py.

#include <cmath>
#include <vector>

namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// What a layer computes at one step, entry by entry.
struct Entry {
    double forget, ingate, outgate, change, cell_before, hidden_before, input, squashed, hidden;
};

}  // namespace

// main (2 layers, 4 width): weights and biases of each layer in turn; extra (3, width); state (2 layers, width): hidden
// values and cells; sequence (steps + 1, width). Returns the objective, and writes its gradient by main and extra.
extern "C" double lstm_gradient(int layers, int width, int steps, const double* main, const double* extra,
                                const double* state, const double* sequence, double* main_bar, double* extra_bar) {
    const int d = width;
    std::vector<Entry> entries(static_cast<size_t>(steps) * layers * d);
    std::vector<double> residuals(static_cast<size_t>(steps) * d), hidden(layers * d), cell(layers * d), x(d);
    const double weight = -1.0 / (static_cast<double>(steps) * d);
    double total = 0.0;
    for (int l = 0; l < layers; ++l)
        for (int j = 0; j < d; ++j) {
            hidden[l * d + j] = state[2 * l * d + j];
            cell[l * d + j] = state[(2 * l + 1) * d + j];
        }

    for (int t = 0; t < steps; ++t) {
        const double* seen = sequence + t * d;
        const double* following = seen + d;
        for (int j = 0; j < d; ++j) x[j] = seen[j] * extra[j];
        for (int l = 0; l < layers; ++l) {
            const double* w = main + 8 * l * d;
            const double* b = w + 4 * d;
            Entry* entry = &entries[(static_cast<size_t>(t) * layers + l) * d];
            for (int j = 0; j < d; ++j) {
                Entry& e = entry[j];
                double& h = hidden[l * d + j];
                double& c = cell[l * d + j];
                e.input = x[j];
                e.hidden_before = h;
                e.cell_before = c;
                e.forget = sigmoid(x[j] * w[j] + b[j]);
                e.ingate = sigmoid(h * w[d + j] + b[d + j]);
                e.outgate = sigmoid(x[j] * w[2 * d + j] + b[2 * d + j]);
                e.change = std::tanh(h * w[3 * d + j] + b[3 * d + j]);
                c = c * e.forget + e.ingate * e.change;
                e.squashed = std::tanh(c);
                x[j] = e.hidden = h = e.outgate * e.squashed;
            }
        }
        double sum = 2.0, mass = 0.0, likelihood = 0.0;
        double* residual = &residuals[static_cast<size_t>(t) * d];
        for (int j = 0; j < d; ++j) {
            const double predicted = x[j] * extra[d + j] + extra[2 * d + j];
            residual[j] = std::exp(predicted);
            sum += residual[j];
            mass += following[j];
            likelihood += following[j] * predicted;
        }
        total += likelihood - mass * std::log(sum);
        for (int j = 0; j < d; ++j) residual[j] = following[j] - mass * residual[j] / sum;
    }

    for (int i = 0; i < 8 * layers * d; ++i) main_bar[i] = 0.0;
    for (int i = 0; i < 3 * d; ++i) extra_bar[i] = 0.0;
    std::vector<double> hidden_bar(layers * d, 0.0), cell_bar(layers * d, 0.0), x_bar(d);
    for (int t = steps - 1; t >= 0; --t) {
        const double* residual = &residuals[static_cast<size_t>(t) * d];
        const Entry* last = &entries[(static_cast<size_t>(t) * layers + layers - 1) * d];
        for (int j = 0; j < d; ++j) {
            const double predicted_bar = weight * residual[j];
            extra_bar[d + j] += predicted_bar * last[j].hidden;
            extra_bar[2 * d + j] += predicted_bar;
            x_bar[j] = predicted_bar * extra[d + j];
        }
        for (int l = layers - 1; l >= 0; --l) {
            const double* w = main + 8 * l * d;
            double* w_bar = main_bar + 8 * l * d;
            double* b_bar = w_bar + 4 * d;
            const Entry* entry = &entries[(static_cast<size_t>(t) * layers + l) * d];
            for (int j = 0; j < d; ++j) {
                const Entry& e = entry[j];
                const double h_bar = hidden_bar[l * d + j] + x_bar[j];
                const double c_bar = cell_bar[l * d + j] + h_bar * e.outgate * (1.0 - e.squashed * e.squashed);
                const double outgate_bar = h_bar * e.squashed * e.outgate * (1.0 - e.outgate);
                const double forget_bar = c_bar * e.cell_before * e.forget * (1.0 - e.forget);
                const double ingate_bar = c_bar * e.change * e.ingate * (1.0 - e.ingate);
                const double change_bar = c_bar * e.ingate * (1.0 - e.change * e.change);
                w_bar[j] += forget_bar * e.input;
                w_bar[d + j] += ingate_bar * e.hidden_before;
                w_bar[2 * d + j] += outgate_bar * e.input;
                w_bar[3 * d + j] += change_bar * e.hidden_before;
                b_bar[j] += forget_bar;
                b_bar[d + j] += ingate_bar;
                b_bar[2 * d + j] += outgate_bar;
                b_bar[3 * d + j] += change_bar;
                cell_bar[l * d + j] = c_bar * e.forget;
                hidden_bar[l * d + j] = ingate_bar * w[d + j] + change_bar * w[3 * d + j];
                x_bar[j] = forget_bar * w[j] + outgate_bar * w[2 * d + j];
            }
        }
        for (int j = 0; j < d; ++j) extra_bar[j] += x_bar[j] * sequence[t * d + j];
    }
    return weight * total;
}
