"""Pickling of what is made of functions: by reference as Python pickles functions, with cloudpickle what has no name.

A pickle is written by a pickler that is not ours. What it meets twice it writes once, by its memo, so that an object
may hold its own gradient. Whatever plain pickle can write is therefore handed to it as it is. The rest, lambdas and
closures, is written by cloudpickle into bytes of its own (`Packed`), which refer to the objects that the pickler around
takes along.
"""

from __future__ import annotations

import copy
import io
import pickle
import sys
import types
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from archimedes_grad.optional import installed, missing

#: What picklers raise about an object that they cannot write.
_REFUSALS = (pickle.PicklingError, AttributeError, TypeError)


class MadeOfFunctions:
    """Base of what is made of the user's functions: how it is pickled and copied."""

    __name__: str

    def _taken_apart(self) -> tuple[Sequence[Callable[..., Any]], Any]:
        """Return the functions that it is made of, and what else makes it again."""
        raise NotImplementedError

    def _put_together(self, functions: Sequence[Callable[..., Any]], how: Any) -> None:
        """Become what was taken apart."""
        raise NotImplementedError

    def _learnt(self) -> list[Packed]:
        """Return what was computed of it so far, as far as it can travel."""
        return []

    def _learn(self, learnt: list[Packed]) -> None:
        """Take over what was computed elsewhere."""

    def __reduce__(self) -> Any:
        functions, how = self._taken_apart()
        # A decorated function is found under the function's own name; the result of a call is made again.
        module, own_name = getattr(functions[0], "__module__", None), getattr(functions[0], "__qualname__", "")
        if found_at(module, own_name) is self and not _travels_whole(functions[0]):
            return _found, (module, own_name), (None, None, self._learnt())
        # All in the state, so that it is in the pickler's memo when the functions lead back to it.
        return _blank, (type(self),), ([portable(part, self) for part in functions], how, self._learnt())

    def __setstate__(self, state: tuple[list[Any] | None, Any, list[Packed]]) -> None:
        parts, how, learnt = state
        if parts is not None:
            self._put_together([unpacked(part) if isinstance(part, Packed) else part for part in parts], how)
        self._learn(learnt)

    def __copy__(self) -> Any:
        again = _blank(type(self))
        again._put_together(*self._taken_apart())
        again._learn(self._learnt())
        return again

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # Functions are copied as themselves, as Python does it, methods as those of the copied object. What was learnt
        # of these is left behind: the copied object may be changed before it is used.
        again = memo[id(self)] = _blank(type(self))
        functions, how = self._taken_apart()
        copies = [copy.deepcopy(part, memo) for part in functions]
        if all(copied is part for copied, part in zip(copies, functions, strict=True)):
            memo[id(self)] = self
            return self
        again._put_together(copies, how)
        return again


#: The public function, the user's function and the keywords that make a callable again.
Recipe = tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]


class MadeByRecipe(MadeOfFunctions):
    """What a public function makes of one function of the user's."""

    _recipe: Recipe | None

    def _taken_apart(self) -> tuple[list[Callable[..., Any]], Any]:
        if self._recipe is None:
            raise pickle.PicklingError(f"{self.__name__} was made inside the library and cannot be pickled")
        transform, function, options = self._recipe
        return [function], (transform, options)

    def _put_together(self, functions: Sequence[Callable[..., Any]], how: Any) -> None:
        transform, options = how
        vars(self).update(vars(transform(*functions, **options)))


def _blank(kind: type[Any]) -> Any:
    return object.__new__(kind)


# --- by name ----------------------------------------------------------------------------------------


def found_at(module: str | None, qualified_name: str) -> Any:
    """Return what a module holds under a qualified name, or None."""
    found: Any = sys.modules.get(module or "")
    for part in qualified_name.split("."):
        found = getattr(found, part, None)
    return found


def _found(module: str, qualified_name: str) -> Any:
    """Return what a module holds under a qualified name, imported if it was not."""
    import_module(module)
    return found_at(module, qualified_name)


def _travels_whole(function: Callable[..., Any]) -> bool:
    """Whether a function goes by value: what a script or notebook defines, another process has not."""
    return getattr(function, "__module__", None) == "__main__" and installed("cloudpickle")


# --- into bytes of its own --------------------------------------------------------------------------


class Packed(NamedTuple):
    """Something written by a pickler of ours, and the objects in it that the pickler around takes along."""

    written: bytes
    referred: list[Any]


