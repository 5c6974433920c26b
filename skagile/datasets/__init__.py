"""Records and beats: PhysioNet databases, folders of WFDB records, and synthetic cohorts."""

from skagile.datasets._base import get_data_home
from skagile.datasets._batches import iter_record_batches
from skagile.datasets._beats import beats_from_records
from skagile.datasets._code15 import fetch_code15
from skagile.datasets._cohort import make_cohort
from skagile.datasets._directory import fetch_directory
from skagile.datasets._ecgid import fetch_ecgid, load_ecgid_beats
from skagile.datasets._heartprint import fetch_heartprint, load_heartprint_beats
from skagile.datasets._ludb import fetch_ludb, load_ludb_beats
from skagile.datasets._mimic_iv_ecg import fetch_mimic_iv_ecg
from skagile.datasets._mitdb import fetch_mitdb, load_mitdb_beats
from skagile.datasets._ptbdb import fetch_ptbdb, load_ptbdb_beats

# isort: split
# For the rooms above.
from skagile.datasets._annotated import AAMI_CLASSES as AAMI_CLASSES
from skagile.datasets._annotated import FINE_CLASSES as FINE_CLASSES
from skagile.datasets._annotated import beats_among as beats_among
from skagile.datasets._annotated import has_beats as has_beats
from skagile.datasets._annotated import symbols_at as symbols_at
from skagile.datasets._beats import RecordCutter as RecordCutter
from skagile.datasets._beats import bridge as bridge
from skagile.datasets._beats import check_pair as check_pair
from skagile.datasets._beats import pick_leads as pick_leads
from skagile.datasets._sessions import choose_sessions as choose_sessions
from skagile.datasets._sessions import draw as draw
from skagile.datasets._sessions import record_sessions as record_sessions

__all__ = [
    "beats_from_records",
    "fetch_code15",
    "fetch_directory",
    "fetch_ecgid",
    "fetch_heartprint",
    "fetch_ludb",
    "fetch_mimic_iv_ecg",
    "fetch_mitdb",
    "fetch_ptbdb",
    "get_data_home",
    "iter_record_batches",
    "load_ecgid_beats",
    "load_heartprint_beats",
    "load_ludb_beats",
    "load_mitdb_beats",
    "load_ptbdb_beats",
    "make_cohort",
]
