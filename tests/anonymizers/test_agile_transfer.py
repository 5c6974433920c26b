"""AGILE on real beats: that its change is none that a filter takes off again."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from skagile import AgileAnonymizer
from skagile.attackers import SVDIdentifier
from skagile.datasets import load_mitdb_beats

RECORDS = ["100", "103", "105", "106", "109", "114", "116", "119", "200", "208", "213", "221", "223", "231", "233"]


@pytest.fixture(scope="module")
def release(realdata):
    """Beats of the second halves of 15 people before and after, and those of the first halves that enrol."""
    beats = load_mitdb_beats(realdata, records=RECORDS, sampling_rate=180.0, max_beats=30, guard=60.0, random_state=0)
    enrolled = beats.sessions == 0
    agile = AgileAnonymizer(max_epochs=10, random_state=0, device="cpu")
    agile.fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    X = beats.X[~enrolled]
    return beats.X[enrolled], beats.subjects[enrolled], X, agile.transform(X), beats.subjects[~enrolled]


def _behind(cutoff, X):
    if cutoff is None:
        return X
    return sosfiltfilt(butter(4, cutoff, fs=180.0, output="sos"), X, axis=1).astype(X.dtype)


@pytest.mark.realdata
@pytest.mark.parametrize("classifier", ["lda", "neighbour"])
def test_a_low_pass_does_not_undo_it(release, classifier):
    """Attackers who learn from filtered originals and filter the release: static, and hardly better off for it."""
    enrolled, names, original, released, asked = release
    named, named_clean, named_rough = {}, {}, {}  # by cutoff in Hz
    # As large a change as the release's own may be, without its direction.
    rough = np.random.default_rng(0).choice([-0.5, 0.5], original.shape) * original.std(axis=1, keepdims=True)
    for cutoff in (None, 40.0, 25.0, 15.0):
        attacker = SVDIdentifier(classifier=classifier).fit(_behind(cutoff, enrolled), names)
        named[cutoff], named_clean[cutoff], named_rough[cutoff] = (
            attacker.score(_behind(cutoff, X), asked) for X in (released, original, original + rough)
        )
    assert min(named_clean.values()) > 0.7
    assert named[None] < 0.3
    assert max(named.values()) < named[None] + 0.05
    assert named_rough[15.0] > 0.5
