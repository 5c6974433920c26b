"""Plain values and arrays in one safetensors file: what `skagile.save` writes and `skagile.load` reads.

Arrays of numbers are the file's tensors, named by their place. All else is JSON in its metadata, with a SHA-256 of the
whole file. Any reader of safetensors opens it; nothing in it is run or looked up by name.
"""

import hashlib
import json
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skagile._files import check_size, replacing

_FORMAT, _VERSION = "skagile-model", 1
_ENTRY = "skagile"  # of the metadata; a single one, whose order is no question
_UNSEALED = "0" * 64
_MOST_HEADER = 16 << 20  # bytes of JSON, of which objects take thirty times as many
_DEEPEST = 60
_AGAIN = "Save the model again with skagile.save, or copy the file again from where it was saved."
_DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
           "float16", "float32", "float64")  # fmt: skip


@dataclass(frozen=True)
class Described:
    """An estimator by the name of its class, its parameters, and how a user has set it up."""

    name: str
    params: dict
    settings: dict


class UnreadableError(ValueError):
    """A file that is no model, or is one no more; the message does not name it."""


def write_model(path: str | os.PathLike, content: dict) -> Path:
    """Write `content` to a file that its owner alone may read; it is there whole or not at all.

    Parameters
    ----------
    path : path-like
        The file; replaced where it exists.
    content : dict
        Nested dicts, lists, tuples, `Described`, str, int, finite or infinite float, bool, None, arrays and NumPy's
        scalars.

    Raises
    ------
    ValueError
        For anything else, named by its place.
    """
    data = model_bytes(content)
    with replacing(path, private=True) as beside:
        beside.write_bytes(data)
    return Path(path)


def model_bytes(content: dict) -> bytes:
    """Bytes of the file, the same for the same content."""
    from safetensors.numpy import save

    tensors = {}
    packed = {name: _pack(value, tensors, name) for name, value in content.items()}
    # The seal comes before all that a user has named: it is found as the first of its kind.
    document = {"sha256": _UNSEALED, "format": _FORMAT, "format_version": _VERSION, **packed}
    data = save(tensors, metadata={_ENTRY: json.dumps(document, allow_nan=False)})
    try:
        check_size("the model", int.from_bytes(data[:8], "little"), most=_MOST_HEADER)
    except ValueError as error:
        raise ValueError(f"{error} That is of names and settings, not of weights. Use shorter names.") from error
    return seal(data)


def seal(data: bytes) -> bytes:
    """Put the SHA-256 of a file into it: of its bytes with zeros in place of it."""
    end = 8 + int.from_bytes(data[:8], "little")
    return data[:end].replace(_UNSEALED.encode(), _digest(data[:end], data[end:]).encode(), 1) + data[end:]


def read_model(path: str | os.PathLike) -> dict:
    """Read what :func:`write_model` wrote.

    Parameters
    ----------
    path : path-like
        The file. It may come from anybody: it costs a few times its size in memory, whatever it promises.

    Raises
    ------
    UnreadableError
        For a file that is damaged, of a later format, or was no model.
    OSError
        For a file that is missing or may not be read.
    """
    # Looked at first: a pipe would keep whoever opens it waiting.
    if not stat.S_ISREG(kind := os.stat(path).st_mode) and not stat.S_ISDIR(kind):
        raise UnreadableError(f"it is a pipe or a device, not a file. {_AGAIN}")
    with open(path, "rb") as stream:
        data = stream.read(os.fstat(stream.fileno()).st_size)
    try:
        document = _document(data)
    except UnreadableError:
        raise
    # Whatever a broken file provokes, in two libraries, means one thing to the caller.
    except Exception as error:
        raise UnreadableError(f"it cannot be read ({type(error).__name__}: {error}). {_AGAIN}") from error
    return document


def _document(data):
    """Content of the bytes of a file."""
    from safetensors.numpy import load

    _require(len(data) > 8, f"it has {len(data)} bytes and no header")
    end = 8 + int.from_bytes(data[:8], "little")
    right = end <= min(len(data), 8 + _MOST_HEADER)
    _require(right, f"its header promises {end - 8} bytes, and it has {len(data) - 8}")
    header = data[:end]
    document = _json(_json(header[8:].decode())["__metadata__"][_ENTRY])
    _check_version(document)
    if not _is_sealed(document.pop("sha256", None), header, data[end:]):
        raise UnreadableError(
            f"it was damaged or changed since it was saved: its SHA-256 is not the one that stands in it. {_AGAIN}"
        )
    tensors = load(data)
    content = {name: _unpack(value, tensors) for name, value in document.items()}
    _require(not tensors, f"it holds arrays that nothing asks for ({', '.join(sorted(tensors))[:80]})")
    return content


def _check_version(document):
    name, version = document.pop("format", None), document.pop("format_version", None)
    _require(name == _FORMAT, f"its format is {str(name)[:40]!r}, expected {_FORMAT!r}")
    if type(version) is not int or version != _VERSION:
        raise UnreadableError(
            f"its format is of version {str(version)[:40]}; this skagile reads version {_VERSION}. Load it with the "
            "release of skagile that saved it, or a later one, or save it again with this one."
        )


def _is_sealed(seal, header, body):
    if type(seal) is not str or len(seal) != len(_UNSEALED):
        return False
    return _digest(header.replace(seal.encode(), _UNSEALED.encode(), 1), body) == seal


def _digest(header, body):
    digest = hashlib.sha256(header)
    digest.update(body)
    return digest.hexdigest()


def _require(right, problem):
    if not right:
        raise UnreadableError(f"{problem}. {_AGAIN}")


def _json(text):
    return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)


