"""What a folder holds that has no WFDB records, and the way from there."""

import os
from collections import Counter
from itertools import islice
from pathlib import Path

_MOST_FILES = 10_000
_EDF = "Convert them with PhysioNet's edf2mit, or read them in Python (pyedflib or mne) and write them with wfdb.wrsamp"
_WAYS = {
    ".edf": _EDF,
    ".bdf": _EDF,
    ".gdf": _EDF,
    ".dat": "Their headers (.hea) are missing: copy them beside the .dat files",
    ".mat": "Read them with scipy.io.loadmat and write them with wfdb.wrsamp; those of the PhysioNet Challenges need "
    "their headers (.hea) beside them",
    ".csv": "Read them with pandas and write them with wfdb.wrsamp",
    ".txt": "Read them with numpy.loadtxt and write them with wfdb.wrsamp",
    ".xml": "Read them in Python (HL7 aECG, Philips and GE have readers of their own) and write them with wfdb.wrsamp",
    ".dcm": "Read them with pydicom and write them with wfdb.wrsamp",
    ".scp": "Convert them to WFDB first",
    ".hdf5": "CODE-15% is read by fetch_code15; others by h5py: write them with wfdb.wrsamp",
    ".h5": "CODE-15% is read by fetch_code15; others by h5py: write them with wfdb.wrsamp",
    ".npz": "Of beats, name two such files instead of folders",
    ".npy": "Write beats with numpy.savez, or records with wfdb.wrsamp",
    ".zip": "Unpack it",
    ".gz": "Unpack it",
    ".tar": "Unpack it",
}


def what_is_there(root: Path) -> str:
    """Say what files a folder without .hea files holds, and what can be done with the most frequent kind."""
    files = (Path(folder, name) for folder, _, names in os.walk(root) for name in names if not name.startswith("."))
    kinds = Counter(file.suffix.lower()[:12] for file in islice(files, _MOST_FILES))
    if not kinds:
        return "It is empty. Correct the path."
    there = ", ".join(f"{count} {kind or 'without extension'}" for kind, count in kinds.most_common(4))
    known = next((kind for kind, _ in kinds.most_common() if kind in _WAYS), None)
    way = f"{_WAYS[known]}, or correct the path." if known else "Correct the path, or convert them to WFDB."
    return f"It holds files of other kinds: {there}. {way}"
