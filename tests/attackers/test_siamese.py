"""SiameseIdentifier: its pairs, its templates, and the scores it names people by."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from skagile.attackers import SiameseIdentifier
from skagile.attackers._siamese import PartneredRows

CONTRASTIVE = {"head": "contrastive", "max_epochs": 12}
QUICK = {"channels": (8, 16), "embedding_size": 16, "batch_size": 32, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module", params=["contrastive", "difference"])
def fitted(request, cohort):
    return SiameseIdentifier(head=request.param, max_epochs=8, **QUICK).fit(cohort.X, cohort.subjects)


def test_partner_is_another_beat_of_the_subject():
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [1, 2, 3, 20, 50]))
    data = PartneredRows(np.arange(len(y), dtype=np.float64)[:, None], y)
    n_partners = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(60):
            X, target = data.__getitems__(list(range(len(y))))
            beat, partner = X[:, 0, 0].long().numpy().reshape(2, -1)
            np.testing.assert_array_equal(beat, np.arange(len(y)))
            np.testing.assert_array_equal(y[partner], y)
            np.testing.assert_array_equal(target.numpy(), np.r_[y, y])
            alone = np.bincount(y)[y] == 1
            assert ((partner == beat) == alone).all()
            for i in np.flatnonzero(np.bincount(y)[y] == 3):
                n_partners.setdefault(i, []).append(partner[i])
    for partners in n_partners.values():  # both others are drawn, and about as often
        assert min(np.unique(partners, return_counts=True)[1]) > 15
        assert len(set(partners)) == 2


def test_template_is_the_mean_embedding(fitted, cohort):
    embedding = fitted.transform(cohort.X).astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)
    for subject, template in zip(fitted.classes_, fitted.templates_, strict=True):
        mean = embedding[cohort.subjects == subject].mean(axis=0)
        np.testing.assert_allclose(template, mean / np.linalg.norm(mean), atol=1e-5)


def test_scores_are_those_of_pairs_with_the_templates(fitted, cohort):
    embedding = fitted.transform(cohort.probe).astype(np.float64)
    if fitted.head == "contrastive":
        expected = 16 * embedding @ fitted.templates_.T.astype(np.float64)
    else:
        weight = np.log1p(np.exp(fitted.net_.module_.weight.detach().numpy().astype(np.float64)))
        expected = -(np.abs(embedding[:, None] - fitted.templates_) * weight).sum(axis=2)
    np.testing.assert_allclose(fitted.predict_log_proba(cohort.probe), log_softmax(expected, axis=1), atol=1e-3)


def test_cosine_verifies_strangers(cohort):
    """Trained on six people, it tells the other two apart."""
    strangers = np.unique(cohort.subjects)[-2:]
    known = ~np.isin(cohort.subjects, strangers)
    attacker = SiameseIdentifier(**CONTRASTIVE, **QUICK).fit(cohort.X[known], cohort.subjects[known])
    a, b = (attacker.transform(cohort.X[cohort.subjects == stranger]) for stranger in strangers)
    assert np.median(a @ a.T) > np.median(a @ b.T) + 0.2


def test_parameters_reach_the_net(cohort):
    attacker = SiameseIdentifier(max_epochs=1, margin=0.7, n_impostors=3, hardness=0.5, shift=2, **QUICK)
    attacker.fit(cohort.X, cohort.subjects)
    criterion = attacker.net_.criterion_
    assert (criterion.margin, criterion.n_impostors, criterion.hardness) == (0.7, 3, 0.5)
    assert attacker.net_.module_.encoder.layers[0].out_channels == 8
    assert attacker.net_.iterator_train__collate_fn.shift == 2


def test_scale_is_that_of_the_probabilities(cohort):
    cold, warm = (
        SiameseIdentifier(scale=scale, **CONTRASTIVE, **QUICK)
        .set_params(max_epochs=1)
        .fit(cohort.X, cohort.subjects)
        .predict_log_proba(cohort.X)
        for scale in (1.0, 10.0)
    )
    spread = [np.ptp(log_proba, axis=1) for log_proba in (cold, warm)]
    np.testing.assert_allclose(spread[1], 10 * spread[0], rtol=1e-3)
