"""Arrays and JSON in one file that runs nothing when it is read.

The file is an uncompressed zip: ``content.json`` says how things nest, ``arrays/0.npy`` and so on hold the numbers.
Any unzip opens it. Pickle is used neither to write nor to read.
"""

import hashlib
import io
import json
import os
import zipfile
from math import prod

import numpy as np

from skagile._files import check_size, npy_header, replacing

_FORMAT = "skagile/archive-1"
_CONTENT = "content.json"
_MOST_CONTENT = 16 << 20  # bytes of JSON, of which objects take thirty times as many


class DamagedArchiveError(ValueError):
    """A file that is no archive of this package, or is one no more."""


def write_archive(path: str | os.PathLike, content: object, *, private: bool = False) -> None:
    """Write `content` to a file, which is there whole or not at all.

    Parameters
    ----------
    path : path-like
        The file; replaced where it exists.
    content : dict, list, tuple, ndarray, str, int, float, bool or None
        Nested as deep as JSON goes; keys are text. NumPy's scalars come back as Python's.
    private : bool, default=False
        The file's owner alone may read it.

    Raises
    ------
    TypeError
        For anything else, an array of objects among it.
    """
    arrays = []
    skeleton = json.dumps({"format": _FORMAT, "content": _pack(content, arrays, "content")})
    with replacing(path, private=private) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        # A ZipInfo by name alone has a fixed date: the same content gives the same bytes.
        archive.writestr(zipfile.ZipInfo(_CONTENT), skeleton)
        for number, array in enumerate(arrays):
            with archive.open(zipfile.ZipInfo(_member(number)), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def content_digest(content: object) -> str:
    """Digest of all that an archive keeps of `content`: the same before it is written and after it was read.

    Parameters
    ----------
    content : dict, list, tuple, ndarray, str, int, float, bool or None
        As of :func:`write_archive`.

    Returns
    -------
    digest : str
        SHA-256 in hexadecimal, of how things nest and of every array's type, shape and bytes.
    """
    arrays = []
    digest = hashlib.sha256(json.dumps(_pack(content, arrays, "content")).encode())
    for array in arrays:
        digest.update(f"\n{np.lib.format.dtype_to_descr(array.dtype)} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_archive(path: str | os.PathLike) -> object:
    """Read what :func:`write_archive` wrote.

    Parameters
    ----------
    path : path-like
        The file. It may come from anybody: nothing in it is run, and it costs no more memory than its size.

    Returns
    -------
    content : dict, list, tuple, ndarray, str, int, float, bool or None

    Raises
    ------
    DamagedArchiveError
        For a file that is damaged or was no archive.
    OSError
        For a file that is missing or may not be read.
    """
    # Opened here, so that what is missing does not count as damaged.
    with open(path, "rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                check_size(_CONTENT, archive.getinfo(_CONTENT).file_size, most=_MOST_CONTENT)
                document = json.loads(_read(archive, _CONTENT))
                if document["format"] != _FORMAT:
                    raise ValueError(f"its format is {str(document['format'])[:40]!r}, not {_FORMAT!r}")
                return _unpack(document["content"], archive, [os.fstat(stream.fileno()).st_size])
        # Whatever a broken file provokes, in three libraries, means one thing to the caller.
        except Exception as error:
            raise DamagedArchiveError(f"{path} cannot be read as an archive of skagile: {error!r}") from error


def _member(number):
    return f"arrays/{number}.npy"


def _read(archive, name):
    """Bytes of a member; stored ones only, since a few compressed bytes can grow to any size."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"{name} is compressed")
    return archive.read(info)


def _pack(value, arrays, place):
    """Plain values as they are, the rest as a dict of one entry that says what it is."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"{place} is an array of objects (dtype {value.dtype}), which an archive does not hold.")
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, list | tuple):
        entries = [_pack(entry, arrays, f"{place}[{i}]") for i, entry in enumerate(value)]
        return entries if isinstance(value, list) else {"tuple": entries}
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{place} has the key {wrong[0]!r}; the keys of an archive are text.")
        return {"dict": {key: _pack(entry, arrays, f"{place}[{key!r}]") for key, entry in value.items()}}
    raise TypeError(f"{place} is a {type(value).__name__}, which an archive does not hold.")


def _unpack(value, archive, left):
    """Make the content; `left` counts down the bytes of the file: an array that stands twice takes its memory twice."""
    if isinstance(value, list):
        return [_unpack(entry, archive, left) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "array":
        return _read_array(archive, _member(int(inner)), left)
    if kind == "tuple":
        return tuple(_unpack(entry, archive, left) for entry in inner)
    if kind == "dict":
        return {key: _unpack(entry, archive, left) for key, entry in inner.items()}
    raise ValueError(f"it holds a {kind!r}")


def _read_array(archive, name, left):
    check_size(name, archive.getinfo(name).file_size, most=left[0])
    stream = io.BytesIO(_read(archive, name))
    n_bytes = stream.getbuffer().nbytes
    left[0] -= n_bytes
    shape, dtype = npy_header(stream)
    if dtype.itemsize * prod(shape) != n_bytes - stream.tell():
        raise ValueError(f"{name} promises an array of shape {shape}, and holds {n_bytes} bytes")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
