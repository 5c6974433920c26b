"""Recordings from files: WFDB records and folders of them, read safely, and signals that stay in their files."""

from skagile.records._lazy import LazySignals
from skagile.records._wfdb import Recording, read_annotation, read_record

# isort: split
# For the rooms above.
from skagile.records._contents import what_is_there as what_is_there
from skagile.records._edf_writer import write_edf as write_edf
from skagile.records._entry import Entry as Entry
from skagile.records._entry import records_bunch as records_bunch
from skagile.records._folder import is_file_of_its_own as is_file_of_its_own
from skagile.records._folder import other_files as other_files
from skagile.records._folder import read_entry as read_entry
from skagile.records._folder import record_files as record_files
from skagile.records._folder import record_names as record_names
from skagile.records._folder import recording_names as recording_names
from skagile.records._folder import said_in_file as said_in_file
from skagile.records._folder import session_in_header as session_in_header
from skagile.records._formats import check_readers as check_readers
from skagile.records._formats import is_told_by_suffix as is_told_by_suffix
from skagile.records._formats import kind_of as kind_of
from skagile.records._formats import read_any as read_any
from skagile.records._header import check_relative as check_relative
from skagile.records._header import signal_files as signal_files
from skagile.records._header import signal_sizes as signal_sizes
from skagile.records._headers import comment_fields as comment_fields
from skagile.records._headers import is_unknown as is_unknown
from skagile.records._headers import parse_age as parse_age
from skagile.records._headers import parse_date as parse_date
from skagile.records._headers import parse_sex as parse_sex
from skagile.records._identity import DoubtfulIdentityError as DoubtfulIdentityError
from skagile.records._identity import check_one_person as check_one_person
from skagile.records._identity import subject_rule as subject_rule
from skagile.records._lazy import UnreadableRecordError as UnreadableRecordError
from skagile.records._wfdb import lead_units as lead_units
from skagile.records._writer import standard_symbols as standard_symbols
from skagile.records._writer import write_record as write_record

__all__ = ["LazySignals", "Recording", "read_annotation", "read_record"]