def _distinct(pairs):
    table = dict(pairs)
    _require(len(table) == len(pairs), "its JSON has a key twice")
    return table


def _no_constant(name):
    raise UnreadableError(f"its JSON holds {name}. {_AGAIN}")


# ---------------------------------------------------------------------------------------------- values as JSON and back


def _pack(value, tensors, place):
    """Plain values as they are, the rest as a dict of one entry that says what it is."""
    if value is None or type(value) in (str, bool, int):
        return value
    if type(value) is float and not math.isnan(value):
        return value if math.isfinite(value) else {"infinite": value > 0}
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return {"scalar": _keep(np.asarray(value), tensors, place)}
    if type(value) is np.ndarray:
        return _pack_array(value, tensors, place)
    if type(value) in (list, tuple):
        entries = [_pack(entry, tensors, f"{place}.{i}") for i, entry in enumerate(value)]
        return entries if type(value) is list else {"tuple": entries}
    if type(value) is dict:
        return _pack_dict(value, tensors, place)
    if type(value) is Described:
        params, settings = (_pack(part, tensors, place) for part in (value.params, value.settings))
        return {"estimator": [value.name, params, settings]}
    raise ValueError(f"{place} is {_shown(value)}, which a file does not hold")


def _pack_dict(value, tensors, place):
    if all(type(key) is str for key in value):
        return {"dict": {key: _pack(entry, tensors, f"{place}.{key}") for key, entry in value.items()}}
    keys = [key.item() if isinstance(key, np.generic) else key for key in value]
    wrong = [key for key in keys if type(key) not in (str, bool, int, float) or key != key]
    if wrong:
        raise ValueError(f"{place} has the key {wrong[0]!r:.60}; a file holds dicts with keys of str, int and float")
    pairs = zip(keys, value.values(), strict=True)
    return {"pairs": [[_pack(key, tensors, place), _pack(entry, tensors, f"{place}.{key}")] for key, entry in pairs]}


def _pack_array(array, tensors, place):
    if array.dtype.kind == "U":
        width = array.dtype.itemsize // 4
        return {"strings": array.ravel().tolist(), "shape": list(array.shape), "width": width}
    if array.dtype == object and array.ndim == 1:
        return {"objects": [_pack_entry(entry, tensors, f"{place}.{i}") for i, entry in enumerate(array.tolist())]}
    return {"array": _keep(array, tensors, place)}


def _pack_entry(entry, tensors, place):
    if isinstance(entry, list | tuple | dict | np.ndarray | Described):
        raise ValueError(f"{place} is {_shown(entry)} in an array of objects, which a file does not hold")
    return _pack(entry, tensors, place)


def _keep(array, tensors, place):
    """Put an array among the tensors, and return its name."""
    native = array.dtype.newbyteorder("=")
    if native.name not in _DTYPES:
        raise ValueError(f"{place} is an array of dtype {array.dtype}, which a file does not hold")
    name = place
    while name in tensors:
        name += "'"
    tensors[name] = array.astype(native, order="C", copy=True)
    return name


def _unpack(value, tensors, depth=0):
    """Make a value; each tensor is taken once, so that one that is asked for twice does not cost its memory twice."""
    _require(depth < _DEEPEST, f"it is nested deeper than {_DEEPEST}")
    if type(value) is list:
        return [_unpack(entry, tensors, depth + 1) for entry in value]
    if type(value) is float:
        _require(math.isfinite(value), "it holds a number beyond all bounds")
    if type(value) is not dict:
        return value
    if "strings" in value:
        return _unpack_strings(**value)
    _require(len(value) == 1, f"it holds a value of {len(value)} kinds")
    ((kind, inner),) = value.items()
    _require(kind in _UNPACKERS, f"it holds a {kind[:40]!r}, which is no kind of value")
    return _UNPACKERS[kind](inner, tensors, depth + 1)


def _unpack_strings(strings, shape, width):
    right = all(type(text) is str for text in strings) and all(type(size) is int and size >= 0 for size in shape)
    _require(right and type(width) is int and width >= 1, "it holds a wrong array of strings")
    _require(all(len(text) <= width for text in strings), f"it holds strings of more than {width} characters")
    check_size("an array of strings", 4 * width * len(strings), stored=sum(map(len, strings)) + len(strings))
    return np.array(strings, dtype=f"<U{width}").reshape(shape)


def _take(name, tensors, _):
    _require(name in tensors, f"it asks for an array {str(name)[:80]!r} that is not there, or twice")
    return tensors.pop(name)


def _unpack_objects(entries, tensors, depth):
    values = [_unpack(entry, tensors, depth) for entry in entries]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _unpack_described(parts, tensors, depth):
    name, params, settings = (_unpack(part, tensors, depth) for part in parts)
    right = type(name) is str and type(params) is dict and type(settings) is dict
    _require(right, "it holds an estimator without name, parameters and settings")
    return Described(name, params, settings)


_UNPACKERS = {
    "infinite": lambda above, *_: math.inf if above else -math.inf,
    "scalar": lambda name, *rest: _take(name, *rest)[()],
    "array": _take,
    "objects": _unpack_objects,
    "tuple": lambda entries, *rest: tuple(_unpack(entry, *rest) for entry in entries),
    "dict": lambda table, *rest: {key: _unpack(entry, *rest) for key, entry in table.items()},
    "pairs": lambda pairs, *rest: {_unpack(key, *rest): _unpack(entry, *rest) for key, entry in pairs},
    "estimator": _unpack_described,
}


def _shown(value):
    return f"{value!r}"[:60] if isinstance(value, int | float) else f"a {type(value).__module__}.{type(value).__name__}"
