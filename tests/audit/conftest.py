"""A report with everything in it, drawn at random and consistent in itself."""

import math

import numpy as np
import pytest

from skagile.audit import AuditReport

KNOWLEDGE = ("clean", "static", "adaptive", "adaptive+denoise", "open_set", "cross_database", "auxiliary")


def _interval(rng, key, low=0.02, high=0.95):
    ends = np.sort(rng.uniform(low, high, size=3))
    return {key: float(ends[1]), f"{key}_low": float(ends[0]), f"{key}_high": float(ends[2])}


def _entry(rng, low=0.02, high=0.95):
    ends = _interval(rng, "value", low, high)
    return {"value": ends["value"], "low": ends["value_low"], "high": ends["value_high"]}


def _beat(rng, n_samples, width=1.0):
    time = np.linspace(-0.25, 0.45, n_samples)
    waves = ((-0.16, 0.03, 0.15), (-0.02, 0.008, -0.1), (0, 0.012 * width, 1.1), (0.03, 0.01, -0.25), (0.25, 0.05, 0.3))
    beat = sum(height * np.exp(-(((time - at) / spread) ** 2)) for at, spread, height in waves)
    return beat + 0.01 * rng.normal(size=n_samples)


def make_fake_report(
    seed=0, *, knowledge=KNOWLEDGE, attackers=("svd", "deep_ecg", "siamese", "transecg"), classes="NSVF", **changes
):
    rng = np.random.default_rng(seed)
    n_subjects, n_probe, n_samples = 47, 4700, 126
    attacks = []
    for known in knowledge:
        for attacker in attackers:
            # More beats tell more.
            fusion = np.sort(rng.uniform(0.05, 0.95, size=(4, 3)), axis=None).reshape(4, 3)
            points = [
                {"n_beats": n, "rank1": float(value), "rank1_low": float(low), "rank1_high": float(high)}
                for n, (low, value, high) in zip((1, 5, 10, "all"), fusion, strict=True)
            ]
            first, last = points[0], points[-1]
            attacks.append(
                {
                    "attacker": attacker,
                    "knowledge": known,
                    **{f"rank1{end}": first[f"rank1{end}"] for end in ("", "_low", "_high")},
                    **_interval(rng, "eer", 0.05, 0.5),
                    **{f"fused_rank1{end}": last[f"rank1{end}"] for end in ("", "_low", "_high")},
                    "fusion": points,
                    "rank5": float(rng.uniform(first["rank1"], 1)),
                    "tar_far_1e2": float(rng.uniform(0.3, 0.6)),
                    "tar_far_1e3": None if known == "open_set" else float(rng.uniform(0, 0.3)),
                    "d_sys": float(rng.uniform(0, 1)),
                    "d_sys_null": float(rng.uniform(0, 0.1)),
                    "information_bits": float(rng.uniform(-0.5, math.log2(n_subjects))),
                    "null_rank1": float(rng.uniform(0.02, 0.05)),
                    "p_value": float(rng.uniform(0, 0.2)),
                    "n_subjects": n_subjects,
                    "n_probe": n_probe,
                }
            )
    release = [attack for attack in attacks if attack["knowledge"] != "clean"]
    floors = {
        "chance": 1 / n_subjects,
        "majority": 0.023,
        "label_only": 0.0625,
        "label_only_fused": 0.2125,
        "diagnosis_majority": 0.83,
    }
    headline = {}
    for kind, measure, floor in (("single", "rank1", "label_only"), ("fused", "fused_rank1", "label_only_fused")):
        if release:
            worst = max(release, key=lambda attack: attack[measure])
            headline[kind] = {
                "attacker": worst["attacker"],
                "knowledge": worst["knowledge"],
                "value": worst[measure],
                "low": worst[f"{measure}_low"] * 0.9,
                "high": min(1.0, worst[f"{measure}_high"] * 1.02),
                "floor": floors[floor],
                "n_attacks": len(release),
                "corrected": True,
            }
    for name, what, null in (
        ("presence", "nearest, mean, own beats", 0.5),
        ("copies", "shape", 0.05),
        ("disclosure", "diagnosis, network", 0.0),
    ):
        headline[name] = {"what": what, **_entry(rng), "null": null, "n_attacks": 4, "corrected": True}
    sizes = [10, 20, 47]
    far = [100, 1_000, 10_000, 100_000, 1_000_000]
    curve = np.sort(rng.uniform(0.02, 0.9, size=len(sizes) + len(far)))[::-1]
    points = [
        {"n": n, "rank1": float(value), "low": float(value * (1 - spread)), "high": float(min(1, value * (1 + spread)))}
        for n, value, spread in zip(sizes + far, curve, np.linspace(0.05, 0.9, len(curve)), strict=True)
    ]
    original, released = _beat(rng, n_samples), _beat(rng, n_samples, 1.4)

    def diagnosis(trained_on, tested_on):
        return {
            "trained_on": trained_on,
            "tested_on": tested_on,
            **_interval(rng, "accuracy", 0.8),
            **_interval(rng, "macro_f1", 0.6),
            "sensitivity": {name: float(rng.uniform()) for name in classes},
            "predictivity": {name: float(rng.uniform()) for name in classes},
            "support": {name: int(rng.integers(5, 2000)) for name in classes},
            "interval_over": "people",
            "agreement": None,
            "n_subjects": n_subjects,
            "n_probe": n_probe,
        }

    sources = ("original", "released")
    look = {source: rng.gamma(2.0, size=n_samples) * (0.3 + np.abs(original)) for source in sources}
    shares = {
        source: dict(zip(("P", "QRS", "ST", "T"), rng.dirichlet([2, 5, 2, 3]), strict=True)) for source in sources
    }
    fields = {
        "attacks": attacks,
        "utility_results": [diagnosis(a, b) for a in sources for b in (*sources, "new patients")],
        "fidelity_results": {
            name: dict(zip(("p05", "median", "p95"), np.sort(rng.gamma(2, scale, 3)).tolist(), strict=True), unit=unit)
            for name, scale, unit in (
                ("prdn", 20, "%"),
                ("snr", 5, "dB"),
                ("max_abs_error", 0.1, "mV"),
                ("pearson", 0.3, ""),
                ("dtw", 0.1, "mV"),
                ("energy_above_40hz", 5, "%"),
                ("r_shift", 3, "ms"),
                ("qrs_duration", 8, "ms"),
                ("qt", 15, "ms"),
                ("st_level", 0.03, "mV"),
            )
        },
        "floors": floors,
        "pictures": [
            {
                "class": name,
                "n_beats": 900,
                "n_subjects": 20,
                "original": original.round(4).tolist(),
                "released": released.round(4).tolist(),
            }
            for name in classes[:3]
        ]
        + [{"class": name, "n_beats": 12, "n_subjects": 2} for name in classes[3:]],
        "protocol": {
            "layout": [9400, n_samples],
            "n_beats": 9400,
            "n_samples": n_samples,
            "sampling_rate": 180.0,
            "split": "halves",
            "n_subjects": n_subjects,
            "n_subjects_probed": n_subjects,
            "n_enrolment_beats": 4700,
            "n_probe_beats": n_probe,
            "max_enrolment_beats": 100,
            "max_probe_beats": None,
            "n_unchanged_beats": 0,
            "classes": {name: 1000 for name in classes},
            "knowledge": list(knowledge),
            "attackers": {name: f"{name.title()}Identifier(n_components=60)" for name in attackers},
            "attackers_left_out": ["fiducial", "label_counting"],
            "diagnostic_estimator": "DeepECGIdentifier()",
            "confidence": 0.95,
            "n_resamples": 2000,
            "seed": 0,
            "not_run": [["fiducial", "no sampling rate was given"], ["dates", "the release has none"]],
        },
        "provenance": {
            "date": "2026-11-24T17:00:00+00:00",
            "reaudit_date": "2027-11-24",
            "versions": {"python": "3.12.4", "skagile": "0.1.0", "numpy": "2.4.6", "torch": None},
            "sha256": {"released": "a" * 64, "model": "b" * 64},
        },
        "headline": headline or None,
        "gallery": {
            "attacker": attackers[0],
            "knowledge": knowledge[-1],
            "measured": points[: len(sizes)],
            "extrapolated": points[len(sizes) :],
        },
        "attribute_results": [
            {
                "name": name,
                "kind": kind,
                "trained_on": trained,
                "tested_on": "released",
                **_interval(rng, "auroc", 0.45, 0.95),
                "control": float(rng.uniform(0.5, 0.65)),
                "n_subjects": n_subjects,
            }
            for name, kind in (("sex", "binary"), ("age", "numeric"))
            for trained in sources
        ],
        "gdpr": {
            name: {**_entry(rng), "control": float(rng.uniform(0, 0.1)), "words": f"{name}: some plain words."}
            for name in ("singling_out", "linkability", "inference")
        },
        "presence_results": [
            {
                "attacker": attacker,
                "knowledge": held,
                **_interval(rng, "auroc", 0.4, 0.8),
                "control": 0.58,
                "worst_control": 0.61,
                "tpr_fpr_1e2": float(rng.uniform(0, 0.1)),
                "tpr_fpr_1e1": float(rng.uniform(0.1, 0.4)),
                "n_members": 24,
                "n_others": 23,
            }
            for attacker in ("nearest, mean", "kernel, best")
            for held in ("own beats", "other recordings")
        ],
        "copies_results": [
            {
                "distance": scale,
                **_interval(rng, "share", 0.01, 0.3),
                "null": 0.05,
                "n_people_near": 9,
                "n_subjects": 24,
                "n_beats": 2400,
            }
            for scale in ("shape", "millivolts")
        ],
        "disclosure_results": [
            {
                "task": "diagnosis",
                "attacker": reader,
                **_interval(rng, "advantage", -0.1, 0.4),
                "accuracy_inside": 0.8,
                "accuracy_outside": 0.7,
                "labels": {name: float(rng.uniform(-0.2, 0.4)) for name in classes[:2]},
                "left_out": list(classes[2:]),
                "pooled": False,
                "n_members": 24,
                "n_others": 23,
            }
            for reader in ("nearest_neighbour", "network")
        ],
        "task_results": [{"task": "bundle-branch block", **diagnosis("original", "released")}],
        "attention": {
            "beat": original.tolist(),
            **{source: values.tolist() for source, values in look.items()},
            "waves": shares,
            "n_subjects": n_subjects,
        },
    }
    return AuditReport(**{**fields, **changes})


@pytest.fixture(scope="session")
def fake_report():
    """Factory of reports; keyword arguments replace fields."""
    return make_fake_report
