"""
A folder of recordings, anonymized
==================================

A hospital has folders of recordings, not matrices of beats. Here a folder of twelve people is fitted and anonymized,
and one recording is drawn beside an original.
"""

# %%
# A folder as it may lie on a hospital's disk: a folder for each person, WFDB records with names and dates in their
# headers.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import wfdb

from skagile import KSameAnonymizer
from skagile.datasets import make_cohort
from skagile.release import anonymize_recordings, fit_recordings, new_key

place = Path(tempfile.mkdtemp())
cohort = make_cohort(12, 1, duration=20.0, n_leads=12, random_state=0)
for number, (signal, leads) in enumerate(zip(cohort.signals, cohort.leads, strict=True), 1):
    folder = place / "ecgs" / f"patient{number:02}"
    folder.mkdir(parents=True)
    wfdb.wrsamp(
        f"ecg{number:02}",
        fs=cohort.sampling_rate,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        p_signal=np.asarray(signal, dtype=float).T,
        fmt=["16"] * len(leads),
        comments=[f"name: Ada Example-{number}", "age: 61", "sex: F", "ECG date: 07.12.2004"],
        write_dir=str(folder),
    )

# %%
# The key is the secret that pseudonyms follow from. The model holds statistics of the cohort: no beat, and no name.
# Ten people are the least that a person is hidden among; one epoch is enough for an example.

new_key(place / "release.key")
notes = fit_recordings(place / "ecgs", place / "cohort.model", anonymizer=KSameAnonymizer(10, max_epochs=1))
print(f"{notes.n_beats} beats of {notes.n_people} people; leads: {', '.join(notes.leads)}")

done = anonymize_recordings(place / "ecgs", place / "cohort.model", place / "released", place / "release.key")
print(f"{done.n_records} records; samples as in the original: {done.n_kept_samples}")

# %%
# What was written: pseudonyms, checksums, and headers without the person.

print("\n".join(sorted(path.relative_to(place).as_posix() for path in (place / "released").rglob("*"))[:8]))
names = (place / "released" / "RECORDS").read_text().split()
print((place / "released" / f"{names[0]}.hea").read_text())

# %%
# An original and the release of somebody: R peaks stay where they are, the heart is a pseudo-person's. Whose release
# is whose is for the holder of the key alone, so two are drawn that need not belong together.

original = wfdb.rdrecord(str(place / "ecgs" / "patient01" / "ecg01"))
released = wfdb.rdrecord(str(place / "released" / names[0]))
fig, axes = plt.subplots(2, 1, figsize=(9, 4.5), sharex=True, layout="constrained")
for ax, record, title in zip(axes, (original, released), ("an original", "a release"), strict=True):
    time = np.arange(record.sig_len) / record.fs
    shown = time < 8
    for lead in ("II", "V2"):
        ax.plot(time[shown], record.p_signal[shown, record.sig_name.index(lead)], linewidth=0.9, label=lead)
    ax.set_title(title)
    ax.set_ylabel("mV")
    ax.grid(color="0.93")
axes[0].legend(loc="upper right", frameon=False)
axes[1].set_xlabel("s")

# %%
# **What this does not guarantee.** The rhythm is the original's, and may be known. ``skagile audit ecgs released
# --key release.key`` attacks the release; see the user guide on recordings.
