"""The laws of the groups, from the beats of their members."""

import numpy as np

from skagile.anonymizers._generators import Basis, Law, PrivateSum, Statistics

# Axes of the basis, where sums are private.
N_AXES = 12


def fit_laws(X, codes, person, group, columns, *, k, prior=None, n_leads=1):
    """Make the law of each group.

    Parameters
    ----------
    X : ndarray of shape (n_beats, n_samples)
        Beats in millivolts.
    codes : ndarray of int of shape (n_beats, n_labels)
        Diagnosis and kept facts.
    person, group : ndarray of int of shape (n_beats,)
        Of each beat.
    columns : Columns
        Of the codes.
    k : int
        As of `KSameAnonymizer`.
    prior : Prior, default=None
        Beats of other people.
    n_leads : int, default=1
        Leads of a beat.

    Returns
    -------
    laws : list of Law
    basis : Basis
    """
    basis = Basis.of_leads(X.shape[1], n_leads)
    sums = []
    for i in range(group.max() + 1):
        rows = np.flatnonzero(group == i)
        sums.append(_sum_up(basis, X, rows, codes, person, columns))
    background, extra = None, None
    if prior is not None:
        others = prior.statistics(basis, columns)
        background, extra = Law.of(others, k), others.scaled(k / max(k, float(others.sums["people"])))
    if len(sums) == 1:
        return [Law.of(sums[0] if extra is None else sums[0] + extra, k, background)], basis
    total = sums[0]
    for of_group in sums[1:]:
        total = total + of_group
    laws = []
    for of_group in sums:
        rest = total + of_group.scaled(-1.0)
        shared = of_group
        if extra is not None:
            rest, shared = rest + extra, shared + extra
        laws.append(Law.of(shared, k, Law.of(rest, k, background)))
    return laws, basis


def fit_private_law(X, codes, person, columns, *, k, prior, epsilon, delta, random_state, n_leads=1):
    """Make one law of sums with noise; parameters as of `fit_laws`."""
    basis = Basis.of(prior.X, min(N_AXES, X.shape[1] - 1), n_leads)
    others = prior.of_each(basis, columns)
    private = PrivateSum(Statistics(basis.n_features, columns, basis.n_sizes), others)
    for of_person in Statistics.of_each(lambda own: basis.features(X[own]), codes, person, columns, basis.n_sizes):
        private.add(of_person)
    public = sum(others[1:], others[0])
    # The prior counts for as many people as the noise of a covariance is as large as: with few people it is the prior.
    weight = max(k, private.noise(epsilon, delta) * basis.n_features)
    noisy = private.release(epsilon, delta, random_state)
    return [Law.of(noisy + public.scaled(weight / len(others)), k, Law.of(public, k))], basis


def _sum_up(basis, X, rows, codes, person, columns):
    return Statistics.of(lambda own: basis.features(X[rows[own]]), codes[rows], person[rows], columns, basis.n_sizes)


class Prior:
    """Beats of people who are not of the cohort.

    Parameters
    ----------
    X : ndarray of shape (n_beats, n_samples)
        Beats in millivolts.
    codes : ndarray of int of shape (n_beats, n_labels)
        Diagnosis and kept facts, as of the cohort.
    person : ndarray of int of shape (n_beats,)
        Whose beat it is.
    """

    def __init__(self, X, codes, person):
        self.X, self.codes, self.person = X, codes, person

    def statistics(self, basis, columns):
        """Sum over all of them."""
        return _sum_up(basis, self.X, np.arange(len(self.X)), self.codes, self.person, columns)

    def of_each(self, basis, columns):
        """Return the statistics of each of them."""
        parts = self.codes, self.person, columns, basis.n_sizes
        return list(Statistics.of_each(lambda own: basis.features(self.X[own]), *parts))
