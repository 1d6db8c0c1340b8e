"""The libraries on disk: whole or not used, whoever writes at the same time or is killed while he writes."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from helpers import needs_compiler

import archimedes_grad as arc
from archimedes_grad.engines.native import toolchain

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX"),
]

X = np.linspace(0.1, 1.0, 40)
EXPECTED = 2 * X * np.cos(X**2)

#: What every process of these tests does; the statement put in front of the call is its own.
SCRIPT = """
import os, signal, sys, time
import numpy as np
import archimedes_grad as arc
from archimedes_grad.engines.native import toolchain

{before}
x = np.linspace(0.1, 1.0, 40)
gradient = arc.grad(lambda x: np.sum(np.sin(x**2)), engine="native")
print(np.allclose(gradient(x), 2 * x * np.cos(x**2), rtol=1e-13), gradient.explain(x).engine)
"""


def slope(x):
    return np.sum(np.sin(x**2))


def started(before="pass"):
    """Start a process that compiles the function, after a statement of its own."""
    command = [sys.executable, "-c", SCRIPT.format(before=textwrap.dedent(before))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def require_right_here():
    """Compile the function in this process, or find it, and compare."""
    gradient = arc.grad(slope, engine="native")
    np.testing.assert_allclose(gradient(X), EXPECTED, rtol=1e-13)
    assert gradient.explain(X).engine == "native"


def found_whole(own_cache):
    """Return the libraries that a process would load: under names by content, as they were written."""
    return [path for path in own_cache.glob("*.so") if len(path.stem) == 32 and toolchain._is_whole(path)]


def require_one_library(own_cache):
    """One library lies there, with its digest, and nothing else."""
    (library,) = found_whole(own_cache)
    assert sorted(own_cache.iterdir()) == [library.with_suffix(".sha256"), library]


def test_two_processes_that_compile_the_same_function_at_once(own_cache, tmp_path):
    # Each waits for the other where the compiler would be called.
    before = f"""
        compiled = toolchain._compile
        def together(*args):
            open({str(tmp_path)!r} + "/" + str(os.getpid()) + ".ready", "w").close()
            while len([n for n in os.listdir({str(tmp_path)!r}) if n.endswith(".ready")]) < 2:
                time.sleep(0.005)
            compiled(*args)
        toolchain._compile = together
    """
    processes = [started(before) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert out.split() == ["True", "native"], err
    require_right_here()
    require_one_library(own_cache)


def test_the_cache_is_cleared_while_another_process_compiles(own_cache, tmp_path):
    before = f"""
        compiled = toolchain.compile_library
        def slowly(*args):
            open({str(tmp_path)!r} + "/compiling", "w").close()
            while not os.path.exists({str(tmp_path)!r} + "/cleared"):
                time.sleep(0.005)
            compiled(*args)
        toolchain.compile_library = slowly
    """
    process = started(before)
    while not (tmp_path / "compiling").exists():
        assert process.poll() is None
    toolchain.clear()
    (tmp_path / "cleared").touch()
    out, err = process.communicate(timeout=120)
    assert out.split() == ["True", "native"], err
    require_one_library(own_cache)


@pytest.mark.parametrize("renames", [0, 1], ids=["before it is put in place", "between library and digest"])
@pytest.mark.parametrize("earlier", [False, True], ids=["empty cache", "over a broken library"])
def test_a_process_killed_while_it_writes_leaves_nothing_that_is_loaded(own_cache, renames, earlier):
    if earlier:
        require_right_here()
        (library,) = own_cache.glob("*.so")
        library.write_bytes(library.read_bytes()[:-100])
    before = f"""
        renamed, done = os.replace, []
        def killed(source, target):
            if len(done) == {renames}:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(target)
            renamed(source, target)
        os.replace = killed
    """
    process = started(before)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not found_whole(own_cache)
    require_right_here()
    assert len(found_whole(own_cache)) == 1
    toolchain.clear()
    assert list(own_cache.iterdir()) == []


def test_what_a_disk_without_room_does_not_keep_is_evaluated_by_the_interpreter(own_cache, monkeypatch):
    def no_room(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(toolchain.tempfile, "NamedTemporaryFile", no_room)
    gradient = arc.grad(slope, engine="native")
    with pytest.warns(arc.FallbackWarning, match="could not be written: .*No space left on device"):
        np.testing.assert_allclose(gradient(X), EXPECTED, rtol=1e-13)
    assert gradient.explain(X).engine.startswith("vm (the compiled library could not be written")


@pytest.mark.parametrize("size", [1_000, 5_000])
def test_a_limit_on_the_size_of_files_gives_no_wrong_result(own_cache, size):
    # The source does not fit, or the library does not.
    before = f"""
        import resource, warnings
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        warnings.simplefilter("ignore", arc.FallbackWarning)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
    """
    out, err = started(before).communicate(timeout=120)
    assert out.split()[:2] == ["True", "vm"], err
    assert not found_whole(own_cache)
    require_right_here()


def test_a_changed_byte_is_noticed_before_the_library_is_loaded(own_cache):
    require_right_here()
    (library,) = own_cache.glob("*.so")
    content = bytearray(library.read_bytes())
    content[len(content) // 2] ^= 1
    library.write_bytes(content)
    assert not toolchain._is_whole(library)
    require_right_here()
    require_one_library(own_cache)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_that_others_may_write_to_is_neither_read_nor_written(own_cache, mode):
    require_right_here()
    (library,) = own_cache.glob("*.so")
    # Somebody else's code under the right name, with the digest that belongs to it.
    library.write_bytes(b"not a library")
    library.with_suffix(".sha256").write_text(toolchain._digest(library))
    own_cache.chmod(mode)
    require_right_here()
    assert library.read_bytes() == b"not a library"
    own_cache.chmod(0o700)


def test_nothing_of_the_users_text_is_in_the_c_and_no_shell_runs(own_cache, monkeypatch):
    sources, commands = [], []
    run = subprocess.run

    def noted(command, **options):
        commands.append((command, options))
        return run(command, **options)

    library = toolchain.library
    monkeypatch.setattr("archimedes_grad.engines.native.library", lambda text: sources.append(text) or library(text))
    monkeypatch.setattr(subprocess, "run", noted)
    evil = '"); system("true"); /* */ `x` $(x) %s \\ \n #include'

    def energy(p):
        return np.sum(p[evil] ** 2) + np.sum(np.arange(300.0)) * p[evil][0]

    energy.__name__ = energy.__qualname__ = evil
    gradient = arc.grad(energy, engine="native", name=evil)
    np.testing.assert_allclose(gradient({evil: X})[evil][1:], 2 * X[1:], rtol=1e-13)
    (source,) = sources
    assert not any(part in source for part in ("system", "`", "$", "energy"))
    assert source.isascii()
    assert commands
    for command, options in commands:
        assert isinstance(command, list | tuple)
        assert not options.get("shell")
        assert all(isinstance(word, str) and "\n" not in word and "$" not in word for word in command)
