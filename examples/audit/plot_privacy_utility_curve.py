"""
=======================
Privacy against utility
=======================

Every anonymizer has a knob. Turned one way it keeps the diagnosis and the person, turned the other way it loses both.
:class:`~skagile.PrivacyUtilityCurve` tries the settings, audits each release, and shows which of them are worth
having.
"""

# %%
# Beats
# -----
# A synthetic cohort: sixteen people on two dates. The first date enrols; attackers and models are tested on the
# second.

import matplotlib.pyplot as plt
import numpy as np

from skagile.datasets import beats_from_records, make_cohort

cohort = make_cohort(n_subjects=16, n_sessions=2, duration=30.0, random_state=0)
beats = beats_from_records(cohort, sessions="date", sampling_rate=125.0)
print(f"{len(beats.X)} beats of {len(set(beats.subjects))} people")

# %%
# Two anonymizers
# ---------------
# :class:`~skagile.anonymizers.AgileAnonymizer` moves each beat by at most ``epsilon`` standard deviations. Beside it
# the plainest thing there is: Gaussian noise of a ``scale`` in millivolts. The curve takes any estimator whose
# ``transform`` keeps the shape, so a few lines of one's own will do.

from sklearn.base import BaseEstimator, TransformerMixin

from skagile import AgileAnonymizer


class Noise(TransformerMixin, BaseEstimator):
    def __init__(self, scale=0.1, random_state=None):
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X + self.scale * np.random.default_rng(self.random_state).normal(size=X.shape)


# %%
# The curves
# ----------
# Each setting is fitted on the first date and releases both. Attackers **retrain on the release**. The linear attacker
# alone keeps this page quick; ``attackers="all"`` is the default. Half of the people choose the frontier, and the
# figures drawn are of the other half: the best of several settings always looks better than it is on those it was
# picked on.

from sklearn.svm import SVC

from skagile import PrivacyUtilityCurve
from skagile.audit import Size

settings = {
    "subjects": beats.subjects,
    "sessions": beats.sessions,
    "attackers": "svd",
    "diagnostic_estimator": SVC(C=10.0),
    "utility": "accuracy",
    "audit_params": {"size": Size(n_resamples=500)},
    "random_state": 0,
}
figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharex=True, sharey=True, layout="constrained")
noise = PrivacyUtilityCurve.from_estimator(
    Noise(), beats.X, beats.y, param_grid={"scale": [0.0, 0.1, 0.3, 1.0]}, ax=panels[0], **settings
)
agile = PrivacyUtilityCurve.from_estimator(
    AgileAnonymizer(n_surrogates=3, max_epochs=6),
    beats.X,
    beats.y,
    param_grid={"epsilon": [0.2, 0.6, 1.2]},
    ax=panels[1],
    **settings,
)
panels[0].set_title("noise")
panels[1].set_title("AGILE")
plt.show()

# %%
# What was found
# --------------
# Down and to the right is where one wants to be, and the dotted line is as far down as a release that keeps the
# diagnosis can be held. Noise gets to the left before it gets down. AGILE, made against attackers who know originals,
# hides little from one who retrains. The bars are wide: eight people can tell no more.

columns = ["reidentification", "reidentification_low", "reidentification_high", "accuracy", "floor"]
for name, curve, knob in (("noise", noise, "param_scale"), ("AGILE", agile, "param_epsilon")):
    print(name)
    print(curve.results_[[knob, *columns]].assign(frontier=curve.frontier_).round(2).to_string(index=False))

# %%
# Again, without measuring again
# ------------------------------
# ``results_`` is a table that can be kept. Here from all beats of a person together, as who has a release has many.

PrivacyUtilityCurve.from_results(agile.results_, risk="fused_reidentification", utility="macro_f1", color="C0")
plt.show()
