"""What is drawn for a release comes from the operating system, and what a known seed gives away."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from skagile import AgileAnonymizer, KSameAnonymizer
from skagile.anonymizers import (
    NoiseAnonymizer,
    ODEGANAnonymizer,
    PPVAEAnonymizer,
    PrivECGAnonymizer,
    REACTAnonymizer,
    WarpAnonymizer,
)
from skagile.anonymizers._generators import CHUNK, PseudoPeople

KSAME = {"k": 3, "max_epochs": 2, "batch_size": 32, "device": "cpu"}
MAKE = {
    "agile": lambda: AgileAnonymizer(n_surrogates=1, n_steps=2, max_epochs=1, batch_size=32, device="cpu"),
    "warp": lambda: WarpAnonymizer(max_epochs=1, device="cpu"),
    "noise": NoiseAnonymizer,
    "pp-vae": lambda: PPVAEAnonymizer(max_epochs=1, device="cpu"),
    "privecg": lambda: PrivECGAnonymizer(channels=(8, 8), adversary_channels=(4, 8), max_epochs=1, device="cpu"),
    "ode-gan": lambda: ODEGANAnonymizer(channels=(8, 8), adversary_channels=(4, 8), max_epochs=1, device="cpu"),
    "react": lambda: REACTAnonymizer(max_epochs=1, device="cpu"),
    "k-same": lambda: KSameAnonymizer(**KSAME),
}
# Of everything that is drawn anew at each transform, k-same keeps no seed.
SEED_OF = {"agile": "_views_seed"} | dict.fromkeys(
    ("warp", "noise", "ode-gan", "pp-vae", "privecg", "react"), "_noise_seed"
)


@pytest.fixture(scope="module")
def people(beat_maker):
    """People's beats in the order of people, as records stand in a folder."""
    beats = beat_maker(12, 600)
    order = np.argsort(beats.subjects, kind="stable")
    return {"X": beats.X[order], "y": beats.y[order], "subjects": beats.subjects[order]}


@pytest.fixture(scope="module")
def few(people):
    """Every tenth of their beats: fits of a second."""
    return {name: values[::10] for name, values in people.items()}


@pytest.mark.parametrize("name", MAKE)
def test_none_takes_nothing_from_numpys_global_state(few, name):
    """A program that says ``np.random.seed(0)`` at its top must not make its release with that."""
    states, releases = [], []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002  (the point is that it plays no part)
        releases.append(MAKE[name]().fit(**few).transform(few["X"], subjects=few["subjects"]))
        states.append(np.random.get_state()[1].tolist())  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    assert states[0] == states[1] == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert not (releases[0] == releases[1]).all(axis=1).any()


@pytest.mark.parametrize("name", SEED_OF)
def test_seeds_that_a_fitted_one_keeps_are_too_many_to_try(few, name):
    seeds = [getattr(MAKE[name]().fit(**few), SEED_OF[name]) for _ in range(3)]
    assert len(set(seeds)) == 3
    assert max(seeds) > 2**64
    given = MAKE[name]().set_params(random_state=3)
    assert getattr(given.fit(**few), SEED_OF[name]) == getattr(given.fit(**few), SEED_OF[name]) < 2**31


def test_noise_of_a_private_law_is_not_numpys_global_state(people, beat_maker):
    others = beat_maker(8, 160, people=9)
    laws = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002
        ksame = KSameAnonymizer(**KSAME, epsilon=1.0, prior=(others.X, others.y, others.subjects)).fit(**people)
        laws.append(ksame._model.laws[0].mean)
    assert not np.allclose(*laws, rtol=1e-9, atol=0)


def draw_again(ksame, seed, released):
    """Place of each released row in the order it was drawn in, -1 where it is not found: the attack.

    It holds the fitted anonymizer and the seed, and draws every beat again, of every diagnosis. What is found at a turn
    was accepted at it; so it knows which were drawn once more, and goes on with these.
    """
    model, n_rows = ksame._model, len(released)
    people = PseudoPeople(model.laws, model.basis, None, np.random.SeedSequence(seed))
    places, tree = np.full(n_rows, -1), cKDTree(released)
    for start in range(0, n_rows, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n_rows))
        for turn in range(ksame.max_draws):
            hits = np.zeros(len(rows), dtype=bool)
            for diagnosis in range(len(ksame.classes_)):
                codes = np.full(len(rows), diagnosis)
                columns = model.columns.of(codes[:, None])
                drawn = model.basis.beats(people.draw(rows, np.zeros_like(rows), codes, columns, turn)[0])
                far, at = tree.query(drawn)
                places[at[far < 1e-3]] = rows[far < 1e-3]
                hits |= far < 1e-3
            rows = rows[~hits]
            if not len(rows):
                break
    return places


def test_a_known_seed_undoes_the_order_of_a_release_and_none_does_not(people):
    shuffle = np.random.default_rng().permutation(len(people["X"]))  # nobody knows this order
    found = {}
    for seed in (7, None):
        ksame = KSameAnonymizer(**KSAME, random_state=seed).fit(**people)
        released = ksame.transform(people["X"])[shuffle]
        tried = [ksame._seed] if seed is not None else [7, *range(20)]
        places = [draw_again(ksame, entry, released) for entry in tried]
        found[seed] = max(float((entry == shuffle).mean()) for entry in places)
        # Who knows in which order people's records stand names them by the place.
        named = people["subjects"][places[0]] == people["subjects"][shuffle]
        if seed is not None:
            assert named[places[0] >= 0].all()
    assert found[7] > 0.95
    assert found[None] == 0
