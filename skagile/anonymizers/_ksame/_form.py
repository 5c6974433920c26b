"""The fit of k-same: from checked beats to the fitted pieces."""

import numpy as np

from skagile._arrays import standardize_leads
from skagile._training import resolve_device
from skagile.anonymizers._generators import CHUNK, Basis, PseudoPeople, alike_classes
from skagile.anonymizers._ksame._checks import check_prior
from skagile.anonymizers._ksame._keys import Key
from skagile.anonymizers._ksame._laws import Prior, fit_laws, fit_private_law
from skagile.anonymizers._ksame._model import Model
from skagile.anonymizers._ksame._nets import fit_nets
from skagile.anonymizers._ksame._partition import Partition, describe_subjects, find_subjects
from skagile.anonymizers._ksame._rhythm import GroupRhythm
from skagile.anonymizers._ksame._small_keys import find_small_keys
from skagile.anonymizers._ksame._told_apart import told_apart

_COVERS = (
    "Each person's part in the law that beats are drawn from, and in the networks that read diagnoses. Not the labels "
    "beside the beats, the names of subjects, summary_, expected_leakage_, nor the keyed hashes of fitted beats."
)
_DRAWN = 400  # beats of each diagnosis that networks are trained on where the law is private


def form_model(settings, keys, beats, random_state, earlier):
    """Form groups and laws, and train the networks.

    Parameters
    ----------
    settings : KSameAnonymizer
        Its parameters, ``classes_``, ``subjects_``, and number of leads.
    keys : Keys
        How keys are numbered.
    beats : tuple of ndarray
        Beats in millivolts, and codes of diagnosis, subject and facts.
    random_state : RandomState
        Source of seeds.
    earlier : dict
        As of `fit_nets`.

    Returns
    -------
    model : Model
    key : Key
        Keys of the fitted beats.
    told : list of dict
        As of `find_small_keys`.
    """
    X, y, s, facts = beats
    n_leads = settings._n_made_leads
    Z = standardize_leads(X, n_leads)
    described = describe_subjects(Z, y, s, len(keys.classes), len(settings.subjects_))
    partition = Partition.form(settings.subjects_, *described, k=settings.k, grouping=settings.grouping)
    key = Key(partition.groups[s], y, facts)
    small_keys, told = find_small_keys(keys, key, s, k=settings.k, on_small_key=settings.on_small_key)
    prior = check_prior(settings, keys.facts)
    prior = None if prior is None else Prior(*prior)
    # Noise hides what one person's labels do to the law; without it, laws tell no more than hearts do.
    alike = np.arange(len(keys.classes))
    if settings.epsilon is None:
        alike = alike_classes(Basis.of_leads(X.shape[1], n_leads), X, y, s, len(keys.classes))
    columns, codes = keys.columns.merged(alike), key.codes_of(alike)
    if prior is not None:
        prior.codes[:, 0] = alike[prior.codes[:, 0]]
    params = {"k": settings.k, "prior": prior, "n_leads": n_leads}
    noise_seed, drawn_seed = np.random.SeedSequence(random_state.randint(0, 2**31, 4).tolist()).spawn(2)
    if settings.epsilon is None:
        laws, basis = fit_laws(X, codes, s, key.group, columns, **params)
    else:
        noise = np.random.default_rng(noise_seed)
        params.update(epsilon=settings.epsilon, delta=delta_of(settings, len(settings.subjects_)), random_state=noise)
        laws, basis = fit_private_law(X, codes, s, columns, **params)
        Z, y = _drawn(laws, basis, columns, drawn_seed)
    device = resolve_device(settings.device)
    nets = fit_nets(settings, Z, y, device, random_state, earlier)
    apart = _told_apart(settings, (X, key.diagnosis, s), device, random_state)
    return Model(partition, keys, small_keys, alike, laws, basis, nets, apart), key, told


def form_rhythm(settings, recordings, names, codes):
    """Keep the R-R intervals of recordings whose rows are those of subjects `names`; `codes` are diagnoses of beats."""
    owner = find_subjects(settings.subjects_, names)
    return GroupRhythm.of(
        recordings, owner, settings.groups_, codes, settings.classes_, settings.k, settings.on_small_key
    )


def _told_apart(settings, beats, device, random_state):
    """As `told_apart`; networks of a private law know nobody, so all that they say may count."""
    own_seed = np.random.RandomState(random_state.randint(2**31))
    n_classes = len(settings.classes_)
    if settings.max_draws == 1:
        return np.zeros((n_classes, n_classes), dtype=bool)
    if settings.epsilon is not None:
        return ~np.eye(n_classes, dtype=bool)
    return told_apart(settings, *beats, device, own_seed, settings._n_made_leads)


def delta_of(settings, n_subjects):
    """Return the delta of the guarantee."""
    return n_subjects**-1.1 if settings.delta is None else settings.delta


def describe_privacy(settings, n_subjects):
    """Return the guarantee, and what it is of."""
    return {
        "epsilon": float(settings.epsilon),
        "delta": float(delta_of(settings, n_subjects)),
        "covers": _COVERS,
    }


def _drawn(laws, basis, columns, seed):
    """Standardized beats of the law and their diagnoses, with the first level of every fact."""
    n_classes = columns.sizes[0]
    y = np.tile(np.arange(n_classes), _DRAWN)
    codes = np.column_stack([y, *(np.zeros((len(y), len(columns.sizes) - 1), dtype=np.intp).T)])
    people, beats = PseudoPeople(laws, basis, None, seed), []
    for start in range(0, len(y), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(y)))
        group = np.zeros(len(rows), dtype=np.intp)
        beats.append(basis.beats(people.draw(rows, group, y[rows], columns.of(codes[rows]), 0)[0]))
    return standardize_leads(np.concatenate(beats), basis.n_leads), y
