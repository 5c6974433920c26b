"""
=======================
Records, rhythm and all
=======================

A beat is anonymized by itself, but what leaves a hospital are records, and a record has a rhythm: when its beats come
tells people apart by itself. From records to released records with :class:`~skagile.anonymizers.KSameAnonymizer`, which
replaces the beats, and their times.
"""

# %%
# Records and their beats
# -----------------------
# Twelve synthetic people, one minute each, band-passed as usual. :meth:`BeatSegmenter.segment
# <skagile.segmentation.BeatSegmenter.segment>` cuts out every beat, here around R peaks that are annotated; without
# ``r_peaks`` it looks for them.

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import butter, sosfiltfilt

from skagile import BeatSegmenter, KSameAnonymizer
from skagile.datasets import make_cohort

cohort = make_cohort(n_subjects=12, n_sessions=1, duration=60.0, random_state=0)
fs = cohort.sampling_rate
band = butter(2, (0.5, 40.0), btype="bandpass", fs=fs, output="sos")
records = np.stack([sosfiltfilt(band, signals[0]) for signals in cohort.signals])

segmenter = BeatSegmenter(sampling_rate=fs, window=(0.25, 0.45))
beats = segmenter.segment(records, r_peaks=[marks.sample for marks in cohort.annotations])
symbols = [dict(zip(marks.sample, marks.symbol, strict=True)) for marks in cohort.annotations]
y = np.array([symbols[record][sample] for record, sample in zip(beats.record, beats.r_peak, strict=True)])
subjects = np.asarray(cohort.subjects)[beats.record]
times = beats.r_peak / fs
print(f"{len(beats.X)} beats of {len(records)} records")

# %%
# Fit and release
# ---------------
# ``subjects`` says whose a beat is, ``times`` when it came, ``records`` which of them follow one another. Beats are
# drawn from the law of a group of at least four people, and R-R intervals, in runs, from theirs. With the beats given
# as ``X`` intervals fit diagnoses: a premature beat comes early, and a pause follows. Groups as small as these are for
# the page to be quick, and what their keys give away is printed before anything leaves the house: from all beats of a
# person, ``"fused"``, the mix of diagnoses names more people than a single beat does.

ksame = KSameAnonymizer(k=4, grouping="class_mix", rhythm="resample", random_state=0)
released = ksame.fit_transform(beats.X, y, subjects=subjects, times=times, records=beats.record)
new_times = ksame.resample_times(times, subjects=subjects, records=beats.record, X=beats.X)

print("people in each group:", ksame.summary_["group_sizes"])
for key in ksame.summary_["small_keys"]:
    print(f"group {key['group']}, {key['diagnosis']}: {key['n_subjects']} people, {key['done']}")
print("shares named right by who sees the keys alone:")
print({name: round(share, 2) for name, share in ksame.expected_leakage_.items()})

# %%
# What the rhythm tells
# ---------------------
# Before, everybody has a heart rate of their own. After, members of a group have the intervals of all of them. Runs of
# some twenty intervals are few in a minute: medians still differ, by chance and no longer by person.

figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
order = np.argsort(ksame.groups_, kind="stable")
for panel, seconds, title in ((panels[0], times, "before"), (panels[1], new_times, "after")):
    for place, person in enumerate(order):
        mine = 1000 * np.diff(seconds[subjects == ksame.subjects_[person]])
        spread = np.linspace(-0.3, 0.3, len(mine))
        panel.plot(place + spread, mine, ".", markersize=3, color="#5b6b7b")
        panel.plot([place - 0.35, place + 0.35], 2 * [np.median(mine)], color="#c8420c", linewidth=2)
    for border in np.flatnonzero(np.diff(ksame.groups_[order])):
        panel.axvline(border + 0.5, color="black", linewidth=0.8, linestyle="--")
    panel.set(title=title, xlabel="people, by group", xticks=range(len(order)), xticklabels=order + 1)
panels[0].set_ylabel("R-R intervals (ms)")
panels[0].plot([], [], ".", color="#5b6b7b", label="interval")
panels[0].plot([], [], color="#c8420c", linewidth=2, label="median")
panels[0].legend(frameon=True, fontsize=8)
plt.show()

# %%
# Back to records
# ---------------
# Beats go to their new places in **flat** records: what lies between beats is not the patient's either. All are cut to
# **one length**, that of the shortest. A minute's beats counted is a heart rate, and the resampled records would be as
# long as so many beats take.

before = round(segmenter.window[0] * fs)
r_peak = before + np.round(new_times * fs).astype(int)
length = min(r_peak[beats.record == record].max() for record in range(len(records)))
fits = r_peak + beats.X.shape[1] - before <= length
flat = np.zeros((len(records), length))
anonymized = segmenter.restore(flat, released[fits], r_peak[fits], beats.record[fits])
print(f"{len(anonymized)} records of {length / fs:.1f} s")

# %%
# A record before and after
# -------------------------
# One with a ventricular beat. The released record has another rhythm and other people's beats. Premature beats need no
# longer be early: diagnoses keep their order, intervals have one of their own.

ventricular = np.flatnonzero((y == "V") & fits)
middle = ventricular[np.argmin(np.abs(times[ventricular] - 25))]
chosen = beats.record[middle]
figure, axes = plt.subplots(2, 1, figsize=(9, 4.2), sharey=True, layout="constrained")
for panel, signal, peaks, title in (
    (axes[0], records[chosen], beats.r_peak, "original"),
    (axes[1], anonymized[chosen], np.where(fits, r_peak, -1), "released"),
):
    start = peaks[middle] / fs - 4
    seconds = np.arange(len(signal)) / fs
    shown = (seconds >= start) & (seconds < start + 8)
    panel.plot(seconds[shown], signal[shown], color="black", linewidth=0.9)
    for row in np.flatnonzero((beats.record == chosen) & (peaks >= 0)):
        if shown[peaks[row]]:
            weight = "normal" if y[row] == "N" else "bold"
            panel.text(
                peaks[row] / fs,
                0.98,
                y[row],
                ha="center",
                va="top",
                weight=weight,
                transform=panel.get_xaxis_transform(),
            )
    panel.set(xlim=(start, start + 8), ylabel="mV")
    panel.set_title(title, fontsize=10)
    panel.grid(linewidth=0.4)
    panel.margins(y=0.2)
axes[1].set_xlabel("time (s)")
plt.show()

# %%
# What is left
# ------------
# How many beats a group's people have in this time, the order of diagnoses (``class_mix="resample"``, for records of
# beats in three dimensions, draws them from the group's mix) and whatever stands beside the signal: dates, names of
# files, headers. An audit with ``evidence=Evidence(times=..., released_times=...)`` lets an attacker try the rhythm,
# and :doc:`/studies/ksame_rhythm` has what is got of real recordings.
