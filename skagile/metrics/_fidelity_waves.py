"""How far the measured waves of released beats are from the original's, in milliseconds and millivolts."""

import numpy as np
from sklearn.utils import Bunch

__all__ = ["measurement_errors"]

_ERRORS = {
    "pr_interval": "ms",
    "qrs_duration": "ms",
    "qt_interval": "ms",
    "st_level": "mV",
    "p_amplitude": "mV",
    "r_amplitude": "mV",
    "t_amplitude": "mV",
}
_WAVES = {"p": "p_peak", "qrs": "qrs_duration", "t": "t_end"}


def measurement_errors(measured_original, measured_released) -> Bunch:
    """Errors of the measurements of released beats, beat by beat, and the waves that were lost or gained.

    Parameters
    ----------
    measured_original, measured_released : mapping of str to array-like of shape (n_beats,) or (n_rows, n_beats)
        What :func:`skagile.segmentation.measure_beats` gives for the original and the released beats: at least
        ``pr_interval``, ``qrs_duration``, ``qt_interval`` (ms), ``st_level``, ``p_amplitude``, ``r_amplitude``,
        ``t_amplitude`` (mV), ``p_peak`` and ``t_end``.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        pr_interval, qrs_duration, qt_interval : ndarray of the measurements' shape
            Released minus original, in ms. NaN where either is missing.
        st_level, p_amplitude, r_amplitude, t_amplitude : ndarray of the measurements' shape
            The same in mV.
        n_original, lost, gained : dict of str to int
            Of the waves ``"p"``, ``"qrs"`` and ``"t"``: how many originals have them, how many of these have lost them,
            and how many beats have gained one.

    Raises
    ------
    ValueError
        For a measurement that is not there or of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import measurement_errors
    >>> names = "pr_interval qrs_duration qt_interval st_level p_amplitude r_amplitude t_amplitude p_peak t_end".split()
    >>> original = {name: np.array([100.0, 90.0]) for name in names}
    >>> released = dict(original, qrs_duration=np.array([104.0, np.nan]))
    >>> found = measurement_errors(original, released)
    >>> found.qrs_duration, found.lost
    (array([ 4., nan]), {'p': 0, 'qrs': 1, 't': 0})
    """
    names = (*_ERRORS, *(name for name in _WAVES.values() if name not in _ERRORS))
    original, released = {}, {}
    for measured, given, argument in (
        (original, measured_original, "measured_original"),
        (released, measured_released, "measured_released"),
    ):
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(f"{argument} lacks {', '.join(missing)}; give what measure_beats returns.")
        for name in names:
            measured[name] = np.asarray(given[name], dtype=np.float64)
    shape = original["qrs_duration"].shape
    for argument, measured in (("measured_original", original), ("measured_released", released)):
        for name, values in measured.items():
            if values.shape != shape:
                raise ValueError(
                    f"{name} of {argument} has shape {values.shape}, qrs_duration of measured_original {shape}; "
                    "measure beats that correspond."
                )
    out = Bunch(**{name: released[name] - original[name] for name in _ERRORS})
    out.n_original, out.lost, out.gained = {}, {}, {}
    for wave, name in _WAVES.items():
        before, after = np.isfinite(original[name]), np.isfinite(released[name])
        out.n_original[wave] = int(before.sum())
        out.lost[wave] = int((before & ~after).sum())
        out.gained[wave] = int((~before & after).sum())
    return out
