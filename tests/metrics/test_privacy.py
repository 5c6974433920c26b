"""Identification and verification against closed forms, hand counts and slow loops."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_curve, top_k_accuracy_score

from skagile.metrics import (
    VerificationScores,
    cmc_curve,
    equal_error_rate,
    equal_error_rate_interval,
    fuse_scores,
    label_only_floor,
    majority_floor,
    rank1_accuracy,
    verification_scores,
)


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_eer_of_two_normals(distance):
    # Quantiles instead of draws: the empirical distribution is then the normal one but for 1 / n.
    normal = stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
    y_true = np.repeat([True, False], 20000)
    found = equal_error_rate(y_true, np.concatenate([normal + distance, normal]))
    assert found == pytest.approx(stats.norm.cdf(-distance / 2), abs=1e-4)


def test_eer_of_normals_of_unequal_spread_and_number():
    mated, others = (stats.norm.ppf((np.arange(n) + 0.5) / n) for n in (3000, 40000))
    scores = np.concatenate([3 + 2 * mated, others])
    # Both errors equal where (3 - t) / 2 = t, at t = 1.
    found = equal_error_rate(np.repeat([True, False], [3000, 40000]), scores)
    assert found == pytest.approx(stats.norm.cdf(-1), abs=3e-4)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(-20, 20)), min_size=4, max_size=60).filter(
        lambda pairs: 0 < sum(mated for mated, _ in pairs) < len(pairs)
    )
)
def test_eer_depends_on_order_only_and_mirrors(pairs):
    mated, scores = (np.array(column) for column in zip(*pairs, strict=True))
    found = equal_error_rate(mated, scores)
    assert 0 <= found <= 1
    assert equal_error_rate(mated, np.arctan(scores / 7) * 5 - 1) == pytest.approx(found)
    assert equal_error_rate(mated, -scores) == pytest.approx(1 - found)
    assert equal_error_rate(~mated, -scores) == pytest.approx(found)


def test_eer_of_scores_that_say_nothing_or_everything():
    y_true = np.array([True, True, False, False])
    assert equal_error_rate(y_true, np.zeros(4)) == 0.5
    assert equal_error_rate(y_true, [2, 3, 0, 1]) == 0
    assert equal_error_rate(y_true, [0, 1, 2, 3]) == 1


def test_verification_scores_against_scipy():
    rng = np.random.default_rng(0)
    enrolled, probed = rng.integers(0, 6, 80), rng.integers(0, 8, 30)
    E, P = rng.normal(size=(80, 5)), rng.normal(size=(30, 5))
    found = verification_scores(E, enrolled, P, probed)
    unit = E / np.linalg.norm(E, axis=1, keepdims=True)
    templates = np.array([unit[enrolled == person].mean(axis=0) for person in range(6)])
    np.testing.assert_allclose(found.scores, 1 - cdist(P, templates, "cosine"))
    np.testing.assert_array_equal(found.mated, probed[:, None] == np.arange(6))
    np.testing.assert_array_equal(found.templates, np.arange(6))


def _similar(rng, n_subjects, n_beats):
    """Scores with an effect of the prober, of the template and of their pair; equal error rate Phi(-1)."""
    subjects = np.repeat(np.arange(n_subjects), n_beats)
    scores = (
        np.sqrt(0.1) * rng.normal(size=(n_subjects, 1))[subjects]
        + np.sqrt(0.1) * rng.normal(size=(1, n_subjects))
        + np.sqrt(0.1) * rng.normal(size=(n_subjects, n_subjects))[subjects]
        + np.sqrt(0.7) * rng.normal(size=(len(subjects), n_subjects))
    )
    mated = subjects[:, None] == np.arange(n_subjects)
    return VerificationScores(scores + 2 * mated, mated, np.arange(n_subjects)), subjects


def test_eer_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        low, high = equal_error_rate_interval(*_similar(rng, 15, 10), n_resamples=200, random_state=0)
        covered += low <= stats.norm.cdf(-1) <= high
    assert covered >= 88


def test_eer_interval_against_sorting_every_resample():
    rng = np.random.default_rng(2)
    verification, subjects = _similar(rng, 20, 15)
    draws = []
    for _ in range(300):
        times = rng.multinomial(20, np.full(20, 1 / 20)).astype(float)
        # The template's draws count, too, except with himself.
        weight = np.where(verification.mated, times[subjects][:, None], times[subjects][:, None] * times)
        kept = weight.ravel() > 0
        curve = roc_curve(
            verification.mated.ravel()[kept], verification.scores.ravel()[kept], sample_weight=weight.ravel()[kept]
        )
        at = np.argmin(np.abs(curve[0] - (1 - curve[1])))
        draws.append((curve[0][at] + 1 - curve[1][at]) / 2)
    low, high = equal_error_rate_interval(verification, subjects, random_state=0)
    expected = np.quantile(draws, [0.025, 0.975])
    # The levels are widened for 20 people, by 9 %, and 300 draws have their own error.
    assert (high - low) / np.diff(expected)[0] == pytest.approx(1.09, abs=0.2)
    assert (low + high) / 2 == pytest.approx(expected.mean(), abs=0.01)
    assert low < equal_error_rate(verification.mated, verification.scores) < high


def test_eer_interval_with_people_enrolled_and_not_probed():
    rng = np.random.default_rng(3)
    verification, subjects = _similar(rng, 12, 10)
    probed = subjects < 6
    fewer = VerificationScores(verification.scores[probed], verification.mated[probed], verification.templates)
    low, high = equal_error_rate_interval(fewer, subjects[probed], random_state=0)
    assert 0 < low < equal_error_rate(fewer.mated, fewer.scores) < high < 0.5


def test_perfect_verification_is_not_certain():
    scores, mated = np.eye(5)[np.repeat(np.arange(5), 3)], np.eye(5, dtype=bool)[np.repeat(np.arange(5), 3)]
    low, high = equal_error_rate_interval(VerificationScores(scores, mated, np.arange(5)), np.repeat(np.arange(5), 3))
    assert low == 0
    assert high > 0.1


def test_cmc_against_top_k():
    rng = np.random.default_rng(4)
    y_true, scores = rng.integers(0, 7, 200), rng.normal(size=(200, 7))
    found = cmc_curve(y_true, scores)
    expected = [top_k_accuracy_score(y_true, scores, k=k, labels=np.arange(7)) for k in range(1, 7)]
    np.testing.assert_allclose(found, [*expected, 1.0])
    assert found[0] == pytest.approx(rank1_accuracy(y_true, scores.argmax(axis=1)))


def test_cmc_of_equal_scores_is_guessing():
    np.testing.assert_allclose(cmc_curve([0, 1, 2, 3], np.zeros((4, 4))), [0.25, 0.5, 0.75, 1])
    # Two behind the winner, two tied with the right one.
    np.testing.assert_allclose(cmc_curve(["b"], [[3, 1, 1, 2]], classes=list("abcd")), [0, 0, 0.5, 1])


def test_cmc_takes_classes_in_any_order():
    np.testing.assert_allclose(cmc_curve(["a", "z"], [[0, 1], [1, 0]], classes=["z", "a"]), [1, 1])


def test_fused_scores_are_means():
    rng = np.random.default_rng(5)
    scores, subjects = rng.normal(size=(50, 3)), rng.choice(list("xyz"), 50)
    people, fused = fuse_scores(scores, subjects)
    for person, row in zip(people, fused, strict=True):
        np.testing.assert_allclose(row, scores[subjects == person].mean(axis=0))


def _mixes(rng):
    """Diagnoses of eight people, some of whom have a mix of their own."""
    subjects = rng.integers(0, 8, 600)
    labels = np.array(list("NSVF"))
    y = labels[np.minimum(rng.poisson(subjects / 4), 3)]
    half = rng.random(600) < 0.5
    return y[half], subjects[half], y[~half], subjects[~half]


def test_label_only_floor_against_a_dictionary():
    y_enrolment, enrolled, y_probe, probed = _mixes(np.random.default_rng(6))
    best = {}
    for label in set(y_enrolment):
        people = enrolled[y_enrolment == label].tolist()
        best[label] = max(sorted(set(people)), key=people.count)
    expected = np.mean([best[label] == person for label, person in zip(y_probe, probed, strict=True)])
    assert label_only_floor(y_enrolment, enrolled, y_probe, probed) == pytest.approx(expected)


def test_fused_label_floor_finds_people_by_their_mix():
    y_enrolment, y_probe = list("NNNNVVSSSS"), list("NNNVVSSS")
    enrolled, probed = list("aaaabbbccc"), list("aaabbccc")
    # Single: N is a's and V is b's; S is c's with 3 against b's 1.
    assert label_only_floor(y_enrolment, enrolled, y_probe, probed) == 1.0
    mixed = list("NVNVNNVV"), list("aaaabbbb"), list("NVNNNVVV"), list("aaaabbbb")
    assert label_only_floor(*mixed) == 0.5
    assert label_only_floor(list("NNNVNVVV"), list("aaaabbbb"), list("NVNNNVVV"), list("aaaabbbb"), fused=True) == 1.0


def test_label_nobody_had_at_enrolment_gives_the_majority():
    assert label_only_floor(list("NNN"), list("abb"), list("QQQ"), list("aab")) == pytest.approx(1 / 3)


def test_one_label_is_the_majority_floor():
    _, enrolled, _, probed = _mixes(np.random.default_rng(7))
    floor = label_only_floor(["N"] * len(enrolled), enrolled, ["N"] * len(probed), probed)
    assert floor == majority_floor(enrolled, probed) == np.mean(probed == np.bincount(enrolled).argmax())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rank1_accuracy([], []), "no probe"),
        (lambda: rank1_accuracy([1, 2], [1]), "inconsistent"),
        (lambda: equal_error_rate([True, True], [0.1, 0.2]), "of a person with himself only"),
        (lambda: equal_error_rate([False, False], [0.1, 0.2]), "of different persons only"),
        (lambda: equal_error_rate([True, False], [0.1]), "one score per comparison"),
        (lambda: equal_error_rate([True, False], [0.1, np.nan]), "NaN or infinite"),
        (lambda: cmc_curve(["a"], [[1.0, 2.0]]), "2 columns for 1 classes"),
        (lambda: cmc_curve(["q"], [[1.0, 2.0]], classes=["a", "b"]), "not in classes"),
        (lambda: cmc_curve(["a"], [[1.0, np.nan]], classes=["a", "b"]), "NaN"),
        (lambda: verification_scores([[1, 2]], ["a"], [[1, 2, 3]], ["a"]), "same fitted attacker"),
        (lambda: majority_floor([], ["a"]), "0 enrolled beats"),
        (lambda: label_only_floor(["N"], ["a"], [], []), "0 probes"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_metrics_load_no_torch_and_nothing_above_them():
    code = (
        "import sys, skagile.metrics; loaded = [m for m in sys.modules if m.startswith('skagile.')]; "
        "assert 'torch' not in sys.modules; "
        "assert all(m.startswith(('skagile.metrics', 'skagile.leads', 'skagile._')) for m in loaded), loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    subjects = np.repeat(np.arange(12), 20)
    X = rng.normal(size=(12, 4))[subjects] + rng.normal(size=(240, 4))
    data = X[::2], subjects[::2], X[1::2], subjects[1::2]
    whole = verification_scores(*data)
    interval = equal_error_rate_interval(whole, subjects[1::2], random_state=0)
    monkeypatch.setattr("skagile.metrics._privacy._BLOCK", 50)
    blocks = verification_scores(*data)
    np.testing.assert_allclose(blocks.scores, whole.scores, atol=1e-15)
    assert equal_error_rate_interval(whole, subjects[1::2], random_state=0) == interval
    single = verification_scores(*data, dtype=np.float32)
    assert single.scores.dtype == np.float32
    np.testing.assert_array_equal(single.scores, blocks.scores.astype(np.float32))
    assert equal_error_rate(single.mated, single.scores) == pytest.approx(
        equal_error_rate(whole.mated, whole.scores), abs=1e-6
    )
    monkeypatch.setattr("skagile.metrics._privacy._MOST", 400)
    few = equal_error_rate_interval(whole, subjects[1::2], random_state=0)
    assert (few.low, few.high) == pytest.approx((interval.low, interval.high), abs=0.01)
    with pytest.raises(ValueError, match="dtype"):
        verification_scores(*data, dtype=int)


def test_floor_of_many_people_takes_little_memory():
    """Everybody's scores for everybody would be 3 GB here, and as much again for each beat of a person."""
    people = np.repeat(np.arange(20_000), 3)
    label = people % 7  # of three alike: whose they are is known to one in so many
    tracemalloc.start()
    share = label_only_floor(label, people, label, people, fused=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert share == 7 / 20_000
    own = np.random.default_rng(0).integers(0, 400, len(people))
    tracemalloc.start()
    label_only_floor(own, people, own, people, fused=True)
    peak = max(peak, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert peak < 500e6
