"""
=================================
A perturbation that stays in band
=================================

The perturbation of :class:`~skagile.anonymizers.AgileAnonymizer` moves every sample by the sign of a gradient, so it
looks like a square wave: fuzz on top of the beat, part of it above 40 Hz, where an electrocardiogram has nothing to
say. A reader sees it at once, and a low-pass filter takes some of it away. ``smooth=True`` keeps the perturbation in
the band of the electrocardiogram instead.
"""

# %%
# Beats, and one anonymizer
# -------------------------
# The surrogate networks are fitted once. How they are used, with or without ``smooth``, is decided at ``transform``.

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import periodogram

from skagile import AgileAnonymizer
from skagile.datasets import beats_from_records, make_cohort

cohort = make_cohort(n_subjects=12, n_sessions=2, duration=40.0, random_state=0)
beats = beats_from_records(cohort, sessions="date", sampling_rate=180.0)
first, later = beats.sessions == 0, beats.sessions == 1

agile = AgileAnonymizer(sampling_rate=beats.sampling_rate, max_epochs=10, random_state=0)
agile.fit(beats.X[first], beats.y[first], subjects=beats.subjects[first])
epsilon = agile.epsilon
# A smooth perturbation touches the edge of the ball in few samples, so it is given a larger ball.
wider = round(4 / 3 * epsilon, 2)
released = {
    "as it is": agile.transform(beats.X[later]),
    f"smooth, epsilon={wider}": agile.set_params(smooth=True, epsilon=wider).transform(beats.X[later]),
}

# %%
# The same beat, twice
# --------------------

original = beats.X[later]
time = 1000 * (np.arange(original.shape[1]) / beats.sampling_rate - 0.25)
colours = ("#c8420c", "#2a6f97")
figure, axes = plt.subplots(2, 2, figsize=(9, 5.5), sharex=True, sharey="row", layout="constrained")
for column, (name, X), colour in zip(axes.T, released.items(), colours, strict=True):
    column[0].plot(time, original[3], color="#5b6b7b", linewidth=2.4, label="original")
    column[0].plot(time, X[3], color=colour, linewidth=1.2, label="released")
    column[0].set_title(name, fontsize=10)
    column[0].legend(frameon=False)
    column[1].plot(time, X[3] - original[3], color=colour, linewidth=1.2)
    column[1].axhline(0, color="black", linewidth=0.5)
    column[1].set_xlabel("time from the R peak (ms)")
axes[0, 0].set_ylabel("beat (mV)")
axes[1, 0].set_ylabel("change (mV)")
plt.show()

# %%
# Where the change is, in frequency
# ---------------------------------
# The mean power of the change over all beats. The smooth one ends at 40 Hz, like the beats themselves.

figure, panel = plt.subplots(figsize=(7, 3.2), layout="constrained")
window = {"fs": beats.sampling_rate, "window": "hann", "axis": 1}
frequency, power = periodogram(original, **window)
panel.semilogy(frequency, power.mean(axis=0), color="#5b6b7b", linewidth=2.4, label="original beats")
for (name, X), colour in zip(released.items(), colours, strict=True):
    panel.semilogy(
        frequency, periodogram(X - original, **window)[1].mean(axis=0), color=colour, label=f"change, {name}"
    )
panel.axvline(40, color="black", linewidth=0.8, linestyle="--")
panel.set(xlabel="frequency (Hz)", ylabel="power (mV²/Hz)", xlim=(0, 90), ylim=(1e-9, None))
panel.legend(frameon=False)
plt.show()

# %%
# What it costs, and whom it hides
# --------------------------------
# Figures in clinicians' units, and the share of beats whose person is named by an attacker who was trained on
# originals. An attacker who is retrained on either release names people as before; see :doc:`plot_first_anonymization`.

from skagile.attackers import SVDIdentifier

attacker = SVDIdentifier().fit(beats.X[first], beats.subjects[first])
print(f"original: {attacker.score(original, beats.subjects[later]):.0%} named right")
for name, X in released.items():
    summary = agile.summarize(original, X)
    print(
        f"{name}: {attacker.score(X, beats.subjects[later]):.0%} named right; PRDN {summary['prdn']:.0f} %, "
        f"SNR {summary['snr']:.1f} dB, mean change {summary['mean_change']:.3f} mV, largest {summary['max_change']:.2f}"
        " mV"
    )
