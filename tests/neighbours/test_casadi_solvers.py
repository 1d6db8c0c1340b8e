"""CasADi: traced functions as parts of a model that IPOPT and CasADi's own solvers take."""

import casadi as cs
import numpy as np

import archimedes_grad as arc

QUIET = {"ipopt.print_level": 0, "print_time": False, "ipopt.sb": "yes"}


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def circle(x):
    return np.sum(x**2)


def test_nlpsol_with_a_constraint():
    x = cs.MX.sym("x", 3)
    start = np.array([-1.2, 1.0, 0.7])
    objective, constraint = (arc.compile(f).to_casadi(start) for f in (rosenbrock, circle))
    solver = cs.nlpsol("solver", "ipopt", {"x": x, "f": objective(x), "g": constraint(x)}, QUIET)
    solution = solver(x0=start, lbg=1.0, ubg=1.0)
    assert solver.stats()["success"]
    found = solution["x"].full().ravel()
    assert abs(circle(found) - 1.0) < 1e-8
    slopes = np.stack([arc.grad(rosenbrock)(found), arc.grad(circle)(found)])
    assert np.linalg.svd(slopes, compute_uv=False)[1] < 1e-6 * np.linalg.norm(slopes)


def test_opti_with_a_traced_dynamic():
    def step(state, push):
        position, velocity = state[0], state[1]
        return np.array([position + 0.1 * velocity, velocity + 0.1 * (push - np.sin(position))])

    advance = arc.compile(step).to_casadi(np.zeros(2), 0.0)
    problem = cs.Opti()
    states, pushes = problem.variable(2, 21), problem.variable(1, 20)
    problem.minimize(cs.sumsqr(pushes))
    for k in range(20):
        problem.subject_to(states[:, k + 1] == advance(states[:, k], pushes[k]))
    problem.subject_to(states[:, 0] == [0.0, 0.0])
    problem.subject_to(states[:, -1] == [1.0, 0.0])
    problem.solver("ipopt", QUIET)
    solution = problem.solve()
    state = np.zeros(2)
    for push in solution.value(pushes):
        state = step(state, push)
    np.testing.assert_allclose(state, [1.0, 0.0], atol=1e-7)


def test_derivatives_of_a_derivative_by_casadi():
    x = np.array([0.3, -0.2, 0.9])
    gradient = arc.grad(rosenbrock).to_casadi(x)
    symbol = cs.MX.sym("x", 3)
    hessian = cs.Function("hessian", [symbol], [cs.jacobian(gradient(symbol), symbol)])
    np.testing.assert_allclose(hessian(x).full(), arc.hess(rosenbrock)(x), rtol=1e-12)


def test_rootfinder():
    def equation(x, a):
        return x**3 - a

    residual = arc.compile(equation).to_casadi(1.0, 2.0)
    x, a = cs.MX.sym("x"), cs.MX.sym("a")
    solve = cs.rootfinder("solve", "newton", {"x": x, "p": a, "g": residual(x, a)})
    assert abs(float(solve(1.0, 2.0)) - 2.0 ** (1 / 3)) < 1e-9
