"""The networks of k-same, which read the diagnosis of beats that were not in ``fit``."""

import numpy as np

from skagile._state import Several
from skagile._state_nets import Net
from skagile._training import draw_seed
from skagile.anonymizers._ksame._readers import fit_reader, make_reader, reader_encoders


def nets_field(settings):
    """Field of the networks of a `KSameAnonymizer` with ``classes_`` and ``n_features_in_``."""
    encoders = reader_encoders(settings._n_made) if len(settings.classes_) > 1 else ()
    make = [lambda _, encoder=encoder: make_reader(encoder, len(settings.classes_)) for encoder in encoders]
    return Several("nets_", tuple(Net(str(i), make[i], settings.device) for i in range(len(make))))


def fit_nets(settings, Z, y, device, random_state, earlier):
    """Train the networks.

    Parameters
    ----------
    settings : KSameAnonymizer
        Whose `classes_`, `max_epochs`, `lr` and `batch_size` are meant.
    Z : ndarray of shape (n_beats, n_samples)
        Standardized beats.
    y : ndarray of int of shape (n_beats,)
        Codes of their diagnoses.
    device : torch.device
        Where.
    random_state : RandomState
        Source of a seed for each, of those that are kept too: what is drawn later does not hang on it.
    earlier : dict
        Attributes of an earlier fit; its networks are kept where they fit.

    Returns
    -------
    nets : list of skorch.NeuralNet
    """
    encoders = reader_encoders(Z.shape[1])
    seeds = [draw_seed(random_state) for _ in encoders]
    if (
        np.array_equal(earlier.get("classes_", ()), settings.classes_)
        and earlier["_model"].basis.n_samples == Z.shape[1]
    ):
        return earlier["nets_"]
    if len(settings.classes_) == 1:  # nothing to read
        return []
    params = {name: getattr(settings, name) for name in ("max_epochs", "lr", "batch_size")}
    return [
        fit_reader(encoder, Z, y, len(settings.classes_), device=device, seed=seed, **params)
        for encoder, seed in zip(encoders, seeds, strict=True)
    ]
