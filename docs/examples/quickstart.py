"""Logistic regression on real data: SciPy's L-BFGS on exact gradients, checked against scikit-learn.

The loss is plain NumPy on a dictionary of parameters. ``arc.value_and_grad`` gives value and gradient in one
evaluation, with the gradient in the same dictionary.

Run by: pip install ".[quickstart]" && python docs/examples/quickstart.py
"""

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import archimedes_grad as arc

PENALTY = 1.0


def loss(params, X, y):
    """Penalised negative log-likelihood, as scikit-learn defines it for C = 1 / PENALTY."""
    score = X @ params["weights"] + params["bias"]
    log_likelihood = y * score - np.logaddexp(0.0, score)
    return -np.sum(log_likelihood) + 0.5 * PENALTY * np.sum(params["weights"] ** 2)


def main() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    value_and_gradient = arc.value_and_grad(loss)

    def objective(flat):
        value, gradient = value_and_gradient({"weights": flat[:-1], "bias": flat[-1]}, X, y)
        return value, np.append(gradient["weights"], gradient["bias"])

    steps = []

    def report(flat):
        value, gradient = objective(flat)
        steps.append(value)
        if len(steps) % 10 == 1:
            print(f"step {len(steps):3d}   loss {value:10.6f}   largest gradient {np.abs(gradient).max():.1e}")

    start = np.zeros(X.shape[1] + 1)
    options = {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9}
    fit = minimize(objective, start, jac=True, method="L-BFGS-B", callback=report, options=options)
    print(f"step {len(steps):3d}   loss {fit.fun:10.6f}   largest gradient {np.abs(fit.jac).max():.1e}")

    reference = LogisticRegression(C=1.0 / PENALTY, tol=1e-10, max_iter=10_000).fit(X, y)
    weights, bias = fit.x[:-1], fit.x[-1]
    difference = max(np.abs(weights - reference.coef_[0]).max(), abs(bias - reference.intercept_[0]))
    accuracy = np.mean((X @ weights + bias > 0) == y)
    print(f"{len(y)} patients, {X.shape[1]} features: {accuracy:.1%} classified rightly")
    print(f"largest difference from scikit-learn's coefficients: {difference:.1e}")
    if not difference < 1e-4:
        raise SystemExit("the coefficients differ from scikit-learn's by more than 1e-4")
    print(value_and_gradient.explain({"weights": weights, "bias": float(bias)}, X, y))


if __name__ == "__main__":
    main()
