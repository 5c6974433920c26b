"""PhysioNet's own validator on a release: what its editors would run before they take it."""

import shutil

import numpy as np
import pytest
from physionet.validate import ValidationConfig, validate_dataset

from skagile.records import read_entry, write_record
from skagile.release._keys import pseudonym
from skagile.release._scrub import HeaderRules, scrub_header

KEY = bytes(range(32))
HEADER = "{name} 1 250 1000 10:14:33 31/12/2019\n{name}.dat 16 1000(0)/mV 16 0 0 0 0 II\n"
COMMENTS = (
    "# Name: Doe, John\n# SSN 123-45-6789\n# tel. 061-555-0199\n# doe@example.org\n# Age: 93\n# born 01.02.1950\n"
)


def faults(folder):
    """Messages of the validator, errors and warnings alike."""
    result = validate_dataset(str(folder), ValidationConfig(), show_progress=False)
    return [issue.message for check in result.check_results.values() for issue in check.issues]


@pytest.fixture
def sides(tmp_path):
    """Two original records, what leaves of them, and beside each header its copy as a text: it looks at no header."""
    original, released = tmp_path / "original", tmp_path / "released"
    for folder in (original, released):
        folder.mkdir()
        (folder / "README.md").write_text("# A database\n\nAnonymized electrocardiograms.\n")
    for seed, name in enumerate(("doe1", "doe2")):
        (original / f"{name}.hea").write_text(HEADER.format(name=name) + COMMENTS)
        np.random.default_rng(seed).integers(-900, 900, 1000).astype("<i2").tofile(original / f"{name}.dat")
        entry = read_entry(original / name, name, "Doe")
        said = scrub_header(entry, "Doe", KEY, HeaderRules("shift", sex=True), diagnosis="N")
        path = released / pseudonym(KEY, "record", name)
        write_record(path, entry.recording.signal, 250, ["II"], comments=said.comments, date=said.date, time=said.time)
    for header in [*original.glob("*.hea"), *released.glob("*.hea")]:
        shutil.copy(header, header.with_suffix(".txt"))
    for folder in (original, released):  # two texts of the same bytes would be duplicates of the headers
        for text in folder.glob("*.txt"):
            text.write_text(text.read_text() + "\n")
    return original, released


def test_a_release_passes_and_its_original_does_not(sides):
    original, released = sides
    assert faults(released) == []
    told = " ".join(faults(original))
    for what in ("SSN", "email address", "phone number", "Dates within the last 200 years"):
        assert what in told
