"""The C compiler of this machine: which one it is, and how it is called."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

# No fast-math: nan, infinities and signed zeros survive. Given up are the error number and the traps of C's functions.
# A product and a sum are not made one operation, so that values equal the interpreter's.
_FLAGS = (
    "-std=gnu11", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fopenmp-simd",
    "-fPIC", "-shared", "-w",
)  # fmt: skip
# sin and cos are no builtins: gcc would make one call of both, which it cannot vectorise. Loops are vectorised where
# that pays, as clang does by itself. What -O3 does besides takes a fifth more time to compile, gains nothing on the
# problems of benchmarks/, and makes the loops that solve equations half as fast.
_GCC_FLAGS = ("-fno-builtin-sin", "-fno-builtin-cos", "-ftree-vectorize", "-fvect-cost-model=dynamic")
_OPTIMISED = "-O2"
#: Longer sources are compiled with less optimisation: with all of it this many characters take gcc 3 s. The loop of
#: 1,024 LSTM steps (250,000) takes 1 s more to compile so, and a third of the time a call.
_LONG_SOURCE = 300_000


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
    zig = _zig()
    if zig is not None:
        return (zig, "cc")
    raise NoCompilerError(
        "the native engine needs a C compiler, and none was found. Install gcc or clang, or: "
        "pip install archimedes_grad[native]"
    )


def _zig() -> str | None:
    """Return the program of the ziglang wheel; without Python around it, it starts at once."""
    package = find_spec("ziglang")
    for directory in (package and package.submodule_search_locations) or ():
        for name in ("zig", "zig.exe"):
            path = Path(directory) / name
            if path.is_file():
                return str(path)
    return None


@functools.lru_cache(maxsize=1)
def machine() -> str:
    """Return what compiled code depends on besides its source: compiler, flags, and the processor of -march=native.

    The compiler is known by its file: to ask it for its version takes longer than to load a library.
    """
    program = os.path.realpath(compiler()[0])
    status = os.stat(program)
    version = [program, str(status.st_size), str(status.st_mtime_ns)]
    return "\n".join([*compiler(), *version, _OPTIMISED, *_FLAGS, *_GCC_FLAGS, _processor()])


def _processor() -> str:
    described = []
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith(("model name", "flags", "Features", "CPU part")):
                    described.append(line)
                if not line.strip():
                    break
    except OSError:
        return platform.processor() + platform.machine()
    return "".join(described)


def _is_zig() -> bool:
    return compiler()[1:] == ("cc",)


@functools.lru_cache(maxsize=1)
def _is_clang() -> bool:
    if _is_zig():
        return True
    version = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, check=False).stdout
    return "clang" in version


def compile_library(source: Path, target: Path, length: int, cache: Path) -> None:
    """Compile a C file to a library.

    Parameters
    ----------
    length
        Of the source, in characters.
    cache
        A directory for what the ziglang wheel keeps.

    Raises
    ------
    CompilerError
        If the compiler fails.
    """
    shared = _shared_libraries()
    flags = ["-O1" if length > _LONG_SOURCE else _OPTIMISED, *_FLAGS]
    if not _is_clang():
        flags += _GCC_FLAGS
    elif "libmvec.so.1" in shared:
        flags.append("-fveclib=libmvec")
    libraries = [shared[name] for name in ("libmvec.so.1",) if name in shared] + ["-lm"]
    environment = None
    if _is_zig():
        # In a home that cannot be written, zig waits for ever.
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
        if "libm.so.6" in shared:
            # With libraries by name, zig first builds stubs of them, and a runtime of its own: 5 s.
            flags.append("-nostdlib")
            libraries = list(shared.values())
    command = [*compiler(), *flags, str(source), "-o", str(target), *libraries]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
        first = errors[0] if errors else f"exit status {result.returncode}"
        raise CompilerError(f"the C compiler failed: {first}")


@functools.lru_cache(maxsize=1)
def _shared_libraries() -> dict[str, str]:
    """Return the paths of glibc's libraries that this process runs on, of an x86-64; none elsewhere.

    By their paths they are linked without the files of a compiler's package.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return {}
    with open("/proc/self/maps") as lines:
        loaded = {line.split(maxsplit=5)[-1].strip() for line in lines if "/" in line}
    directory = next((Path(path).parent for path in loaded if Path(path).name == "libc.so.6"), None)
    if directory is None:
        return {}
    names = ("libmvec.so.1", "libm.so.6", "libc.so.6")
    return {name: str(directory / name) for name in names if (directory / name).exists()}
