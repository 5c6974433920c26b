"""One file to a recording: whatever is wrong with it is one kind of error."""

import errno
import warnings
from pathlib import Path

from skagile._files import check_size
from skagile.records._formats import _kinds as kinds
from skagile.records._formats._csv import read_csv
from skagile.records._formats._edf import read_edf
from skagile.records._formats._kit import read_with_kit
from skagile.records._formats._npz import read_npz
from skagile.records._formats._result import FileRecord

_MOST_NOTES = 10
# Of a place in a file that it sends its reader to; all others are the machine's.
_OF_THE_FILE = (None, errno.EINVAL, errno.EOVERFLOW)
_MOST_BYTES = {
    kinds.EDF: 1 << 34,
    kinds.CSV: 1 << 28,
    kinds.NPZ: 1 << 34,
    kinds.DICOM: 1 << 26,
    kinds.ISHNE: 1 << 29,
    # Of four bytes an element makes a hundred.
    kinds.AECG: 1 << 25,
    kinds.MUSE: 1 << 25,
    # A bit may be a sample there.
    kinds.SCP: 1 << 23,
}


def read_any(path: Path, *, with_signals: bool = True) -> FileRecord:
    """Read a recording of a kind that :func:`kind_of` tells.

    Parameters
    ----------
    path : Path
    with_signals : bool, default=True
        False: only what it says in words, its date, age and sex.

    Raises
    ------
    ValueError
        For a file that is damaged or hostile, or no electrocardiogram. It names the file.
    ImportError
        Where the library that reads such files is not there.
    OSError
        For a file that is missing or may not be read.
    """
    kind = kinds.kind_of(path)
    if not kind:
        raise ValueError(f"{path}: no recording of a kind that is read.")
    kinds.check_readers([kind])
    check_size(path, path.stat().st_size, most=_MOST_BYTES[kind])
    own = {kinds.EDF: read_edf, kinds.CSV: read_csv, kinds.NPZ: read_npz}
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if kind in own:
                read = own[kind](path, with_signals=with_signals)
            else:
                read = read_with_kit(path, kind, with_signals=with_signals)
        notes = dict.fromkeys(" ".join(str(one.message).split())[:200] for one in said[:_MOST_NOTES])
        read.recording.notes += notes
        return read
    except OSError as error:
        if error.errno not in _OF_THE_FILE:
            raise
        raise ValueError(_fault(path, kind, error)) from error
    # Whatever a broken file provokes, in several libraries, means one thing to the caller.
    except Exception as error:
        raise ValueError(_fault(path, kind, error)) from error


def _fault(path, kind, error):
    text = " ".join(str(error).split())
    if isinstance(error, ValueError) and text.startswith(f"{path}: "):
        return text
    return f"{path}: not a sound {kind} file ({type(error).__name__}: {text[:300]}). Copy or export it again."
