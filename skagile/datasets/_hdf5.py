"""HDF5 files of tracings, opened with suspicion."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py

_MAX_ROWS = 10_000_000
_MAX_CHUNK_BYTES = 512 << 20
# deflate, shuffle, fletcher32, szip, nbit, scale-offset, and h5py's lzf: whatever else would load a plugin.
_KNOWN_FILTERS = {1, 2, 3, 4, 5, 6, 32000}


def h5py_module() -> ModuleType:
    """Import h5py, which only this database needs."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            'CODE-15% is stored in HDF5 files, which need h5py: pip install "skagile[code15]".'
        ) from error
    return h5py


def open_part(path: Path, n_leads: int, n_times: int) -> "h5py.File":
    """Open an HDF5 file of ``exam_id`` (n,) and ``tracings`` (n, n_times, n_leads) for reading.

    Raises
    ------
    ValueError
        If it is no HDF5 file, is cut short, lacks a dataset, has another shape or type, or if a dataset is a link or
        takes its content from elsewhere.
    """
    h5py = h5py_module()
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: no HDF5 file, or cut short ({error}). Unpack it again.") from error
    try:
        shapes = {name: _dataset(h5py, file, name, path).shape for name in ("exam_id", "tracings")}
        n_rows = shapes["tracings"][0] if shapes["tracings"] else 0
        if shapes != {"exam_id": (n_rows,), "tracings": (n_rows, n_times, n_leads)} or not 0 < n_rows <= _MAX_ROWS:
            raise ValueError(
                f"{path}: shapes {shapes}; expected exam_id (n,) and tracings (n, {n_times}, {n_leads}), n from 1 to "
                f"{_MAX_ROWS}."
            )
        for name, kinds in (("exam_id", "iu"), ("tracings", "fi")):
            if file[name].dtype.kind not in kinds or file[name].dtype.itemsize > 8:
                raise ValueError(f"{path}: {name} is of type {file[name].dtype}; expected numbers.")
    except BaseException:
        file.close()
        raise
    return file


def _dataset(h5py, file, name, path):
    """Return a dataset that is in this very file and that HDF5 itself can read."""
    link = file.get(name, getlink=True) if name in file.keys() else None  # noqa: SIM118 - `in file` follows links
    if link is None:
        raise ValueError(f"{path}: no dataset {name!r}; expected exam_id and tracings.")
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{path}: {name!r} is a link to elsewhere ({type(link).__name__}). It is not followed.")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{path}: {name!r} is no dataset.")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: {name!r} takes its content from other files. They are not read.")
    chunk_bytes = dataset.dtype.itemsize
    for length in dataset.chunks or ():
        chunk_bytes *= length
    if chunk_bytes > _MAX_CHUNK_BYTES:
        raise ValueError(f"{path}: {name!r} is stored in chunks of {chunk_bytes} bytes: no batch is that large.")
    made = dataset.id.get_create_plist()
    filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
    if not filters <= _KNOWN_FILTERS:
        raise ValueError(f"{path}: {name!r} is compressed by an unknown filter {sorted(filters - _KNOWN_FILTERS)}.")
    return dataset