def portable(function: Callable[..., Any], owner: MadeOfFunctions) -> Any:
    """Return a function of an owner's as the pickler around can take it: as it is, or packed.

    Raises
    ------
    pickle.PicklingError
        If it cannot be pickled by reference and cloudpickle is not installed, or cannot either.
    """
    error = _refused_by_pickle(function)
    if error is None:
        return function
    needs = missing("cloudpickle", "pickling a lambda or a closure")
    if needs is not None:
        raise pickle.PicklingError(
            f"{owner.__name__}: {needs}, or define the function at the top of a module. Python says: {error}"
        ) from error
    pickler = _dumped_whole(function, owner.__name__, data_apart=True)
    if pickler.holds_objects and any(met is owner for met in pickler.references.objects):
        # An object that holds its owner, of a class without a name, say: packed, it would be another one than around.
        # Only cloudpickle as the pickler around can write it, and needs no help.
        return function
    return pickler.packed()


def packed(what: Any, name: str) -> Packed:
    """Return data that may hold functions and classes, packed.

    Raises
    ------
    pickle.PicklingError
        If neither pickle nor cloudpickle, where it is installed, can write it.
    """
    file = io.BytesIO()
    pickler = _PlainPickler(file)
    try:
        pickler.dump(what)
    except _REFUSALS as error:
        if not installed("cloudpickle"):
            raise pickle.PicklingError(f"{name}: {error}") from error
    else:
        if not pickler.of_script or not installed("cloudpickle"):
            return Packed(file.getvalue(), pickler.references.objects)
    whole: Packed = _dumped_whole(what, name, data_apart=False).packed()
    return whole


def unpacked(what: Packed) -> Any:
    """Return what was packed.

    Raises
    ------
    ImportError
        If cloudpickle packed it and is not installed here.
    """
    try:
        return _Unpickler(what).load()
    except ModuleNotFoundError as error:
        needs = missing("cloudpickle", "unpickling a lambda or a closure")
        if needs is None or (error.name or "").partition(".")[0] != "cloudpickle":
            raise
        raise ImportError(needs, name="cloudpickle") from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, what: Packed) -> None:
        super().__init__(io.BytesIO(what.written))
        self._referred = what.referred

    def persistent_load(self, pid: int) -> Any:
        return self._referred[pid]


class _References:
    """The objects that something packed refers to, each once."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._places: dict[int, int] = {}

    def place_of(self, what: Any) -> int:
        if id(what) not in self._places:
            self._places[id(what)] = len(self.objects)
            self.objects.append(what)
        return self._places[id(what)]


class _PlainPickler(pickle.Pickler):
    """Python's own, which refers to what is made of functions and notices what a script or notebook defines."""

    def __init__(self, file: Any, buffer_callback: Callable[[Any], Any] | None = None) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self.references = _References()
        self.of_script = False

    def persistent_id(self, what: Any) -> int | None:
        return self.references.place_of(what) if _is_made_of_functions(what) else None

    def reducer_override(self, what: Any) -> Any:
        if isinstance(what, type | types.FunctionType) and what.__module__ == "__main__":
            self.of_script = True
        return NotImplemented


def _dumped_whole(what: Any, name: str, data_apart: bool) -> Any:
    """Return cloudpickle's pickler after it has written something.

    Parameters
    ----------
    data_apart
        Whether objects that the pickler around can write are referred to, beside what is made of functions.
    """
    import cloudpickle

    class WholePickler(cloudpickle.CloudPickler):  # type: ignore[misc]
        def __init__(self) -> None:
            self._file = io.BytesIO()
            super().__init__(self._file)
            self.references = _References()
            self.holds_objects = False

        def persistent_id(self, what: Any) -> int | None:
            if _is_made_of_functions(what):
                return self.references.place_of(what)
            # Functions, classes and modules are cloudpickle's, and containers are looked into.
            if not data_apart or isinstance(what, type) or type(what).__module__ == "builtins":
                return None
            if _refused_by_pickle(what) is None:
                return self.references.place_of(what)
            self.holds_objects = True
            return None

        def packed(self) -> Packed:
            return Packed(self._file.getvalue(), self.references.objects)

    pickler = WholePickler()
    try:
        pickler.dump(what)
    except TypeError as error:
        raise pickle.PicklingError(f"{name}: {error}") from error
    return pickler


# --- what the pickler around takes ------------------------------------------------------------------


class _Nowhere:
    def write(self, written: Any) -> None:
        pass


def _is_made_of_functions(what: Any) -> bool:
    return issubclass(type(what), MadeOfFunctions)


def _refused_by_pickle(what: Any) -> Exception | None:
    """Return why an object cannot be handed to plain pickle; None where it can.

    An object of a script's or notebook's class can where it holds what is made of functions: these may be its own, and
    must not meet another object in its place.
    """
    if _is_made_of_functions(what):
        return None
    # Large arrays are not copied.
    pickler = _PlainPickler(_Nowhere(), buffer_callback=lambda _: None)
    try:
        pickler.dump(what)
    except _REFUSALS as error:
        return error
    if pickler.of_script and not pickler.references.objects and installed("cloudpickle"):
        return pickle.PicklingError("it is defined in a script or notebook, which another process has not")
    return None
