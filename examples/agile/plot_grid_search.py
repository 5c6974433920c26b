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

cohort = make_cohort(n_subjects=8, n_sessions=2, duration=15.0, random_state=0)
beats = beats_from_records(cohort, sessions="date")
first, later = np.flatnonzero(beats.sessions == 0), np.flatnonzero(beats.sessions == 1)
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
# - ``utility``: a model trained on the release diagnoses *original* beats of the second date. This is what a release
#   is for. (The score of the pipeline itself anonymizes the beats that it is tested on, too. It hardly falls, because
#   the noise carries the anonymizer's own diagnosis along with it.)
# - ``static``: share of released beats whose person is named by an attacker who was trained on originals;
# - ``adaptive``: the same by an attacker who is retrained on the release.
#
# To scikit-learn greater is better, so the two risks come with a minus sign: 0 is "nobody", -1 "everybody". Both
# attackers learn from the first date, ``enrolment``, and are tested on the second.

from skagile.attackers import SVDIdentifier
from skagile.model_selection import ReidentificationScorer, UtilityScorer

attacker = SVDIdentifier(n_components=30)
enrolment = (beats.X[first], beats.subjects[first])
scoring = {
    "utility": UtilityScorer(),
    "static": ReidentificationScorer(attacker, knowledge="static", enrolment=enrolment),
    "adaptive": ReidentificationScorer(attacker, knowledge="adaptive", enrolment=enrolment),
}

# %%
# The rule of choice
# ------------------
# ``refit`` may be a function from the results to the index of the winner.
# :func:`~skagile.lowest_reidentification` takes, of the settings that are useful enough, the one whose worst
# attacker names the fewest. Useful enough is here: at most five points below a model trained and tested on originals.
# Without ``reference`` it is: at most five points below the best setting searched.

from skagile.model_selection import lowest_reidentification

clean_model = SVC(C=10.0).fit(beats.X[first], beats.y[first])
clean_utility = clean_model.score(beats.X[later], beats.y[later])
clean_risk = attacker.fit(*enrolment).score(beats.X[later], beats.subjects[later])
print(f"originals: diagnosis {clean_utility:.3f}, re-identification {clean_risk:.3f}")

choose = lowest_reidentification(0.05, reidentification=["static", "adaptive"], reference=clean_utility)

# %%
# The search
# ----------
# Who a beat is of is metadata. With metadata routing on, it is given once and reaches whoever asks for it: skagile's
# anonymizers and :class:`~skagile.ReidentificationScorer` ask by themselves. The search cuts it to each split,
# as it does ``y``.

import sklearn
from sklearn.model_selection import GridSearchCV

search = GridSearchCV(
    pipeline,
    {"agileanonymizer__epsilon": [0.1, 0.3, 0.6], "agileanonymizer__lambda_": [0.5, 2.0]},
    scoring=scoring,
    refit=choose,
    cv=[(first, later)],
)
with sklearn.config_context(enable_metadata_routing=True):
    search.fit(beats.X, beats.y, subjects=beats.subjects)
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
    "utility": "diagnosis\n(high is good)",
    "static": "named right, attacker\nknows originals (low is good)",
    "adaptive": "named right, attacker\nknows the release (low is good)",
}
for panel, (key, title) in zip(axes, titles.items(), strict=True):
    table = np.abs(search.cv_results_[f"mean_test_{key}"].reshape(len(epsilons), len(lambdas)))
    panel.imshow(table, vmin=0, vmax=1, cmap="Greens" if key == "utility" else "Oranges")
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
# ``refit="utility"`` looks at nothing but the diagnosis, which is best where least was changed: it takes the smallest
# ``epsilon`` on offer, and an anonymizer that hides nobody.

by_utility = search.cv_results_["mean_test_utility"].argmax()
for rule, index in (("diagnosis alone", by_utility), ("both sides", search.best_index_)):
    setting = search.cv_results_["params"][index]
    figures = ", ".join(f"{key} {search.cv_results_[f'mean_test_{key}'][index]:.2f}" for key in titles)
    print(f"{rule}: epsilon {setting['agileanonymizer__epsilon']}, {figures}")

# %%
# A score that fails, or that has the wrong sign, is no reason to choose that setting either. Re-identification as a
# plain share, greater is worse, is refused:

mistaken = {**search.cv_results_, "mean_test_static": -search.cv_results_["mean_test_static"]}
try:
    choose(mistaken)
except ValueError as error:
    print(error)

# %%
# The same without metadata routing
# ---------------------------------
# With routing off, which is scikit-learn's default, subjects go to the anonymizer by the name of its step. A scorer is
# handed none; it looks them up among the ``rows`` that it was given. The figures are the same.

chosen = {name: [value] for name, value in search.best_params_.items()}
rows = (beats.X, beats.subjects)
scoring = {
    "utility": UtilityScorer(),
    "static": ReidentificationScorer(attacker, knowledge="static", enrolment=enrolment, rows=rows),
    "adaptive": ReidentificationScorer(attacker, knowledge="adaptive", enrolment=enrolment, rows=rows),
}
unrouted = GridSearchCV(pipeline, chosen, scoring=scoring, refit=False, cv=[(first, later)])
unrouted.fit(beats.X, beats.y, agileanonymizer__subjects=beats.subjects)
for key in titles:
    print(f"{key}: {unrouted.cv_results_[f'mean_test_{key}'][0]:.3f}")
