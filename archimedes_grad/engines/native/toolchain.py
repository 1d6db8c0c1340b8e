"""The libraries that the C compiler made, kept on disk by their content."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from archimedes_grad.engines.native.compilers import CompilerError, compile_library, machine

#: A directory for compiled functions instead of the user's cache.
CACHE_VARIABLE = "ARCHIMEDES_GRAD_CACHE"

_SUFFIX = ".so"
#: How the names of files begin that a process is working on; its number follows.
_UNDER_WAY = "under_way_"
#: What the ziglang wheel keeps, beside the libraries.
_ZIG = "zig"


def library(source: str) -> Path:
    """Return the compiled library of a C source, from the cache where it is there.

    Raises
    ------
    NoCompilerError, CompilerError
        If it has to be compiled and cannot be.
    """
    key = hashlib.sha256(f"{source}\n{machine()}".encode()).hexdigest()[:32]
    directory = cache_directory()
    found = directory / f"{key}{_SUFFIX}"
    if not _is_whole(found):
        try:
            _compile(source, found)
        except OSError as error:
            # A full disk, above all.
            raise CompilerError(f"the compiled library could not be written: {error}\n  In: {directory}") from error
    return found


def _is_whole(path: Path) -> bool:
    """Tell whether a library in the cache is as it was written."""
    try:
        return path.with_suffix(".sha256").read_text() == _digest(path)
    except OSError:
        return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _compile(source: str, target: Path) -> None:
    """Compile under names of this process's own and rename: other processes see the whole library or none."""
    prefix = f"{_UNDER_WAY}{os.getpid()}_"
    with tempfile.NamedTemporaryFile("w", prefix=prefix, suffix=".c", dir=target.parent, delete=False) as file:
        file.write(source)
    text, made = Path(file.name), Path(file.name).with_suffix(_SUFFIX)
    try:
        compile_library(text, made, len(source), target.parent / _ZIG)
    except CompilerError as error:
        kept = target.with_suffix(".c")
        os.replace(text, kept)
        raise CompilerError(f"{error}\n  The C file is kept: {kept}") from None
    digest = made.with_suffix(".sha256")
    digest.write_text(_digest(made))
    os.replace(digest, target.with_suffix(".sha256"))
    os.replace(made, target)
    text.unlink()


def cache_directory() -> Path:
    """Return the directory of compiled functions, made where it is missing.

    ``$ARCHIMEDES_GRAD_CACHE``, or ``archimedes_grad`` in the user's cache. A directory that cannot be written, or that
    others may write to, is not used: then it is a temporary one of this process.
    """
    configured = os.environ.get(CACHE_VARIABLE)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    wanted = Path(configured) if configured else Path(home) / "archimedes_grad"
    return wanted if _is_usable(wanted) else _temporary_directory()


def _is_usable(directory: Path) -> bool:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError:
        return False
    others_may_write = os.name == "posix" and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    is_own = os.name != "posix" or status.st_uid == os.getuid()
    return is_own and not others_may_write and os.access(directory, os.W_OK)


@functools.lru_cache(maxsize=1)
def _kept_temporary_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="archimedes_grad_")


def _temporary_directory() -> Path:
    return Path(_kept_temporary_directory().name)


def clear() -> None:
    """Remove the compiled functions from the cache; those in use, and those that are being made, go on."""
    for path in cache_directory().iterdir():
        if _is_being_made(path):
            continue
        if path.suffix in (_SUFFIX, ".sha256", ".c"):
            path.unlink(missing_ok=True)
        elif path.name == _ZIG:
            # Another process may be writing to it: then some of it stays.
            shutil.rmtree(path, ignore_errors=True)


def _is_being_made(path: Path) -> bool:
    """Tell whether a process that is there works on a file."""
    if not path.name.startswith(_UNDER_WAY):
        return False
    if os.name != "posix":
        return True
    try:
        os.kill(int(path.name.removeprefix(_UNDER_WAY).split("_")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
