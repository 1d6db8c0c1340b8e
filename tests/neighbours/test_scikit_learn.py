"""scikit-learn: an estimator that fits by a compiled gradient is cloned, validated, searched and pickled."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize

import archimedes_grad as arc

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@arc.value_and_grad
def penalised(params, X, y, alpha):
    residual = X @ params[:-1] + params[-1] - y
    return np.sum(residual**2) + alpha * np.sum(params[:-1] ** 2)


class GradientRidge(RegressorMixin, BaseEstimator):
    """Ridge regression whose loss is differentiated rather than solved."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y):
        start = np.zeros(X.shape[1] + 1)
        found = minimize(penalised, start, args=(X, y, self.alpha), jac=True, options={"gtol": 1e-8})
        self.coef_, self.intercept_ = found.x[:-1], found.x[-1]
        return self

    def predict(self, X):
        return X @ self.coef_ + self.intercept_


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    return X, X @ [1.0, -2.0, 0.5, 0.0] + 3.0 + 0.1 * rng.normal(size=80)


def test_it_fits_what_scikit_learn_fits(data):
    ours, theirs = GradientRidge(alpha=2.0).fit(*data), Ridge(alpha=2.0).fit(*data)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-6)


def test_clone_pickle_and_pipeline(data):
    fitted = make_pipeline(StandardScaler(), GradientRidge(alpha=0.5)).fit(*data)
    copied = clone(fitted).fit(*data)
    carried = pickle.loads(pickle.dumps(fitted))
    for other in (copied, carried):
        np.testing.assert_array_equal(other.predict(data[0]), fitted.predict(data[0]))


def test_cross_validation_and_search(data):
    ours = cross_val_score(GradientRidge(alpha=2.0), *data)
    np.testing.assert_allclose(ours, cross_val_score(Ridge(alpha=2.0), *data), rtol=1e-6)
    search = GridSearchCV(GradientRidge(), {"alpha": [0.01, 1000.0]}).fit(*data)
    assert search.best_params_ == {"alpha": 0.01}
