"""What the deep attackers share: shifted beats, held-out rows, early stopping, and answers that a seed decides."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skagile.attackers import DeepECGIdentifier, SiameseIdentifier, TransECGIdentifier
from skagile.attackers._deep import BaseDeepIdentifier, ShiftBatch, last_rows

QUICK = {"batch_size": 32, "random_state": 0, "device": "cpu"}
ATTACKERS = {
    "deep_ecg": DeepECGIdentifier(channels=(8, 16), embedding_size=16, **QUICK),
    "contrastive": SiameseIdentifier(head="contrastive", channels=(8, 16), embedding_size=16, **QUICK),
    "difference": SiameseIdentifier(head="difference", channels=(8, 16), embedding_size=16, **QUICK),
    "mean token": TransECGIdentifier(d_model=16, n_layers=1, stem=8, **QUICK),
    "cls token": TransECGIdentifier(d_model=16, n_layers=2, stem=0, pool="cls", **QUICK),
}


@pytest.fixture(params=list(ATTACKERS))
def unfitted(request):
    return clone(ATTACKERS[request.param])


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_shift_moves_beats_and_repeats_their_edge(shift):
    X = torch.arange(200 * 9, dtype=torch.float32).reshape(200, 1, 9)
    target = torch.arange(200)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        got, y = ShiftBatch(shift)((X, target))
    assert y is target
    seen = set()
    for row, moved in zip(X[:, 0].numpy(), got[:, 0].numpy(), strict=True):
        padded = np.pad(row, shift, mode="edge")
        offset = [k for k in range(2 * shift + 1) if np.array_equal(padded[k : k + 9], moved)]
        assert len(offset) == 1
        seen.add(offset[0] - shift)
    assert seen == set(range(-shift, shift + 1))


# --- which rows are held out ----------------------------------------------------------------------------------------


def test_last_rows_of_each_subject_are_held_out():
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat([0, 1, 2, 3], [20, 7, 40, 1]))
    held_out = last_rows(codes, 0.15)
    for code, n_held in enumerate([3, 1, 6, 0]):
        own = held_out[codes == code]
        assert own.sum() == n_held
        assert own[len(own) - n_held :].all()


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.999])
def test_one_row_is_always_left(fraction):
    codes = np.repeat(np.arange(4), [2, 3, 150, 1000])
    held_out = last_rows(codes, fraction)
    assert held_out is None or np.array_equal(np.unique(codes[~held_out]), np.arange(4))


def test_too_few_rows_to_hold_any_out():
    assert last_rows(np.repeat(np.arange(5), 6), 0.15) is None
    assert last_rows(np.repeat(np.arange(5), 7), 0.15) is not None
    assert last_rows(np.repeat(np.arange(5), [100, 100, 6, 6, 6]), 0.15) is None


# --- early stopping -------------------------------------------------------------------------------------------------


def test_stops_when_the_held_out_loss_falls_no_more(cohort):
    """Subjects that beats say nothing of: what is learnt of them cannot hold for the held-out beats."""
    subjects = np.random.default_rng(0).permutation(cohort.subjects)
    attacker = clone(ATTACKERS["deep_ecg"]).set_params(max_epochs=120, patience=2).fit(cohort.X, subjects)
    assert attacker.n_epochs_ < 70


@pytest.mark.parametrize("name", ["deep_ecg", "difference", "mean token"])
def test_few_beats_do_not_end_training_too_early(name, cohort):
    """With few beats an epoch is few steps: stopping after a handful of epochs would leave the net untrained."""
    fixed, stopped = (
        clone(ATTACKERS[name])
        .set_params(max_epochs=30, patience=1, early_stopping=early_stopping)
        .fit(cohort.X, cohort.subjects)
        .score(cohort.probe, cohort.probe_subjects)
        for early_stopping in (False, True)
    )
    assert stopped > fixed - 0.1


def test_early_stopping_learns_every_beat(cohort, monkeypatch):
    """The last passes see the held-out beats, the first do not."""
    seen = []
    train = BaseDeepIdentifier._train

    def spy(self, module, X, codes, n_epochs, device, **options):
        seen.append((len(X), n_epochs, options.get("schedule")))
        return train(self, module, X, codes, n_epochs, device, **options)

    monkeypatch.setattr(BaseDeepIdentifier, "_train", spy)
    attacker = clone(ATTACKERS["deep_ecg"]).set_params(max_epochs=6).fit(cohort.X, cohort.subjects)
    assert seen == [(120 - 8 * 2, 4, "constant"), (120, 2, "falling")]
    assert attacker.n_epochs_ == 6
    seen.clear()
    attacker.set_params(early_stopping=False).fit(cohort.X, cohort.subjects)
    assert seen == [(120, 6, None)]
    assert attacker.n_epochs_ == 6


def test_best_weights_go_on(cohort, monkeypatch):
    """With a patience that never ends, the last passes still start from the epoch with the lowest held-out loss."""
    nets = []
    train = BaseDeepIdentifier._train

    def spy(self, module, X, codes, n_epochs, device, **options):
        nets.append(train(self, module, X, codes, n_epochs, device, **options) if not nets else None)
        return nets[0]

    monkeypatch.setattr(BaseDeepIdentifier, "_train", spy)
    subjects = np.random.default_rng(0).permutation(cohort.subjects)
    attacker = clone(ATTACKERS["deep_ecg"]).set_params(max_epochs=30, patience=100, shift=0, dropout=0.0)
    attacker.fit(cohort.X, subjects)
    losses = nets[0].history[:, "valid_loss"]
    assert np.argmin(losses) < len(losses) - 3
    _, codes = np.unique(subjects, return_inverse=True)
    held_out = last_rows(codes, 0.15)
    X = attacker._scale(cohort.X)[held_out]
    with torch.no_grad():
        got = attacker._make_criterion()(
            nets[0].module_(torch.from_numpy(X)[:, None]), torch.from_numpy(codes[held_out])
        )
    assert got.item() == pytest.approx(min(losses), rel=1e-3)


def test_one_beat_of_each_subject_is_enough(unfitted, cohort):
    first = np.unique(cohort.subjects, return_index=True)[1]
    attacker = unfitted.set_params(max_epochs=3).fit(cohort.X[first], cohort.subjects[first])
    assert attacker.n_epochs_ == 3
    assert np.isfinite(attacker.predict_log_proba(cohort.probe)).all()


@pytest.mark.parametrize("early_stopping", [True, False])
def test_one_pass(unfitted, cohort, early_stopping):
    attacker = unfitted.set_params(max_epochs=1, early_stopping=early_stopping).fit(cohort.X, cohort.subjects)
    assert attacker.n_epochs_ == 1


# --- what the answer depends on -------------------------------------------------------------------------------------


def test_equal_seed_equal_answer_whatever_the_global_seed(unfitted, cohort):
    unfitted.set_params(max_epochs=3)
    torch_state = torch.get_rng_state()
    answers = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002  (the point is that it plays no part)
        state = torch.get_rng_state()
        attacker = clone(unfitted).fit(cohort.X, cohort.subjects)
        answers.append(attacker.predict_proba(cohort.probe))
        assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(torch_state)
    np.testing.assert_array_equal(*answers)
    other = clone(unfitted).set_params(random_state=1).fit(cohort.X, cohort.subjects).predict_proba(cohort.probe)
    assert np.abs(other - answers[0]).max() > 1e-3


def test_batch_size_does_not_change_the_answer(unfitted, cohort):
    attacker = unfitted.set_params(max_epochs=2).fit(cohort.X, cohort.subjects)
    expected = attacker.predict_log_proba(cohort.probe), attacker.transform(cohort.probe)
    for batch_size in (2, 7, 512):
        attacker.set_params(batch_size=batch_size)
        np.testing.assert_allclose(attacker.predict_log_proba(cohort.probe), expected[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(attacker.transform(cohort.probe), expected[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_samples", [2, 3, 13, 252])
def test_any_length(unfitted, n_samples):
    X = np.random.default_rng(0).standard_normal((40, n_samples))
    attacker = unfitted.set_params(max_epochs=2).fit(X, np.arange(40) % 2)
    assert attacker.predict_proba(X).shape == (40, 2)


@pytest.mark.parametrize("n_rows", [2, 3, 33])
def test_short_last_batch(unfitted, n_rows):
    """A last batch of one beat could not be normalised."""
    X = np.random.default_rng(0).standard_normal((n_rows, 40))
    attacker = unfitted.set_params(max_epochs=2).fit(X, np.arange(n_rows) % 2)
    assert np.isfinite(attacker.predict_log_proba(X)).all()
