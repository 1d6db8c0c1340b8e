"""Runs in a process of its own, which is interrupted by a signal at random moments: see ``test_interrupts.py``.

    python tests/interrupted.py WHAT INTERRUPTS SEED
"""

import random
import signal
import sys
import threading
import time
import traceback

import casadi as cs
import numpy as np

import archimedes_grad as arc
from archimedes_grad.arrays import trace_state
from archimedes_grad.nodes import simplification

X = np.linspace(0.1, 1.0, 30)
NUMPY_ARRAY = np.array


def loop(x):
    total = 0.0
    for k in range(29):
        total = total + np.sin(x[k]) * x[k + 1]
    return total


def through_callback(x):
    return np.sum(arc.callback(np.sin, X, x, derivative=lambda x, w: w * np.cos(x)))


KNOWN = arc.grad(loop)
CALLED_BACK = arc.grad(through_callback)


def traced():
    arc.grad(loop)(X)


def differentiated():
    arc.hess(lambda x: np.sum(np.outer(x, x) @ np.sin(x)))(X[:8])


def called():
    for _ in range(50):
        KNOWN(X)


def called_back():
    for _ in range(10):
        CALLED_BACK(X)


def numeric():
    arc.grad(loop, method="adaptive")(X[:30])


def branched():
    arc.compile(lambda x: np.sum(x[:3]) if x[0] > 0 else x[1])(X * random.choice((-1, 1)))


def slopes_of_another_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(arc.grad(loop)(X)), daemon=True)
    thread.start()
    thread.join()
    return results[0]


def waited():
    arc.grad(lambda x: np.sum(x * slopes_of_another_thread()))(X)


WORK = {
    function.__name__: function
    for function in (traced, differentiated, called, called_back, numeric, branched, waited)
}


def state(what):
    """Return what is not as it was before: nothing, if all is well."""
    wrong = []
    if trace_state.active_traces or trace_state.current_trace() is not None:
        wrong.append("a trace is under way")
    if np.array is not NUMPY_ARRAY:
        wrong.append("np.array is replaced")
    if not cs.GlobalOptions.getSimplificationOnTheFly():
        wrong.append("CasADi's simplification is off")
    # The numeric methods use numpy.errstate, which an interrupt at the entry of its end keeps from putting back.
    if np.geterr()["over"] != "warn" and what != "numeric":
        wrong.append("NumPy's floating-point warnings are off")
    taken = []

    def take():
        taken.append(simplification._lock.acquire(timeout=2))
        if taken[0]:
            simplification._lock.release()

    other = threading.Thread(target=take)
    other.start()
    other.join()
    if taken != [True]:
        wrong.append("the tracing lock is held")
    return wrong


ARMED = False


def interrupt(signum, frame):
    if ARMED:
        raise KeyboardInterrupt


def until_interrupted(work, delay):
    """Work until a signal interrupts; return whether it came as KeyboardInterrupt.

    The signal comes again after 20 ms: CasADi drops an exception that comes while it converts an argument, or makes
    an error of its own of it.
    """
    global ARMED
    try:
        ARMED = True
        signal.setitimer(signal.ITIMER_REAL, delay, 0.02)
        while True:
            work()
    except KeyboardInterrupt:
        ARMED = False
        return True
    except (NotImplementedError, RuntimeError, SystemError, TypeError) as error:
        ARMED = False
        if "casadi" not in "".join(traceback.format_exception(error)):
            raise
        return False
    finally:
        ARMED = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def others_have_ended():
    """Wait for threads whose caller was interrupted; one that was just being started then may wait for ever."""
    time.sleep(0.05)
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        if thread.is_alive():
            thread.join(timeout=1)


def main(what, count, seed):
    draw = random.Random(seed)
    slope = np.cos(X[:-1]) * X[1:]
    expected = np.append(slope, 0.0) + np.append(0.0, np.sin(X[:-1]))
    WORK[what]()
    interrupted = other = 0
    while interrupted + other < count:
        if until_interrupted(WORK[what], draw.uniform(1e-5, 2e-2)):
            interrupted += 1
        else:
            other += 1
        others_have_ended()
        wrong = state(what)
        if wrong:
            sys.exit(f"after {interrupted} interrupts: {', '.join(wrong)}")
        for gradient in (KNOWN, CALLED_BACK, arc.grad(loop)):
            wanted = np.cos(X) if gradient is CALLED_BACK else expected
            if not np.allclose(gradient(X), wanted, rtol=1e-12):
                sys.exit(f"after {interrupted} interrupts: wrong gradient")
    print(f"{interrupted} interrupts, {other} that CasADi made another error of")


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, interrupt)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
