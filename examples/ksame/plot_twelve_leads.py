"""
=======================
Twelve leads, one heart
=======================

A recording of twelve leads is one heart seen from twelve places. Here a synthetic recording is released with all its
leads from one pseudo-person, drawn on paper, and attacked with all leads together and with each alone.
"""

# %%
# Recordings and beats
# --------------------
# The leads of the cohort are those of one dipole in the chest. R peaks are found over all leads together, and a beat
# has all of them.

import matplotlib.pyplot as plt
import numpy as np

from skagile import BeatSegmenter, KSameAnonymizer, audit_release
from skagile.datasets import make_cohort
from skagile.leads import lead_residual
from skagile.plotting import plot_ecg

cohort = make_cohort(n_subjects=12, n_sessions=2, duration=12.0, sampling_rate=250, n_leads=12, random_state=0)
names = cohort.leads[0]
segmenter = BeatSegmenter(sampling_rate=250, lead="all", window=(0.3, 0.4))
beats = segmenter.segment(cohort)
print("beats:", beats.X.shape, "of leads", ", ".join(names))

# %%
# Each beat has the diagnosis of the nearest annotation. The release must keep it.

y = np.empty(len(beats.record), dtype="<U1")
for record, marks in enumerate(cohort.annotations):
    own = np.flatnonzero(beats.record == record)
    nearest = np.abs(beats.r_peak[own, None] - marks.sample).argmin(axis=1)
    y[own] = np.where(np.asarray(marks.symbol)[nearest] == "V", "V", "N")
subjects = np.asarray(cohort.subjects)[beats.record]

# %%
# The release
# -----------
# With ``lead_names`` k-same draws the eight independent leads and derives the other limb leads, so that Einthoven's and
# Goldberger's laws hold in the release as in the original.

ksame = KSameAnonymizer(k=6, max_draws=2, lead_names=names, random_state=0)
released = ksame.fit_transform(beats.X, y, subjects=subjects, records=beats.record)
for what, values in (("original", beats.X), ("release", released)):
    print(
        f"{what}: limb leads contradict each other by {1000 * lead_residual(values, names).max:.2g} microvolts at most"
    )

# %%
# Written back at the original's R peaks, into a level line: what lies between the beats of a recording is the source's
# own, and has no place in a release.

record = 3
own = beats.record == record
level = np.zeros((1, *np.shape(cohort.signals[record])), dtype=np.float32)
made = segmenter.restore(level, released[own], beats.r_peak[own], np.zeros(own.sum(), dtype=int))[0]
figure = plt.figure(figsize=(11, 10), layout="constrained")
for part, signal, title in zip(
    figure.subfigures(2, 1), (cohort.signals[record], made), ("original", "release"), strict=True
):
    plot_ecg(signal, 250, lead_names=names, duration=10.0, ax=part.subplots(), title=title)

# %%
# The attack
# ----------
# The verdict is the worst of all leads together and each lead alone. Together they tell more of the originals than any
# lead does; of the release, nothing more than guessing does.

report = audit_release(
    beats.X[:, :, [0, 1, 6, 10]],
    released[:, :, [0, 1, 6, 10]],
    y,
    subjects=subjects,
    sessions=np.asarray(cohort.sessions)[beats.record],
    attackers=["svd"],
    knowledge=["clean", "adaptive"],
    lead_names=[names[lead] for lead in (0, 1, 6, 10)],
)
report.leads()[["lead", "level", "value", "low", "high", "null"]].round(3)
