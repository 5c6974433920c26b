"""Releases with nothing in them but a leak: which attacker, trained on the release, catches it, and that none dreams.

Beats are independent noise, or one template for everybody in noise, so nothing but what is put in tells people apart.
"""

import numpy as np
import pytest
from scipy.stats import binom

from skagile.attackers import FiducialIdentifier, LowOrderIdentifier, RowOrderIdentifier, SVDIdentifier, row_positions
from skagile.attackers._low_order import _log_tail

N_SUBJECTS, N_BEATS, N_SAMPLES, RATE = 20, 40, 126, 180.0
SUBJECTS = np.repeat(np.arange(N_SUBJECTS), N_BEATS)
ENROL = np.arange(len(SUBJECTS)) % 2 == 0
N_PROBES = int((~ENROL).sum())
ATTACKERS = {
    "svd": SVDIdentifier(),
    "svd, millivolts": SVDIdentifier(standardize=False),
    "nearest_neighbour": SVDIdentifier(classifier="neighbour"),
    "fiducial": FiducialIdentifier(RATE, n_estimators=100, random_state=0),
    "low_order": LowOrderIdentifier(),
}


def _noise(seed):
    return 0.3 * np.random.default_rng(seed).standard_normal((len(SUBJECTS), N_SAMPLES))


def _template(seed):
    return np.exp(-0.5 * ((np.arange(N_SAMPLES) - 45) / 3) ** 2) + 0.2 * _noise(seed)


def _odd_or_even(X, step, bits):
    """Round to whole steps, odd where the bit is set."""
    return (2 * np.floor(X / (2 * step)) + bits) * step


def _marks(seed=9):
    """A bit for each sample of each person."""
    return np.random.default_rng(seed).integers(2, size=(N_SUBJECTS, N_SAMPLES))[SUBJECTS]


def _nothing(seed=0):
    return _noise(seed)


def _nothing_in_microvolts(seed=0):
    return np.round(_noise(seed), 3)


def _bits_of_microvolts():
    return _odd_or_even(_noise(0), 1e-3, _marks())


def _bits_of_a_file():
    """200 steps per mV, as MIT-BIH's."""
    return _odd_or_even(_noise(0), 5e-3, _marks())


def _bits_of_floats():
    X = _noise(0).astype(np.float32)
    bits = X.view(np.uint32)
    bits[:] = (bits & ~np.uint32(1)) | _marks().astype(np.uint32)
    return X


def _one_bit_in_one_sample():
    """Two halves of the people are told apart, by the last bit of one sample, and nothing more."""
    X = np.round(1000 * _noise(0)).astype(int)
    X[:, 70] = X[:, 70] // 2 * 2 + SUBJECTS % 2
    return X / 1000


def _faint_pattern():
    """Half a microvolt up or down, by person and sample, on beats that are equal but for as little noise."""
    rng = np.random.default_rng(1)
    return _template(0)[:1] + 5e-4 * (2 * _marks() - 1 + rng.standard_normal((len(SUBJECTS), N_SAMPLES)))


def _gain():
    return _template(0) * np.exp(0.3 * np.random.default_rng(5).standard_normal(N_SUBJECTS))[SUBJECTS, None]


def _gain_of_noise():
    return _noise(0) * np.exp(0.3 * np.random.default_rng(5).standard_normal(N_SUBJECTS))[SUBJECTS, None]


def _offset():
    return _template(0) + 0.1 * np.random.default_rng(5).standard_normal(N_SUBJECTS)[SUBJECTS, None]


def _time_shift():
    shift = np.random.default_rng(6).integers(-8, 9, size=N_SUBJECTS)[SUBJECTS, None]
    return np.take_along_axis(_template(0), (np.arange(N_SAMPLES) + shift) % N_SAMPLES, axis=1)


# release -> who catches it
LEAKS = {
    "bits of microvolts": (_bits_of_microvolts, {"low_order"}),
    "bits of a file": (_bits_of_a_file, {"low_order"}),
    "bits of floats": (_bits_of_floats, {"low_order"}),
    "one bit": (_one_bit_in_one_sample, {"low_order"}),
    "faint pattern": (_faint_pattern, {"svd", "svd, millivolts", "nearest_neighbour", "low_order"}),
    "gain": (_gain, {"svd, millivolts", "fiducial"}),
    "gain of noise": (_gain_of_noise, {"fiducial"}),
    "offset": (_offset, {"svd, millivolts", "fiducial", "low_order"}),
    "time shift": (_time_shift, {"svd", "nearest_neighbour", "fiducial"}),
}


