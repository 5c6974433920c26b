"""TransECGIdentifier: where its attention lies, on which wave, and that it finds where identity was put."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skagile.attackers import TransECGIdentifier
from skagile.attackers._transecg import WAVES, _wave_masks
from skagile.datasets import beats_from_records, fetch_mitdb
from skagile.segmentation import measure_beats

QUICK = {"d_model": 16, "n_layers": 1, "stem": 8, "batch_size": 32, "random_state": 0, "device": "cpu"}
RATE, WINDOW = 250, (0.3, 0.5)


def _beats(n_rows, marked, seed=0, n_subjects=4):
    """Equal beats with P, QRS and T, but for a bump of a subject's own height where `marked` says, in s from R."""
    rng = np.random.default_rng(seed)
    subject = np.arange(n_rows) % n_subjects
    time = np.arange(-75, 125) / RATE
    waves = [(-0.16, 0.15, 0.02), (0.0, 1.2, 0.012), (0.03, -0.3, 0.012), (0.28, 0.35, 0.035)]
    beat = sum(height * np.exp(-0.5 * ((time - at) / width) ** 2) for at, height, width in waves)
    own = np.exp(-0.5 * ((time - marked) / 0.02) ** 2)
    X = beat + 0.12 * (subject[:, None] - 1.5) * own + 0.01 * rng.standard_normal((n_rows, len(time)))
    return X.astype(np.float32), subject


@pytest.fixture(scope="module")
def fitted():
    return TransECGIdentifier(max_epochs=12, **QUICK).fit(*_beats(200, 0.28))


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_learns_separable_subjects(pool):
    attacker = TransECGIdentifier(max_epochs=16, pool=pool, **QUICK).fit(*_beats(200, 0.28))
    assert attacker.score(*_beats(100, 0.28, seed=1)) > 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_attention_is_a_share(fitted, dtype):
    X = _beats(30, 0.28)[0].astype(dtype)
    attention = fitted.attention(X)
    assert attention.shape == X.shape
    assert attention.dtype == dtype
    assert (attention >= 0).all()
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-4)
    assert np.ptp(attention, axis=0).max() > 1e-5  # it is the beat's own, not the same for all
    np.testing.assert_allclose(fitted.attention(3 * X + 1), attention, rtol=1e-2, atol=1e-5)


