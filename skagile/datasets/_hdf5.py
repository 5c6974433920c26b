"""HDF5 files of tracings, opened with suspicion."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from skagile._files import check_size

if TYPE_CHECKING:
    import h5py
    import numpy as np

_MAX_ROWS = 10_000_000
_MAX_CHUNK_BYTES = 256 << 20
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
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: no HDF5 file, or cut short ({error}). Unpack it again.") from error
    try:
        _check_part(h5py, file, path, n_leads, n_times)
    except ValueError:
        file.close()
        raise
    # A damaged file makes HDF5 raise whatever the place was: KeyError, RuntimeError, TypeError.
    except Exception as error:
        file.close()
        raise ValueError(f"{path}: a damaged HDF5 file ({type(error).__name__}: {error}). Unpack it again.") from error
    except BaseException:
        file.close()
        raise
    return file


def read_part(file: "h5py.File", path: Path, name: str, rows: object) -> "np.ndarray":
    """Read rows of a dataset of a part that `open_part` opened.

    Raises
    ------
    ValueError
        Where the file is damaged there.
    """
    try:
        return file[name][rows]
    except Exception as error:
        raise ValueError(
            f"{path}: {name} cannot be read ({type(error).__name__}: {error}). The file is damaged; unpack it again."
        ) from error


def _check_part(h5py, file, path, n_leads, n_times):
    datasets = {name: _dataset(h5py, file, name, path) for name in ("exam_id", "tracings")}
    shapes = {name: dataset.shape for name, dataset in datasets.items()}
    n_rows = shapes["tracings"][0] if shapes["tracings"] else 0
    if shapes != {"exam_id": (n_rows,), "tracings": (n_rows, n_times, n_leads)} or not 0 < n_rows <= _MAX_ROWS:
        raise ValueError(
            f"{path}: shapes {shapes}; expected exam_id (n,) and tracings (n, {n_times}, {n_leads}), n from 1 to "
            f"{_MAX_ROWS}."
        )
    for (name, dataset), kinds in zip(datasets.items(), ("iu", "fi"), strict=True):
        if dataset.dtype.kind not in kinds or dataset.dtype.itemsize > 8:
            raise ValueError(f"{path}: {name} is of type {dataset.dtype}; expected numbers.")
    # All of it is read at once; of tracings some rows are.
    check_size(f"{path}: exam_id", 8 * n_rows, stored=datasets["exam_id"].id.get_storage_size(), shrinking=1000)


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
    check_size(f"{path}: a chunk of {name!r} (no batch is that large)", chunk_bytes, most=_MAX_CHUNK_BYTES)
    made = dataset.id.get_create_plist()
    filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
    if not filters <= _KNOWN_FILTERS:
        raise ValueError(f"{path}: {name!r} is compressed by an unknown filter {sorted(filters - _KNOWN_FILTERS)}.")
    return dataset
