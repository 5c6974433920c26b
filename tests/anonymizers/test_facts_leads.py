"""Facts of beats of several leads: measured over leads, the axis in bins on a circle, and kept by a release."""

import numpy as np
import pytest
from sklearn.base import clone

from skagile import KSameAnonymizer
from skagile.anonymizers._ksame._facts import MEASURED, OVER_LEADS, Facts
from skagile.leads import STANDARD, derive_leads, independent_leads
from skagile.segmentation import measure_beats

RATE, WINDOW = 250.0, (0.35, 0.65)
KEPT = independent_leads(STANDARD)


def make_beats(angle, names=STANDARD, *, late=0.0, seed=0, noise=0.01):
    """Beats of a dipole that lies at these angles in the frontal plane; chest leads see it from in front."""
    rng = np.random.default_rng(seed)
    angle = np.deg2rad(np.asarray(angle, dtype=float))[:, None, None]
    time = np.arange(-round(0.35 * RATE), round(0.65 * RATE)) / RATE
    waves = 1.2 * np.exp(-0.5 * (time / 0.014) ** 2) + 0.3 * np.exp(-0.5 * ((time - 0.29 - late) / 0.04) ** 2)
    waves = waves + 0.12 * np.exp(-0.5 * ((time + 0.17) / 0.02) ** 2)
    axes = np.concatenate([[0, np.pi / 3, 0, 0, 0, 0], np.linspace(0, 2, 6)])[:, None]  # of III to aVF: derived
    leads = np.cos(angle - axes) * waves
    leads = derive_leads(leads + noise * rng.standard_normal(leads.shape), STANDARD)
    return leads[:, [STANDARD.index(name) for name in names]]


def encode(keep, X, names=STANDARD, **given):
    facts = Facts(keep, RATE, WINDOW, len(names), names)
    flat = X.reshape(len(X), -1)
    return facts, facts.fit(flat, given or None, np.arange(len(X)), len(X))


@pytest.mark.parametrize("names", [STANDARD, tuple(KEPT), ("I", "aVF")])
def test_axis_in_bins_on_a_circle(names):
    angle = np.array([-170.0, -140, -100, -80, -45, -20, 0, 45, 80, 100, 135, 170, 178, -178])
    facts, codes = encode(("qrs_axis",), make_beats(angle, names), names)
    told = [facts.describe(code)["qrs_axis"] for code in codes]
    extreme, left, normal, right = "-180..-90", "-90..-30", "-30..90", "90..180"
    assert told == [extreme] * 3 + [left] * 2 + [normal] * 4 + [right] * 4 + [extreme]
    assert facts.n_values.tolist() == [5]  # or absent


def test_bins_that_go_over_the_end_of_the_circle():
    angle = np.array([-175.0, -100, -60, 0, 60, 120, 175])
    for bounds in ((-30, 90), (-150, -30, 90, 150)):
        facts, codes = encode({"qrs_axis": bounds}, make_beats(angle))
        right = [
            next(
                i
                for i in range(len(bounds))
                if (a - bounds[i - 1]) % 360 < (bounds[i] - bounds[i - 1]) % 360  # a turn from one bound to the next
            )
            for a in angle
        ]
        assert codes[:, 0].tolist() == right
        assert facts.n_values.tolist() == [len(bounds) + 1]
    facts, codes = encode({"qrs_axis": (-30, 90)}, make_beats(angle))
    assert facts.describe(codes[0]) == facts.describe(codes[-1]) == {"qrs_axis": "90..-30"}


def test_half_a_turn_is_one_angle(monkeypatch):
    """180 and -180 degrees are one."""
    facts = Facts(("qrs_axis",), RATE, WINDOW, 2, ("I", "II"))
    for value, told in ((180.0, "-180..-90"), (-180.0, "-180..-90"), (90.0, "90..180"), (-90.0, "-90..-30")):
        monkeypatch.setattr(Facts, "_measured", lambda self, X, value=value: {"qrs_axis": np.full((1, 1), value)})
        codes = facts.fit(np.ones((1, 4)), None, np.zeros(1, dtype=int), 1)
        assert facts.describe(codes[0]) == {"qrs_axis": told}


