"""The networks of k-same: those that predict the diagnosis, and those that a drawn beat must convince beside them."""

import numpy as np

from skagile._state import Several, check
from skagile._state_nets import Net
from skagile._training import draw_seed
from skagile.anonymizers._ksame._readers import N_READERS, critic_encoders, fit_reader, make_reader, reader_encoders


class Nets(Several):
    """Field of the networks: the readers, with the critics or without."""

    @classmethod
    def of(cls, settings) -> "Nets":
        """Return that of a `KSameAnonymizer` with ``classes_`` and ``n_features_in_``."""
        encoders = [*reader_encoders(settings.n_features_in_), *critic_encoders()]
        make = [lambda _, encoder=encoder: make_reader(encoder, len(settings.classes_)) for encoder in encoders]
        return cls("nets_", tuple(Net(str(i), make[i], settings.device) for i in range(len(make))))

    def plain(self, value: list, where: str) -> list:
        return self._first(value).plain(value, where)

    def value(self, plain: object, where: str) -> list:
        right = type(plain) is list and len(plain) in (N_READERS, len(self.fields))
        check(right, where, f"is no list of {N_READERS} or {len(self.fields)}")
        return self._first(plain).value(plain, where)

    def _first(self, nets):
        return Several(self.name, self.fields[: len(nets)])


def fit_nets(settings, Z, y, device, random_state, earlier):
    """Train the networks.

    Parameters
    ----------
    settings : KSameAnonymizer
        Whose `classes_`, `max_draws`, `max_epochs`, `lr` and `batch_size` are meant.
    Z : ndarray of shape (n_beats, n_samples)
        Standardized beats.
    y : ndarray of int of shape (n_beats,)
        Codes of their diagnoses.
    device : torch.device
        Where.
    random_state : RandomState
        Source of a seed for each, of those that are not trained too: what is drawn later does not hang on it.
    earlier : dict
        Attributes of an earlier fit; its networks are kept where they fit.

    Returns
    -------
    nets : list of skorch.NeuralNet
        `N_READERS` readers and, where a beat is drawn more than once, the critics.
    """
    encoders = [*reader_encoders(Z.shape[1]), *(critic_encoders() if settings.max_draws > 1 else [])]
    params = {name: getattr(settings, name) for name in ("max_epochs", "lr", "batch_size")}
    kept = []
    if np.array_equal(earlier.get("classes_", ()), settings.classes_) and earlier["n_features_in_"] == Z.shape[1]:
        kept = earlier["nets_"][: len(encoders)]
    seeds = [draw_seed(random_state) for _ in encoders]
    return kept + [
        fit_reader(encoders[i], Z, y, len(settings.classes_), device=device, seed=seeds[i], **params)
        for i in range(len(kept), len(encoders))
    ]


def readers_of(nets):
    """Return those that predict."""
    return nets[:N_READERS]


def critics_of(nets):
    """Return those that a beat must convince: of other kinds than the readers, and one of these, the quickest first."""
    return [nets[0], *nets[N_READERS:]]
