"""
==========================================
Choosing epsilon and lambda by grid search
==========================================

``epsilon`` says how far a sample may move, ``lambda_`` how much the diagnosis weighs against the identity. Both can be
searched with :class:`~sklearn.model_selection.GridSearchCV`, as for any scikit-learn estimator. The trap is the score:
a search that looks at the diagnosis alone is a search for the weakest anonymizer.
"""

# %%
# Beats
# -----
# A small cohort and small networks, so that this page is built in seconds. Enrolment is the first date of each person;
# the settings are judged on the second.

import numpy as np

from skagile.datasets import beats_from_records, make_cohort

cohort = make_cohort(n_subjects=8, n_sessions=2, duration=20.0, random_state=0)
beats = beats_from_records(cohort, split="session")
first, later = np.flatnonzero(beats.session == 0), np.flatnonzero(beats.session == 1)
print(f"{len(first)} beats to learn from, {len(later)} to judge by, {beats.X.shape[1]} samples each")

# %%
# The pipeline
# ------------
# The anonymizer, and behind it the model that somebody trains on the release.

from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skagile import AgileAnonymizer

pipeline = make_pipeline(
    AgileAnonymizer(n_surrogates=3, n_steps=4, max_epochs=8, batch_size=64, random_state=0),
    SVC(C=10.0),
)

# %%
# Two sides to every setting
# --------------------------
# A scorer may return several figures. Ours asks, of each candidate:
#
# - ``diagnosis``: a model trained on the release diagnoses *original* beats of the second date. This is what a release
#   is for. (The score of the pipeline itself anonymizes the beats that it is tested on, too. It hardly falls, because
#   the noise carries the anonymizer's own diagnosis along with it.)
# - ``static``: share of released beats whose person is named by an attacker who was trained on originals;
# - ``adaptive``: the same by an attacker who is retrained on the release.
#
# A scorer gets no subjects. Here it does not need them: there is one split, so it knows which beats it is asked about.

from skagile.attackers import SVDIdentifier

attacker = SVDIdentifier(n_components=30)
static_attacker = SVDIdentifier(n_components=30).fit(beats.X[first], beats.subjects[first])


def utility_and_risk(fitted, X, y):
    anonymizer, model = fitted[:-1], fitted[-1]
    released_first, released_later = anonymizer.transform(beats.X[first]), anonymizer.transform(X)
    attacker.fit(released_first, beats.subjects[first])
    return {
        "diagnosis": model.score(X, y),
        "static": static_attacker.score(released_later, beats.subjects[later]),
        "adaptive": attacker.score(released_later, beats.subjects[later]),
    }


# %%
# The rule of choice
# ------------------
# ``refit`` may be a function from the results to the index of the winner. Ours: of the settings whose diagnosis is at
# most five points below that of a model trained and tested on originals, the one whose worst attacker names the fewest.

clean_model = SVC(C=10.0).fit(beats.X[first], beats.y[first])
clean_diagnosis = clean_model.score(beats.X[later], beats.y[later])
clean_risk = static_attacker.score(beats.X[later], beats.subjects[later])
print(f"originals: diagnosis {clean_diagnosis:.3f}, re-identification {clean_risk:.3f}")


def least_risk_that_is_useful(results):
    useful = results["mean_test_diagnosis"] >= clean_diagnosis - 0.05
    risk = np.maximum(results["mean_test_static"], results["mean_test_adaptive"])
    if not useful.any():
        raise ValueError("No setting keeps the diagnosis within five points. Search smaller epsilons.")
    return int(np.where(useful, risk, np.inf).argmin())


# %%
# The search
# ----------
# Who a beat is of is metadata. With metadata routing off, which is scikit-learn's default, it goes to the step by the
# name of that step; the search cuts it to each split, as it does ``y``.

from sklearn.model_selection import GridSearchCV

search = GridSearchCV(
    pipeline,
    {"agileanonymizer__epsilon": [0.1, 0.3, 0.6], "agileanonymizer__lambda_": [0.5, 2.0]},
    scoring=utility_and_risk,
    refit=least_risk_that_is_useful,
    cv=[(first, later)],
)
search.fit(beats.X, beats.y, agileanonymizer__subjects=beats.subjects)
print("chosen:", search.best_params_)

# %%
# What was found
# --------------
# The frame marks the chosen setting. A larger ``epsilon`` hides people from an attacker who knows the originals, and
# costs diagnosis. No setting hides them from one who retrains on the release: that takes another kind of anonymizer,
# not another setting. With eight people every figure is uncertain, and the winner was picked on the very beats that
# these figures are from. What you report should come from recordings that the search has not seen, through
# :func:`~skagile.audit.audit_release`.

import matplotlib.pyplot as plt

epsilons, lambdas = search.param_grid.values()
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
titles = {
    "diagnosis": "diagnosis\n(high is good)",
    "static": "named right, attacker\nknows originals (low is good)",
    "adaptive": "named right, attacker\nknows the release (low is good)",
}
for panel, (key, title) in zip(axes, titles.items(), strict=True):
    table = search.cv_results_[f"mean_test_{key}"].reshape(len(epsilons), len(lambdas))
    panel.imshow(table, vmin=0, vmax=1, cmap="Greens" if key == "diagnosis" else "Oranges")
    for (row, column), value in np.ndenumerate(table):
        panel.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
    row, column = divmod(search.best_index_, len(lambdas))
    panel.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, linewidth=2.5))
    panel.set_xticks(range(len(lambdas)), lambdas)
    panel.set_yticks(range(len(epsilons)), epsilons)
    panel.set(xlabel="lambda_", ylabel="epsilon" if panel is axes[0] else None)
    panel.set_title(title, fontsize=10)
plt.show()

# %%
# What the diagnosis alone would choose
# -------------------------------------
# ``refit="diagnosis"`` looks at nothing but the diagnosis, which is best where least was changed: it takes the smallest
# ``epsilon`` on offer, and an anonymizer that hides nobody.

by_diagnosis = search.cv_results_["mean_test_diagnosis"].argmax()
for rule, index in (("diagnosis alone", by_diagnosis), ("both sides", search.best_index_)):
    setting = search.cv_results_["params"][index]
    figures = ", ".join(f"{key} {search.cv_results_[f'mean_test_{key}'][index]:.2f}" for key in titles)
    print(f"{rule}: epsilon {setting['agileanonymizer__epsilon']}, {figures}")

# %%
# The same with metadata routing
# ------------------------------
# With routing on, subjects are given once, by their own name, and reach every step that asks for them. skagile's
# anonymizers ask by themselves. The figures are the same.

import sklearn

chosen = {name: [value] for name, value in search.best_params_.items()}
with sklearn.config_context(enable_metadata_routing=True):
    routed = GridSearchCV(pipeline, chosen, scoring=utility_and_risk, refit=False, cv=[(first, later)])
    routed.fit(beats.X, beats.y, subjects=beats.subjects)
for key in titles:
    print(f"{key}: {routed.cv_results_[f'mean_test_{key}'][0]:.3f}")