def test_attention_of_a_record_is_the_mean_over_its_beats(fitted):
    X = _beats(30, 0.28)[0]
    records = X.reshape(6, 5, -1).copy()
    records[1, 2:] = np.nan
    records[4] = np.nan
    got, single = fitted.attention(records), fitted.attention(X)
    assert got.shape == (6, X.shape[1])
    np.testing.assert_allclose(got[0], single[:5].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(got[1], single[5:7].mean(axis=0), rtol=1e-4)
    assert np.isnan(got[4]).all()
    np.testing.assert_allclose(np.delete(got, 4, axis=0).sum(axis=1), 1, rtol=1e-4)


def test_waves_are_where_the_ruler_finds_them():
    X = _beats(12, 0.28)[0].astype(np.float64)
    mask = _wave_masks(X, RATE, WINDOW)
    assert mask.shape == (4, 12, 200)
    assert (mask.sum(axis=0) <= 1).all()  # no sample is of two waves
    found = measure_beats(X, RATE, window=WINDOW)
    ms = (np.arange(200) - 75) * 1000 / RATE
    for row in range(12):
        p, qrs, st, t = (ms[inside[row]] for inside in mask)
        assert (p[0], p[-1]) == (found.p_onset[row], found.p_offset[row])
        assert (qrs[0], qrs[-1]) == (found.qrs_onset[row], found.qrs_offset[row])
        assert (st[0], t[-1]) == (found.qrs_offset[row] + 1000 / RATE, found.t_end[row])
        assert t[0] == st[-1] + 1000 / RATE == 2 * found.t_peak[row] - found.t_end[row]


def test_shares_and_densities_are_the_sums_over_the_waves(fitted):
    X = _beats(20, 0.28)[0]
    attention, mask = fitted.attention(X).astype(np.float64), _wave_masks(X, RATE, WINDOW)
    found = fitted.wave_attention(X, RATE, window=WINDOW)
    np.testing.assert_allclose(found.attention, attention.mean(axis=0), rtol=1e-5)
    for name, inside in zip(WAVES, mask, strict=True):
        shares = [attention[i, inside[i]].sum() for i in range(20)]
        assert found.share[name] == pytest.approx(np.mean(shares), rel=1e-5)
        densities = [share / (inside[i].sum() / 200) for i, share in enumerate(shares)]
        assert found.density[name] == pytest.approx(np.mean(densities), rel=1e-5)
        assert found.n_beats[name] == 20
    assert 0.3 < sum(found.share.values()) < 1


def test_even_attention_has_density_one(fitted, monkeypatch):
    X = _beats(20, 0.28)[0]
    monkeypatch.setattr(fitted, "_attend", lambda beats: np.full(beats.values.shape, 1 / 200))
    found = fitted.wave_attention(X, RATE, window=WINDOW)
    for name, inside in zip(WAVES, _wave_masks(X, RATE, WINDOW), strict=True):
        assert found.density[name] == pytest.approx(1)
        assert found.share[name] == pytest.approx(inside.mean())


def test_beats_without_a_wave_do_not_count(fitted):
    X = _beats(20, 0.28)[0].astype(np.float64)
    time = np.arange(-75, 125) / RATE
    noise = 0.02 * np.random.default_rng(0).standard_normal((12, 200))
    bare = 1.2 * np.exp(-0.5 * (time / 0.012) ** 2) + noise
    both = np.concatenate([X, bare])
    measured = measure_beats(both, RATE, window=WINDOW)
    found = fitted.wave_attention(both, RATE, window=WINDOW)
    assert found.n_beats["QRS"] == 32
    assert 20 <= found.n_beats["P"] == measured.p_present.sum() < 30
    assert 20 <= found.n_beats["T"] == np.isfinite(measured.t_end).sum()
    none = fitted.wave_attention(bare[~measured.p_present[20:]][:1], RATE, window=WINDOW)
    assert none.n_beats["P"] == 0
    assert np.isnan(none.share["P"])
    assert np.isnan(none.density["P"])


def test_three_dimensional_waves(fitted):
    X = _beats(20, 0.28)[0]
    records = np.full((5, 6, 200), np.nan, dtype=np.float32)
    records[:, :4] = X.reshape(5, 4, 200)
    one, two = (fitted.wave_attention(data, RATE, window=WINDOW) for data in (X, records))
    assert one.share == pytest.approx(two.share)
    assert one.n_beats == two.n_beats


def test_wrong_window(fitted):
    with pytest.raises(ValueError, match=r"beats has 200 samples, but window=\(0.25, 0.45\)"):
        fitted.wave_attention(_beats(5, 0.28)[0], RATE)


@pytest.mark.parametrize("method", ["attention", "wave_attention"])
def test_unfitted(method):
    arguments = (RATE,) if method == "wave_attention" else ()
    with pytest.raises(NotFittedError, match="TransECGIdentifier"):
        getattr(TransECGIdentifier(), method)(_beats(5, 0.28)[0], *arguments)


def test_parameters_reach_the_net():
    attacker = TransECGIdentifier(
        max_epochs=1, **QUICK | {"patch_size": 9, "stride": 3, "n_layers": 2, "n_heads": 8, "margin": 0.4, "scale": 9.0}
    ).fit(*_beats(40, 0.28))
    encoder = attacker.net_.module_.encoder
    assert (encoder.to_tokens.kernel_size, encoder.to_tokens.stride) == ((9,), (3,))
    assert (len(encoder.layers), encoder.layers[0].n_heads) == (2, 8)
    assert (attacker.net_.criterion_.margin, attacker.net_.criterion_.scale) == (0.4, 9.0)


@pytest.mark.realdata
def test_attention_on_real_beats(realdata):
    records = fetch_mitdb(records=["100", "103", "105", "119", "200"])
    beats = beats_from_records(records, sampling_rate=180, max_beats=30, random_state=0)
    attacker = clone(TransECGIdentifier(max_epochs=2, **QUICK)).fit(beats.X, beats.subjects)
    found = attacker.wave_attention(beats.X, beats.sampling_rate, window=beats.window)
    assert all(0 < found.share[name] < 1 for name in WAVES)
    assert found.n_beats["QRS"] > 0.95 * len(beats.X)
    assert found.density["QRS"] > 0.5
