"""Optional packages: what asks for one that is not installed names the extra that brings it."""

from __future__ import annotations

from importlib.util import find_spec

#: Package -> its name as users know it, and the extra of this library that brings it.
_EXTRAS = {
    "scipy": ("SciPy", "scipy"),
    "cloudpickle": ("cloudpickle", "pickle"),
    "tqdm": ("tqdm", "progress"),
    "matplotlib": ("matplotlib", "plot"),
}


def installed(package: str) -> bool:
    """Tell whether a package is installed; it is not imported for that."""
    return find_spec(package) is not None


def missing(package: str, needed_for: str) -> str | None:
    """Return what to say if a package is not installed; None if it is."""
    if installed(package):
        return None
    shown, extra = _EXTRAS[package]
    return f"{needed_for} needs {shown}, which is not installed: pip install 'archimedes_grad[{extra}]'"


def require(package: str, needed_for: str) -> None:
    """Refuse to go on without a package.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    message = missing(package, needed_for)
    if message is not None:
        raise ImportError(message, name=package)
