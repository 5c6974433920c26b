"""Which diagnoses networks tell apart on people whom they were not trained on."""

import numpy as np
from scipy.stats import ttest_ind

from skagile._arrays import mean_by, standardize_leads
from skagile._training import draw_seed
from skagile.anonymizers._ksame._readers import fit_reader, log_probabilities, reader_encoders

_SURE = 0.01
_LEAST_SPREAD = 1e-9


def told_apart(settings, X, y, person, device, random_state, n_leads=1):
    """Find the pairs of diagnoses that are told apart on other people, by more than chance.

    A network that is trained on a label which no heart shows learns it by heart, person by person. On the other half of
    the people it then tells nothing. What such a network says must not decide which beats are released.

    Parameters
    ----------
    settings : KSameAnonymizer
        Whose `classes_`, `max_epochs`, `lr` and `batch_size` are meant.
    X : ndarray of shape (n_beats, n_samples)
        Beats in millivolts.
    y, person : ndarray of int of shape (n_beats,)
        Codes of their diagnoses and people.
    device : torch.device
        Where.
    random_state : RandomState
        Parts the people in halves, and seeds the networks.
    n_leads : int, default=1
        Leads of a beat.

    Returns
    -------
    apart : ndarray of bool of shape (n_classes, n_classes)
        Symmetric; False on the diagonal.
    """
    n_classes = len(settings.classes_)
    half = random_state.permutation(person.max() + 1) % 2
    params = {name: getattr(settings, name) for name in ("max_epochs", "lr", "batch_size")}
    encoder, blocks = reader_encoders(X.shape[1])[0], []
    Z = standardize_leads(X, n_leads)
    for side in (0, 1):
        train, seed = half[person] == side, draw_seed(random_state)
        if len(np.unique(y[train])) < 2 or train.all():
            continue
        net = fit_reader(encoder, Z[train], y[train], n_classes, device=device, seed=seed, **params)
        blocks.append(_blocks(log_probabilities(net, X[~train], device, n_leads), y[~train], person[~train]))
    apart = np.zeros((n_classes, n_classes), dtype=bool)
    for i in range(n_classes):
        for j in range(i):
            apart[i, j] = apart[j, i] = _is_apart(blocks, i, j)
    return apart


def _blocks(scores, y, person):
    """Mean scores of each person's beats of each diagnosis, and the diagnosis."""
    pairs, block = np.unique(np.stack([person, y], axis=1), axis=0, return_inverse=True)
    return mean_by(scores, block.reshape(-1)), pairs[:, 1]


def _is_apart(blocks, i, j):
    """Whether the difference of two scores is larger in one diagnosis than in the other, by Welch's test."""
    first, second = [], []
    for means, diagnosis in blocks:
        difference = means[:, i] - means[:, j]
        own, other = difference[diagnosis == i], difference[diagnosis == j]
        if not (len(own) and len(other)):
            continue
        spread = max(np.concatenate([own, other]).std(), _LEAST_SPREAD)  # networks have scales of their own
        first.append(own / spread)
        second.append(other / spread)
    if not first:
        return False
    first, second = np.concatenate(first), np.concatenate(second)
    if min(len(first), len(second)) < 2:
        return False
    return bool(ttest_ind(first, second, equal_var=False, alternative="greater").pvalue < _SURE)