@pytest.mark.parametrize("name", [*MEASURED, "global_qrs_duration", "global_qt_interval"])
def test_facts_are_those_of_measure_beats(name):
    X = np.concatenate([make_beats([20.0, 100], late=late, seed=i) for i, late in enumerate((-0.06, 0, 0.08))])
    X[:2, :, 60:] *= -1
    _, codes = encode((name,), X)
    value = np.asarray(measure_beats(X[:, None], RATE, window=WINDOW)[name], dtype=float)[:, 0]
    bounds = {**MEASURED, **OVER_LEADS}[name]
    for code, v in zip(codes[:, 0], value, strict=True):
        assert code == (len(bounds) + 1 if np.isnan(v) else sum(v >= bound for bound in bounds))


def test_a_lead_that_is_missing_is_left_out():
    X = make_beats([30.0, 120], ("I", "II", "aVF"))
    both = ("qrs_axis", "qt_interval")
    _, codes = encode(both, X, ("I", "II", "aVF"))
    X[:, 1] = 0  # as check_beats lays it out
    _, without = encode(both, X, ("I", "II", "aVF"))
    _, alone = encode(both, X[:, [0, 2]], ("I", "aVF"))
    np.testing.assert_array_equal(without, alone)
    np.testing.assert_array_equal(without[:, 0], codes[:, 0])
    X[:, 2] = 0
    facts, absent = encode(both, X, ("I", "II", "aVF"))
    assert [facts.describe(code)["qrs_axis"] for code in absent] == ["absent", "absent"]


@pytest.mark.parametrize(
    ("keep", "n_leads", "names", "match"),
    [
        (("qrs_axis",), 1, None, "'qrs_axis', which is measured over leads, and X has one lead"),
        (("global_qt_interval",), 1, ("II",), "X has one lead"),
        (("qrs_axis",), 2, None, "lead_names=None: the axis is measured on two limb leads"),
        (("qrs_axis",), 2, ("V1", "V2"), "two limb leads"),
        (("qrs_axis",), 2, ("I", "V2"), "two limb leads"),
        (("qrs_axis",), 2, ("MLII", "MLIII"), "two limb leads"),
        ({"qrs_axis": (30,)}, 2, ("I", "II"), "two bounds or more from -180 to 180"),
        ({"qrs_axis": (-180, 180)}, 2, ("I", "II"), "two bounds or more"),
        ({"qrs_axis": (-30, 270)}, 2, ("I", "II"), "two bounds or more"),
    ],
)
def test_facts_that_these_leads_do_not_tell(keep, n_leads, names, match):
    with pytest.raises(ValueError, match=match):
        Facts(keep, RATE, WINDOW, n_leads, names)


def test_a_release_keeps_the_axis():
    """Beats for beats: a pseudo-person of a record has an axis of their own, which no further draw moves."""
    names, n_subjects, n_beats = ("I", "II", "III", "V2"), 16, 5
    angle = np.where(np.arange(n_subjects) % 2 == 0, 40.0, -60.0)
    y = np.where(np.arange(n_subjects) % 4 < 2, "N", "V")
    late = np.repeat(np.where(y == "V", 0.12, 0), n_beats)[:, None, None]
    turned = np.repeat(angle, n_beats) + 8 * np.random.default_rng(0).standard_normal(n_subjects * n_beats)
    X = make_beats(turned, names, late=late, noise=0.02).reshape(n_subjects, n_beats, len(names), -1)

    def share(keep, **settings):
        """Share of released beats with a normal axis, of people with and without, and the anonymizer."""
        ksame = KSameAnonymizer(
            4, keep, sampling_rate=RATE, window=WINDOW, max_epochs=2, max_draws=20, random_state=0, coherence="beat"
        ).set_params(**settings)
        Z = ksame.fit_transform(X, y, subjects=np.arange(n_subjects))
        axis = measure_beats(Z, RATE, window=WINDOW, lead_names=names).qrs_axis
        normal = (axis >= -30) & (axis < 90)
        return normal[angle > 0].mean(), normal[angle < 0].mean(), ksame

    one, other, ksame = share(("qrs_axis",), lead_names=names)
    assert one > 0.9
    assert other < 0.1
    again = clone(ksame)._set_state(ksame._get_state())
    np.testing.assert_array_equal(again.transform(X), ksame.transform(X))
    one, other, _ = share((), lead_names=names)
    assert one - other < 0.6
    with pytest.raises(ValueError, match="two limb leads"):
        share(("qrs_axis",))
