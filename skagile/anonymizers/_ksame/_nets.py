"""The networks of k-same: those that predict the diagnosis, and those that a drawn beat must convince beside them."""

from skagile._training import draw_seed
from skagile.anonymizers._ksame._readers import N_READERS, critic_encoders, fit_reader, reader_encoders


def fit_nets(settings, Z, y, n_classes, device, random_state):
    """Train the networks.

    Parameters
    ----------
    settings : KSameAnonymizer
        Whose `max_draws`, `max_epochs`, `lr` and `batch_size` are meant.
    Z : ndarray of shape (n_beats, n_samples)
        Standardized beats.
    y : ndarray of int of shape (n_beats,)
        Codes of their diagnoses.
    n_classes : int
        Number of diagnoses.
    device : torch.device
        Where.
    random_state : RandomState
        Source of a seed for each.

    Returns
    -------
    nets : list of skorch.NeuralNet
        `N_READERS` readers and, where a beat is drawn more than once, the critics.
    """
    encoders = [*reader_encoders(Z.shape[1]), *(critic_encoders() if settings.max_draws > 1 else [])]
    params = {name: getattr(settings, name) for name in ("max_epochs", "lr", "batch_size")}
    return [
        fit_reader(encoder, Z, y, n_classes, device=device, seed=draw_seed(random_state), **params)
        for encoder in encoders
    ]


def readers_of(nets):
    """Return those that predict."""
    return nets[:N_READERS]


def critics_of(nets):
    """Return those that a beat must convince: of other kinds than the readers, and one of these, the quickest first."""
    return [nets[0], *nets[N_READERS:]]
