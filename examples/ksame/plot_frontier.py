"""
====================================
Every anonymizer, on the same people
====================================

What a release is worth, and what it gives away, for every anonymizer of the package on the same split: the diagnosis,
as a network reads it, against the beats whose person is named by the worst attacker who **retrains on the release**.
:doc:`/user_guide/anonymizers` says which anonymizer is for which release.
"""

# %%
# Beats
# -----
# A synthetic cohort: sixteen people on two dates. Anonymizers are fitted on the first date and release both. Attackers
# learn released beats of the first date, and are tested on those of the second.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skagile.datasets import beats_from_records, make_cohort

cohort = make_cohort(n_subjects=16, n_sessions=2, duration=25.0, random_state=0)
beats = beats_from_records(cohort, sessions="date", sampling_rate=100.0)
first = beats.sessions == 0
enrolled = {"X": beats.X[first], "y": beats.y[first], "subjects": beats.subjects[first]}
print(f"{first.sum()} beats of the first date and {(~first).sum()} of the second")

# %%
# Releases
# --------
# :class:`~skagile.anonymizers.AgileAnonymizer` adds noise of at most ``epsilon`` standard deviations of the beat;
# :class:`~skagile.anonymizers.WarpAnonymizer` bends time and amplitude. Both keep a person's own beats.
# :class:`~skagile.anonymizers.KSameAnonymizer` puts in their place beats of pseudo-people, drawn from a law of all of
# them (the default), or of groups of at least ``k``. It is told whose beats are whose; what it looks at besides, the
# *key* of a beat, is what an attacker can learn from. Fewer epochs and steps than by default keep this page quick.

import sklearn
from sklearn.pipeline import make_pipeline

from skagile import AgileAnonymizer, KSameAnonymizer, WarpAnonymizer
from skagile.metrics import label_only_floor

released, key_floor = {("original", "as they are"): beats.X}, {}

agile = AgileAnonymizer(n_steps=5, max_epochs=6, random_state=0).fit(**enrolled)
for epsilon in (0.65, 1.3):
    released["AGILE", f"epsilon {epsilon}"] = agile.set_params(epsilon=epsilon).transform(beats.X)

warp = WarpAnonymizer(max_epochs=8, reinitialize_every=4, random_state=0).fit(**enrolled)
released["warp", f"mu {warp.mu}"] = warp.transform(beats.X)

for k, grouping, name in ((3, "class_mix", "k = 3"), (5, "class_mix", "k = 5"), (5, "one", "one group")):
    ksame = KSameAnonymizer(k=k, grouping=grouping, random_state=0).fit(**enrolled)
    released["k-same", name] = ksame.transform(beats.X, subjects=beats.subjects)
    keys = ksame.assign(beats.X, subjects=beats.subjects)
    key_floor["k-same", name] = label_only_floor(
        keys[first], beats.subjects[first], keys[~first], beats.subjects[~first]
    )

# %%
# And k-same with AGILE after it, in a Pipeline. With metadata routing on, ``subjects`` reach both ``fit`` and
# ``transform``.

both = make_pipeline(
    KSameAnonymizer(k=5, grouping="class_mix", random_state=0),
    AgileAnonymizer(n_steps=5, max_epochs=6, random_state=0),
)
with sklearn.config_context(enable_metadata_routing=True):
    both.fit(**enrolled)
    released["k-same and AGILE", "k = 5"] = both.transform(beats.X, subjects=beats.subjects)
key_floor["k-same and AGILE", "k = 5"] = key_floor["k-same", "k = 5"]

# %%
# Attacks, and diagnoses
# ----------------------
# Three attackers, of which the worst counts: a linear one, the nearest neighbour, and a convolutional network. A
# network of the same kind reads the diagnosis: trained on originals and tested on the release ("forth"), and the
# other way round ("back"). The cache spares training it on the same originals for every release.

from tempfile import TemporaryDirectory

from skagile import DeepECGIdentifier, audit_release
from skagile.audit import Estimators, Size

