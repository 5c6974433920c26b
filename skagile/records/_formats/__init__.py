"""Recordings in other files than WFDB's: EDF, DICOM, SCP-ECG, HL7 aECG, GE MUSE, ISHNE, and signals as CSV or ``.npz``.

Which library reads what: EDF through edfio, which keeps the signals in their file and knows rates exactly; DICOM,
SCP-ECG, both kinds of XML and ISHNE through ecgdatakit, DICOM on top of pydicom.
"""

from skagile.records._formats._kinds import check_readers as check_readers
from skagile.records._formats._kinds import is_told_by_suffix as is_told_by_suffix
from skagile.records._formats._kinds import kind_of as kind_of
from skagile.records._formats._read import read_any as read_any
from skagile.records._formats._result import FileRecord as FileRecord
