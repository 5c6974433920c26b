"""The demo on MIT-BIH and ECG-ID over several seeds: the honest table of the README."""

import tempfile

import pandas as pd

from skagile._demo import run_demo
from study._table import write_page

SEEDS = (0,)


def run():
    """Run the study and write its page."""
    tables = []
    seeds = "seeds " + ", ".join(map(str, SEEDS))
    for data, people in (("mitdb", "MIT-BIH, second half of each record against the first"), ("ecgid", "ECG-ID")):
        attacks, utilities = [], []
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                report, _ = run_demo(data, folder, seed=seed)
            print(data, seed, report, sep="\n", flush=True)
            attacks.append(report.summary().assign(seed=seed))
            utilities.append(report.utility().assign(seed=seed))
        tables.append((f"{people}: re-identification, {seeds}", _spread(attacks, ["attacker", "knowledge"])))
        tables.append((f"{people}: diagnosis, {seeds}", _spread(utilities, ["trained_on", "tested_on"])))
    text = """
Figures of ``skagile demo --data mitdb`` and ``--data ecgid`` with default settings: beats at 180 Hz, at most 150 a
person and session, AGILE fitted on the enrolment session. Each cell is the mean over the seeds; in brackets the widest
of the seeds' 95 % intervals over people.
"""
    return write_page(
        "foundation",
        "AGILE's release, attacked before and after retraining",
        text,
        tables,
        "tox run -e study -- foundation",
    )


def _spread(frames, by):
    """Mean over seeds of every figure that has an interval, with the outermost ends of the intervals."""
    frame = pd.concat(frames)
    figures = [name for name in frame.columns if f"{name}_low" in frame.columns]
    groups = frame.groupby(by, sort=False)
    table = groups[figures].mean()
    low, high = groups[[f"{name}_low" for name in figures]].min(), groups[[f"{name}_high" for name in figures]].max()
    for name in figures:
        table[name] = [
            f"{mean:.3f} [{a:.3f}, {b:.3f}]"
            for mean, a, b in zip(table[name], low[f"{name}_low"], high[f"{name}_high"], strict=True)
        ]
    return table.reset_index()