network = DeepECGIdentifier(max_epochs=12, batch_size=48)
rows, directions = [], {"forth": ("original", "released"), "back": ("released", "original")}
with TemporaryDirectory() as folder:
    for name, X in released.items():
        report = audit_release(
            beats.X,
            X,
            beats.y,
            subjects=beats.subjects,
            sessions=beats.sessions,
            attackers={"svd": "svd", "nearest_neighbour": "nearest_neighbour", "network": network},
            knowledge="adaptive",
            estimators=Estimators(diagnostic_estimator=network),
            size=Size(galleries=(), n_resamples=300),
            cache=folder,
            random_state=0,
        )
        utility = report.utility().set_index(["trained_on", "tested_on"])
        worst = report.headline["single"]
        rows.append(
            {
                "anonymizer": name[0],
                "setting": name[1],
                **{what: worst[what] for what in ("attacker", "value", "low", "high")},
                "key floor": key_floor.get(name, np.nan),
                **{f"accuracy {way}": utility.loc[pair, "accuracy"] for way, pair in directions.items()},
                **{f"macro-F1 {way}": utility.loc[pair, "macro_f1"] for way, pair in directions.items()},
            }
        )
table = pd.DataFrame(rows)
floor = report.floors["label_only"]
print(table.round(2).to_string(index=False))

# %%
# The frontier
# ------------
# Down and to the right is where one wants to be. The dotted line is the floor: what somebody names who sees the
# diagnosis of a beat alone, as every release that keeps it shows. The gray bars are the same for the key of k-same,
# its diagnosis and its group: no attacker can do better but by chance, and a perfect one would get there.

styles = {  # marker, colour, filling, size
    ("original", "as they are"): ("*", "black", "black", 12),
    ("AGILE", "epsilon 0.65"): ("s", "#c8420c", "#c8420c", 6),
    ("AGILE", "epsilon 1.3"): ("s", "#c8420c", "none", 11),
    ("warp", "mu 0.08"): ("^", "#7d6608", "#f7dc6f", 9),
    ("k-same", "k = 3"): ("o", "#1b4f72", "#1b4f72", 8),
    ("k-same", "k = 5"): ("o", "#1b4f72", "#85c1e9", 8),
    ("k-same", "one group"): ("o", "#1b4f72", "white", 8),
    ("k-same and AGILE", "k = 5"): ("X", "#6c3483", "#6c3483", 8),
}
bar = {"marker": "_", "markeredgewidth": 2, "color": "0.45"}
figures = table.set_index(["anonymizer", "setting"]).select_dtypes("number") * 100
figure, panels = plt.subplots(1, 2, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained")
titles = ("trained on originals, tested on the release", "trained on the release, tested on originals")
for panel, way, title in zip(panels, directions, titles, strict=True):
    for name, (marker, colour, filling, size) in styles.items():
        row = figures.loc[name]
        x, y = row[f"accuracy {way}"], row["value"]
        panel.errorbar(
            x,
            y,
            [[max(y - row["low"], 0)], [max(row["high"] - y, 0)]],
            fmt=marker,
            color=colour,
            markerfacecolor=filling,
            markersize=size,
            elinewidth=0.8,
            capsize=3,
            label=", ".join(name),
        )
        panel.plot(x, row["key floor"], markersize=22, **bar)
    panel.plot([], [], markersize=14, linestyle="none", label="floor of the key", **bar)
    panel.axhline(100 * floor, color="black", linestyle=":", label="floor of the diagnosis")
    panel.set(xlabel="diagnosis, accuracy (%)", ylim=(0, 100))
    panel.set_title(title, fontsize=10)
    panel.grid(linewidth=0.3)
panels[0].set_ylabel("beats whose person is named right (%)")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9)
plt.show()

# %%
# What was found
# --------------
# Noise and warp hide hardly anybody from one who retrains: however it looks, a released beat is still its person's own.
# A network that is trained on AGILE's release learns the noise, and reads originals badly; of the warp it may be either
# way after so few epochs. Of k-same's release, what is named is what its key gives away: the fewer, the more people are
# in a group, until with all in one the diagnosis alone is left. A law of sixteen people keeps of rare diagnoses what
# ``k`` of them would show. AGILE after it does not break that bound, and costs what it costs by itself. The bars are
# wide, since sixteen people can tell no more, and the networks of this page had few beats to learn from.
# :doc:`/studies/ksame` has real recordings.
#
# All of this is of single beats. Many beats of a person also show the mix of diagnoses, and their times the rhythm.
# ``expected_leakage_`` says the first before anything is released, and :doc:`plot_records` deals with the second.

print({name: round(share, 2) for name, share in ksame.expected_leakage_.items()})
