"""Per-beat scaling, on arrays and on tensors alike."""


def standardize(beats):
    """Z-score beats along their last axis.

    Parameters
    ----------
    beats : ndarray or torch.Tensor of shape (..., n_samples)
        Beats, none of them flat.

    Returns
    -------
    standardized : same type and shape
        Mean 0 and standard deviation 1 along the last axis; differentiable for a tensor.
    """
    centred = beats - beats.mean(-1)[..., None]
    return centred / ((centred**2).mean(-1) ** 0.5)[..., None]
