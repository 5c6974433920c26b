"""What an audit says of how far several leads were moved: pooled, over leads, lead by lead, and against the laws."""

import numpy as np
import pytest

from skagile import metrics
from skagile.audit._settings import Settings
from skagile.audit.use._fidelity import fidelity, fidelity_by_lead
from skagile.leads import STANDARD, derive_leads

RATE, WINDOW = 250.0, (0.35, 0.65)
SETTINGS = Settings(0, 0.95, 100, (), (), RATE, WINDOW)


@pytest.fixture(scope="module")
def beats():
    """Sixty beats of twelve leads; the release turns the axis by 30 degrees, and moves V1 alone, and III by 1 mV."""
    rng = np.random.default_rng(0)
    time = np.arange(-round(0.35 * RATE), round(0.65 * RATE)) / RATE
    wave = np.exp(-0.5 * (time / 0.014) ** 2) + 0.3 * np.exp(-0.5 * ((time - 0.29) / 0.04) ** 2)
    pair = {}
    for name, angle in (("original", 40.0), ("released", 70.0)):
        seen = np.full(12, 0.8)
        seen[:2] = np.cos(np.deg2rad(angle - np.array([0, 60])))
        leads = seen[:, None] * wave + 0.003 * rng.standard_normal((60, 12, len(time)))
        pair[name] = derive_leads(leads, STANDARD)
    pair["released"][:, 7:] = pair["original"][:, 7:]
    pair["released"][:, 2, 10] += 1.0
    return pair


def test_figures_over_leads(beats):
    told = fidelity(beats, SETTINGS, 10**6, STANDARD)
    values = metrics.prdn(beats["original"], beats["released"])
    assert told["prdn"]["median"] == np.quantile(values, 0.5, method="inverted_cdf")
    assert told["qrs_axis"]["median"] == pytest.approx(30, abs=2)
    assert told["qrs_axis"]["unit"] == "degrees"
    assert told["global_qt_interval"]["median"] < 30
    assert told["lead_residual_original"]["p95"] < 1e-9
    assert told["lead_residual_released"]["median"] == pytest.approx(1.0, abs=0.05)
    assert told["lead_residual_released"]["unit"] == "mV"
    for entry in told.values():
        assert set(entry) == {"median", "p05", "p95", "unit"}
    unnamed = fidelity(beats, SETTINGS, 10**6)
    assert not {name for name in unnamed if name.startswith("lead_residual")}
    assert unnamed["qrs_axis"]["median"] is None


def test_figures_of_each_lead(beats):
    by_lead = fidelity_by_lead(beats, SETTINGS, 10**6, STANDARD)
    assert list(by_lead) == list(STANDARD)
    assert by_lead["V2"]["max_abs_error"]["p95"] == 0
    assert by_lead["III"]["max_abs_error"]["median"] > 0.9
    for lead, name in enumerate(STANDARD):
        alone = {source: rows[:, lead] for source, rows in beats.items()}
        assert by_lead[name] == fidelity(alone, SETTINGS, 10**6)
    assert list(fidelity_by_lead(beats, SETTINGS, 10**6)) == [str(lead) for lead in range(12)]


def test_a_missing_lead_is_left_out(beats):
    without = {name: rows.copy() for name, rows in beats.items()}
    for rows in without.values():
        rows[:30, 2] = np.nan
    told, by_lead = (give(without, SETTINGS, 10**6, STANDARD) for give in (fidelity, fidelity_by_lead))
    later = {name: rows[30:, 2] for name, rows in beats.items()}
    assert by_lead["III"] == fidelity(later, SETTINGS, 10**6)
    assert told["lead_residual_released"]["p05"] < 1e-9 < told["lead_residual_released"]["p95"]


def test_no_more_beats_than_asked(beats, monkeypatch):
    seen = []
    monkeypatch.setattr(metrics, "dtw_distance", lambda x, z: seen.append(x.shape) or np.zeros(x.shape[:-1]))
    fidelity(beats, SETTINGS, 120, STANDARD)
    fidelity_by_lead(beats, SETTINGS, 20, STANDARD)
    assert [shape[0] for shape in seen] == [10] + 12 * [20]
