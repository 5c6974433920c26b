"""What a result depends on, as text: the same text, the same result."""

import copyreg
import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

import numpy as np

import skagile
from skagile._files import sha256_of
from skagile.audit import _provenance

# Their code is told by their version; ours by a digest of its sources.
_BY_VERSION = {"skagile", "numpy", "scipy", "sklearn", "torch", "skorch", "pandas"}
# What figures do not pass through.
_NOT_OF_FIGURES = (("cli",), ("audit", "report"))


class UnknownContentError(TypeError):
    """An object of which it cannot be told whether it is the same as another."""


class Keys:
    """Makes the keys of jobs. Arrays are digested once each, since the same few stand in every job."""

    def __init__(self, settings):
        self._digests, self._within = {}, []
        self._settings = self.content(settings)
        self._made_by = [_provenance.versions(), sources_digest()]

    def of(self, job):
        """Keys of a job's outcome and of what is measured from it; (None, None) where nothing is kept or can tell."""
        if not job.is_kept:
            return None, None
        try:
            fit = ["fit", job.what, self.content(job.fit), self.content(job.inputs), *self._made_by]
            measure = [*fit, "measured", self.content(job.measure), self.content(job.about), self._settings]
        except UnknownContentError:
            return None, None
        return json.dumps(fit), json.dumps(measure)

    def content(self, value):
        """Nested lists of text that say what `value` is, by content and never by address."""
        if value is None or isinstance(value, bool | float | complex | str | bytes):
            return [type(value).__name__, repr(value)]
        if isinstance(value, int):
            return [type(value).__name__, hex(value)]  # Python writes no decimal of thousands of digits
        if isinstance(value, np.generic):
            return [type(value).__name__, self._array(np.asarray(value))]
        if type(value) is np.ndarray or isinstance(value, np.memmap):
            return self._array(value)
        if id(value) in self._within:  # an object that holds itself
            return ["again", len(self._within) - self._within.index(id(value))]
        self._within.append(id(value))
        try:
            return self._object(value)
        finally:
            self._within.pop()

    def _array(self, value):
        if value.dtype.hasobject:
            return ["objects", list(value.shape), [self.content(entry) for entry in value.ravel().tolist()]]
        if id(value) not in self._digests:
            # Of its bytes: text of an array leaves out its middle. The array is kept too, so that its id is nobody
            # else's.
            digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            self._digests[id(value)] = value, digest
        kind = repr(np.lib.format.dtype_to_descr(value.dtype))
        return ["array", kind, list(value.shape), self._digests[id(value)][1]]

    def _object(self, value):
        if isinstance(value, dict):
            return [_name(type(value)), [[self.content(key), self.content(entry)] for key, entry in value.items()]]
        if isinstance(value, list | tuple):
            return [_name(type(value)), [self.content(entry) for entry in value]]
        if isinstance(value, set | frozenset):
            return [_name(type(value)), sorted(json.dumps(self.content(entry)) for entry in value)]
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            cells = [_cell(cell) for cell in value.__closure__ or ()]
            state = [value.__defaults__, value.__kwdefaults__, cells, _globals_of(value)]
            return [_name(value), _module_digest(value.__module__), self._code(value.__code__), self.content(state)]
        if isinstance(value, MethodType):
            return ["method", self.content(value.__func__), self.content(value.__self__)]
        if isinstance(value, BuiltinFunctionType):
            return ["builtin", value.__qualname__, self.content(value.__self__)]
        if isinstance(value, ModuleType):
            return ["module", value.__name__, _module_digest(value.__name__)]
        if hasattr(value, "get_params"):
            # Sorted, and not deep: each parameter is looked into in its turn.
            params = value.get_params(deep=False)
            # What is frozen, or lies in a dict, is not cloned: then what it was fitted on counts, too.
            state = {name: entry for name, entry in getattr(value, "__dict__", {}).items() if name not in params}
            return [
                self._class(type(value)),
                *([[name, self.content(entry)] for name, entry in sorted(of.items())] for of in (params, state)),
            ]
        if hasattr(value, "detach") and hasattr(value, "cpu"):  # a tensor
            return ["tensor", str(value.dtype), str(value.device), self.content(value.detach().cpu().numpy())]
        return self._reduced(value)

    def _reduced(self, value):
        """Any other object by what pickle would keep of it."""
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:
            raise UnknownContentError(f"{type(value).__name__} cannot be told from another: {error}") from error
        if isinstance(reduced, str):
            return [self._class(type(value)), reduced]
        entries = [list(entry) if hasattr(entry, "__next__") else entry for entry in reduced]
        return [self._class(type(value)), [self.content(entry) for entry in entries]]

    def _class(self, value):
        """Name of a class, and the files that it and its bases are written in."""
        written = []
        for base in value.__mro__:
            if (digest := _module_digest(base.__module__)) is None and not _is_known(base.__module__):
                # In a notebook: no file, but its functions.
                entries = {name: entry for name, entry in vars(base).items() if isinstance(entry, FunctionType)}
                digest = self.content(entries)
            written.append(digest)
        return ["class", _name(value), written]

    def _code(self, code):
        constants = [
            self._code(entry) if isinstance(entry, CodeType) else self.content(entry) for entry in code.co_consts
        ]
        return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), constants]


def _name(value):
    return f"{value.__module__}.{value.__qualname__}"


def _globals_of(function):
    """Give what a function of no file, as in a notebook, refers to outside itself."""
    if _is_known(function.__module__) or _module_digest(function.__module__) is not None:
        return {}
    names, codes = set(), [function.__code__]
    for code in codes:
        names.update(code.co_names)
        codes += [entry for entry in code.co_consts if isinstance(entry, CodeType)]
    return {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}


def _cell(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _is_known(module):
    top = (module or "__main__").split(".")[0]
    return top in _BY_VERSION or (top in sys.stdlib_module_names and top != "__main__")


def _module_digest(module):
    """Digest of the file of a module that no version tells of; None where it has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if _is_known(module) or file is None or not Path(file).is_file():
        return None
    state = Path(file).stat()
    return _file_digest(file, state.st_mtime_ns, state.st_size)


@cache
def _file_digest(file, mtime, size):
    """Digest of a file, made anew where its time or size says that it was written to."""
    del mtime, size
    return sha256_of(file)


@cache
def sources_digest():
    """Digest of this package's own code, once for each process: a figure of other code is another figure."""
    return tree_digest(Path(skagile.__file__).parent)


def tree_digest(root):
    """Digest of the names and contents of the modules below `root` that figures depend on."""
    digest = hashlib.sha256()
    for parts, file in sorted((file.relative_to(root).parts, file) for file in root.rglob("*.py")):
        if not any(parts[: len(other)] == other for other in _NOT_OF_FIGURES):
            digest.update(f"{'/'.join(parts)} {sha256_of(file)}\n".encode())
    return digest.hexdigest()