def _n_right(attacker, X):
    X = np.asarray(X)
    X = X if X.dtype == np.float32 else X.astype(np.float32)
    attacker.fit(X[ENROL], SUBJECTS[ENROL])
    return int((attacker.predict(X[~ENROL]) == SUBJECTS[~ENROL]).sum())


@pytest.mark.parametrize(
    ("leak", "name"), [(leak, name) for leak, (_, caught_by) in LEAKS.items() for name in sorted(caught_by)]
)
def test_leak_is_caught(leak, name):
    n_right = _n_right(ATTACKERS[name], LEAKS[leak][0]())
    if leak == "one bit":  # a coin for half the people: 2 of 20
        assert binom.sf(n_right - 1, N_PROBES, 1 / N_SUBJECTS) < 1e-3
        assert n_right < 2 * 2 * N_PROBES / N_SUBJECTS
    else:
        assert n_right > 0.15 * N_PROBES
        assert binom.sf(n_right - 1, N_PROBES, 1 / N_SUBJECTS) < 1e-12


@pytest.mark.parametrize("leak", ["gain", "offset"])
@pytest.mark.parametrize("name", ["svd", "nearest_neighbour"])
def test_scaled_beats_hide_gain_and_offset(leak, name):
    """Why an attacker who looks at millivolts is needed."""
    n_right = _n_right(ATTACKERS[name], LEAKS[leak][0]())
    assert binom.sf(n_right - 1, N_PROBES, 1 / N_SUBJECTS) > 1e-3


@pytest.mark.parametrize("name", list(ATTACKERS))
@pytest.mark.parametrize("release", [_nothing, _nothing_in_microvolts])
def test_nothing_is_found_where_nothing_is(release, name):
    n_right = sum(_n_right(ATTACKERS[name], release(seed)) for seed in range(3))
    assert binom.sf(n_right - 1, 3 * N_PROBES, 1 / N_SUBJECTS) > 1e-3
    assert binom.cdf(n_right, 3 * N_PROBES, 1 / N_SUBJECTS) > 1e-3


@pytest.mark.parametrize("shuffled", [False, True])
def test_order_of_rows(shuffled):
    position = row_positions(np.zeros(len(SUBJECTS)))
    if shuffled:
        position = np.random.default_rng(0).permutation(position)
    attacker = RowOrderIdentifier().fit(position[ENROL], SUBJECTS[ENROL])
    n_right = int((attacker.predict(position[~ENROL]) == SUBJECTS[~ENROL]).sum())
    if shuffled:
        assert binom.sf(n_right - 1, N_PROBES, 1 / N_SUBJECTS) > 1e-3
    else:
        assert n_right > 0.9 * N_PROBES


# --- the attacker of last digits itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leak", "way"),
    [("bits of microvolts", ("step", 0.001)), ("bits of floats", ("bit", 0)), ("one bit", ("step", 0.001))],
)
def test_low_order_names_the_way(leak, way):
    X = np.asarray(LEAKS[leak][0]())
    X = X if X.dtype == np.float32 else X.astype(np.float32)
    attacker = LowOrderIdentifier().fit(X[ENROL], SUBJECTS[ENROL])
    assert attacker.ways_[0] == way
    assert attacker.log_p_[0] < -50
    assert len(attacker.ways_) == 3
    assert (np.diff(attacker.log_p_) >= 0).all()


def test_low_order_number_of_ways():
    X = _bits_of_microvolts().astype(np.float32)
    one = LowOrderIdentifier(n_ways=1).fit(X[ENROL], SUBJECTS[ENROL])
    assert one.ways_ == [("step", 0.001)]
    assert one.score(X[~ENROL], SUBJECTS[~ENROL]) == 1.0
    with pytest.raises(ValueError, match=r"'n_ways'.*Got 0"):
        LowOrderIdentifier(n_ways=0).fit(X, SUBJECTS)


def test_low_order_does_not_mind_where_the_steps_begin():
    """Odd and even steps from anywhere, such as a file's baseline of 1.2345 mV."""
    X = _bits_of_microvolts() + 1.23456
    attacker = LowOrderIdentifier().fit(X[ENROL], SUBJECTS[ENROL])
    assert attacker.score(X[~ENROL], SUBJECTS[~ENROL]) > 0.99


def test_log_tail_against_integer_degrees():
    """Even degrees have a closed form: exp(-x/2) times a sum of powers; its log far out, where the tail underflows."""
    for statistic, degrees in ((10.0, 4), (50.0, 20), (1e4, 20), (1e5, 200)):
        half = statistic / 2
        k = np.arange(degrees // 2)
        log_terms = k * np.log(half) - np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
        expected = -half + np.logaddexp.reduce(log_terms)
        assert _log_tail(statistic, degrees) == pytest.approx(expected, rel=1e-4)
