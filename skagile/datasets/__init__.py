"""Records and beats: PhysioNet databases, folders of WFDB records, and synthetic cohorts."""

from ._base import get_data_home
from ._batches import iter_record_batches
from ._beats import beats_from_records
from ._code15 import fetch_code15
from ._cohort import make_cohort
from ._directory import fetch_directory
from ._ecgid import fetch_ecgid, load_ecgid_beats
from ._lazy import LazySignals
from ._ludb import fetch_ludb, load_ludb_beats
from ._mimic_iv_ecg import fetch_mimic_iv_ecg
from ._mitdb import fetch_mitdb, load_mitdb_beats
from ._ptbdb import fetch_ptbdb, load_ptbdb_beats

__all__ = [
    "LazySignals",
    "beats_from_records",
    "fetch_code15",
    "fetch_directory",
    "fetch_ecgid",
    "fetch_ludb",
    "fetch_mimic_iv_ecg",
    "fetch_mitdb",
    "fetch_ptbdb",
    "get_data_home",
    "iter_record_batches",
    "load_ecgid_beats",
    "load_ludb_beats",
    "load_mitdb_beats",
    "load_ptbdb_beats",
    "make_cohort",
]
