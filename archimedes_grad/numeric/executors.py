"""Many independent pieces of work: here, in threads, or wherever an executor takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from archimedes_grad.optional import require

Result = TypeVar("Result")


def check_workers(n_workers: int, executor: Executor | None) -> None:
    """Refuse what cannot run anything.

    Raises
    ------
    ValueError
        If `n_workers` is not a positive integer.
    TypeError
        If `executor` has no ``submit``.
    """
    if isinstance(n_workers, bool) or not isinstance(n_workers, int) or n_workers < 1:
        raise ValueError(f"n_workers must be a positive integer, not {n_workers!r}. Leave it out for 1: no threads")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor must have the interface of concurrent.futures.Executor, not {type(executor).__name__}. Pass a "
            f"ThreadPoolExecutor or ProcessPoolExecutor"
        )


@contextmanager
def workers(n_workers: int, executor: Executor | None) -> Iterator[Executor | None]:
    """The executor to use: the given one, threads of our own, or None for none at all."""
    check_workers(n_workers, executor)
    if executor is not None or n_workers == 1:
        yield executor
        return
    with ThreadPoolExecutor(n_workers) as pool:
        yield pool


def run_all(
    task: Callable[..., Result],
    arguments: list[tuple[Any, ...]],
    names: list[str],
    executor: Executor | None = None,
    progress: bool = False,
) -> list[Result]:
    """``[task(*a) for a in arguments]``, through the executor if there is one.

    An exception comes back as itself, with a note that says which of the `names` it belongs to; what
    has not started by then is cancelled.
    """
    if executor is None:
        results = []
        for name, piece in zip(names, bar(arguments, progress), strict=True):
            with _named(name):
                results.append(task(*piece))
        return results
    futures = [executor.submit(task, *piece) for piece in arguments]
    try:
        results = []
        for name, future in zip(names, bar(futures, progress), strict=True):
            with _named(name):
                results.append(future.result())
        return results
    finally:
        for future in futures:
            future.cancel()


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Note on an exception which parameter it belongs to; the exception itself goes on."""
    try:
        yield
    except Exception as error:
        error.add_note(f"while differentiating by {name}")
        raise


def bar(items: list[Any], progress: bool) -> Iterable[Any]:
    """The items, under a tqdm bar if asked for.

    Raises
    ------
    ImportError
        If tqdm is not installed.
    """
    if not progress:
        return items
    require("tqdm", "progress=True")
    from tqdm.auto import tqdm

    shown: Iterable[Any] = tqdm(items)
    return shown
