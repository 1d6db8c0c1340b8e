"""The C compiler of this machine, and the libraries that it made, kept on disk by their content."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from archimedes_grad.optional import installed

#: A directory for compiled functions instead of the user's cache.
CACHE_VARIABLE = "ARCHIMEDES_GRAD_CACHE"

# No fast-math: nan, infinities and signed zeros survive. Given up are the error number and the traps of C's functions.
# A product and a sum are not made one operation, so that values equal the interpreter's. sin and cos are no builtins:
# gcc would make one call of both, which it cannot vectorise.
_FLAGS = (
    "-std=gnu11", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fopenmp-simd",
    "-fno-builtin-sin", "-fno-builtin-cos", "-fPIC", "-shared", "-w",
)  # fmt: skip
#: Longer sources are compiled with less optimisation.
_LONG_SOURCE = 200_000
_SUFFIX = ".so"


class NoCompilerError(Exception):
    """There is no C compiler; the message says the way on."""


class CompilerError(Exception):
    """The C compiler failed, or its library could not be written; the message has the first error and the place."""


@functools.lru_cache(maxsize=1)
def compiler() -> tuple[str, ...]:
    """Return the command of the C compiler: ``$CC``, ``gcc``, ``cc``, ``clang``, or that of the ziglang wheel.

    Raises
    ------
    NoCompilerError
        If there is none.
    """
    for name in (os.environ.get("CC"), "gcc", "cc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return (found,)
    if installed("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    raise NoCompilerError(
        "the native engine needs a C compiler, and none was found. Install gcc or clang, or: "
        "pip install archimedes_grad[native]"
    )


@functools.lru_cache(maxsize=1)
def _machine() -> str:
    """Return what the compiled code depends on besides its source: the compiler, and the processor of -march=native."""
    version = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, check=False).stdout
    try:
        described = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
        processor = "\n".join(line for line in described.splitlines() if line.startswith(("model name", "flags")))
    except OSError:
        processor = platform.processor() + platform.machine()
    return "\n".join([*compiler(), version, processor])


def library(source: str) -> Path:
    """Return the compiled library of a C source, from the cache where it is there.

    Raises
    ------
    NoCompilerError, CompilerError
        If it has to be compiled and cannot be.
    """
    level = "-O1" if len(source) > _LONG_SOURCE else "-O3"
    flags = (level, *_FLAGS)
    key = hashlib.sha256("\n".join([source, *flags, _machine()]).encode()).hexdigest()[:32]
    directory = cache_directory()
    found = directory / f"{key}{_SUFFIX}"
    if not _is_whole(found):
        try:
            _compile(source, flags, found)
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


def _compile(source: str, flags: tuple[str, ...], target: Path) -> None:
    """Compile under names of this process's own and rename: other processes see the whole library or none."""
    with tempfile.NamedTemporaryFile("w", suffix=".c", dir=target.parent, delete=False) as file:
        file.write(source)
    text, made = Path(file.name), Path(file.name).with_suffix(_SUFFIX)
    has_vector_library = sys.platform == "linux" and platform.machine() == "x86_64" and "ziglang" not in compiler()
    libraries = ["-lmvec"] if has_vector_library else []
    command = [*compiler(), *flags, str(text), "-o", str(made), *libraries, "-lm"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
        first = errors[0] if errors else f"exit status {result.returncode}"
        raise CompilerError(f"the C compiler failed: {first}\n  The C file is kept: {text}")
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
    """Remove the compiled functions from the cache; those in use go on."""
    for path in cache_directory().iterdir():
        if path.suffix in (_SUFFIX, ".sha256", ".c"):
            path.unlink(missing_ok=True)
