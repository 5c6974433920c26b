"""Un-shuffling: nothing beside the beats of the demo's release tells whose row is whose.

The attacker knows the originals in the order of their records, whose they are and every diagnosis, and so all but the
order of the released rows. ``SKAGILE_SEEDS=1000000`` tries that many seeds instead of ten thousand; it takes minutes.
"""

import json
import os
import random
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from sklearn.utils import Bunch

from skagile.cli import _demo_job
from skagile.cli._demo_job import SIZES, run_demo

N_SEEDS = int(os.environ.get("SKAGILE_SEEDS", 10_000))
N_PEOPLE = 8


def _python_order(seed, n):
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return np.array(order)


ORDERS = {
    "default_rng": lambda seed, n: np.random.default_rng(seed).permutation(n),
    "RandomState": lambda seed, n: np.random.RandomState(seed).permutation(n),
    "random": _python_order,
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run a small demo: the file that is released, and the same rows in the order of the records."""
    tiny = replace(
        SIZES["quick"],
        max_beats=12,
        network={"max_epochs": 1},
        agile={"n_surrogates": 1, "n_steps": 1, "max_epochs": 1},
        ksame={"max_epochs": 1},
        cohort={"n_subjects": N_PEOPLE, "duration": 20.0},
    )
    save, seen = _demo_job._save, {}

    def watched(out, reports, released, beats, *rest):
        seen.update(released=released, y=beats["y"], subjects=beats["subjects"])
        return save(out, reports, released, beats, *rest)

    out = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "quick", tiny)
        patch.setattr(_demo_job, "_save", watched)
        report = run_demo("synthetic", out, size="quick").report
    with np.load(out / "release.npz", allow_pickle=False) as file:
        X, y = file["X"], file["y"]
    # The truth: where each row stood before it was shuffled.
    place = {row.tobytes(): i for i, row in enumerate(seen["released"])}
    truth = np.array([place[row.tobytes()] for row in X])
    assert len(set(truth.tolist())) == len(X) > 100
    assert len(np.unique(seen["subjects"])) == N_PEOPLE
    return Bunch(out=out, X=X, y=y, truth=truth, report=report, **{f"all_{name}": seen[name] for name in seen})


def named(run, order):
    """Share of the rows whose person is named right, if this is the order that they were put in."""
    return float((run.all_subjects[order] == run.all_subjects[run.truth]).mean())


def chance(run):
    """What naming gets at most from a random order, 999,999 times of a million."""
    share = np.bincount(np.unique(run.all_subjects, return_inverse=True)[1]) / len(run.truth)
    expected = float((share**2).sum())
    return expected + 4.9 * np.sqrt(expected * (1 - expected) / len(run.truth))


def by_seeds(run, order_of, n_seeds):
    """Give the order, of all seeds', whose diagnoses agree best with those that stand in the release."""
    best, order = -1, None
    known, seen = np.unique(run.all_y, return_inverse=True)[1], np.searchsorted(np.unique(run.all_y), run.y)
    for seed in range(n_seeds):
        tried = order_of(seed, len(seen))
        agreement = np.count_nonzero(known[tried] == seen)
        if agreement > best:
            best, order = agreement, tried
    return order


def test_by_order_nobody_is_named(demo):
    run, n = demo, len(demo.X)
    assert named(run, run.truth) == 1
    for order in (np.arange(n), np.arange(n)[::-1], np.roll(np.arange(n), n // 2)):
        assert named(run, order) < chance(run)
    # Nor by those who stand beside one whom somebody knows.
    person = run.all_subjects[run.truth]
    assert (person[1:] == person[:-1]).mean() < chance(run)


@pytest.mark.parametrize("kind", ORDERS)
def test_by_seeds_nobody_is_named(demo, kind):
    run, order_of = demo, ORDERS[kind]
    n_seeds = N_SEEDS if kind == "default_rng" else N_SEEDS // 10
    order = by_seeds(run, order_of, n_seeds)
    print(f"\n{kind}, {n_seeds} seeds: {named(run, order):.3f} named, chance up to {chance(run):.3f}")
    assert named(run, order) < chance(run) + 0.05  # the best of so many agrees a little, by the labels
    # The attack works where there is a seed to be found.
    hidden = order_of(n_seeds // 2, len(run.X))
    weak = Bunch(**{**run, "truth": hidden, "y": run.all_y[hidden]})
    assert named(weak, by_seeds(weak, order_of, n_seeds)) == 1


def metadata(path):
    """All that the file says beside what is in its arrays, and the sizes that they are packed to."""
    with zipfile.ZipFile(path) as file:
        members = [
            (i.filename, i.date_time, i.extra, i.comment, i.create_system, i.external_attr, i.flag_bits, i.file_size)
            for i in file.infolist()
        ]
        return (file.comment, members), {i.filename: i.compress_size for i in file.infolist()}


def test_by_metadata_nobody_is_named(demo, tmp_path):
    run = demo
    said, sizes = metadata(run.out / "release.npz")
    # No time of day, and the same whatever the order.
    assert {entry[1] for entry in said[1]} == {(1980, 1, 1, 0, 0, 0)}
    orders = [run.truth, np.arange(len(run.X)), *(np.random.default_rng().permutation(len(run.X)) for _ in range(30))]
    packed = []
    for order in orders:
        fields = {"X": run.all_released[order], "y": run.all_y[order].astype(str)}
        with np.load(run.out / "release.npz") as file:
            fields |= {name: file[name] for name in ("sampling_rate", "window")}
        np.savez_compressed(tmp_path / "other.npz", **fields)
        of_order, other = metadata(tmp_path / "other.npz")
        assert of_order == said
        packed.append([other[f"{name}.npy"] for name in "Xy"])
    assert packed[0] == [sizes["X.npy"], sizes["y.npy"]]
    # The sizes are those of a random order, and not of people one after another.
    packed = np.array(packed)
    spread = packed[2:].std(axis=0) + 1
    assert (np.abs(packed[0] - packed[2:].mean(axis=0)) < 6 * spread).all()


def test_the_reports_say_that_there_was_no_seed(demo):
    for name in ("report", "agile_report"):
        assert json.loads((demo.out / f"{name}.json").read_text())["protocol"]["known_seed"] is False
        assert 'class="alarm"' not in (demo.out / f"{name}.html").read_text()
    assert demo.report.alarms() == []


def test_two_releases_without_a_seed_have_nothing_in_common(demo, tmp_path, monkeypatch):
    """Nor with one that is made after ``np.random.seed``, and the order is another even with a seed."""
    released = []
    beats = Bunch(X=demo.all_released, y=demo.all_y, sampling_rate=1.0, window=(0, 1))
    for i in range(2):
        np.random.seed(0)  # noqa: NPY002  (the point is that it plays no part)
        (tmp_path / str(i)).mkdir()
        reports = {"ksame": demo.report, "agile": demo.report}
        _demo_job._save(tmp_path / str(i), reports, beats.X, beats)
        with np.load(tmp_path / str(i) / "release.npz") as file:
            released.append(file["X"])
    assert (released[0] == released[1]).all(axis=1).mean() < 0.1
    assert {row.tobytes() for row in released[0]} == {row.tobytes() for row in released[1]}
    members = [_demo_job._choose_members(np.arange(60), None) for _ in range(2)]
    assert (members[0] != members[1]).any()
