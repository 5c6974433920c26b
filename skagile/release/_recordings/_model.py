"""What is fitted to a cohort of recordings, and makes an anonymized recording of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skagile.anonymizers import drawing_from
from skagile.leads import derive_leads
from skagile.records import Recording
from skagile.release._own_peaks import nearest
from skagile.release._recordings._background import Background
from skagile.release._recordings._compose import compose
from skagile.release._recordings._prepare import cut_recording
from skagile.segmentation import Signals, find_over_leads, r_waves_of_beats

_DRAWS = 6  # of a recording, at most
_SEEN = 0.98  # of its R peaks, from which on it is good
_NEAR = 0.02  # s


@dataclass(frozen=True)
class Released:
    """An anonymized recording.

    Attributes
    ----------
    signal : ndarray of float32 of shape (n_leads, n_times)
        Leads as the original has them; NaN where the original has no signal, and throughout where the model does not
        know the lead.
    r_peak : ndarray of int of shape (n_beats,)
        Samples of the beats that were written.
    n_kept : int
        Samples that are the original's to the bit, by chance or not.
    unknown : list of str
        Leads that the model does not know.
    """

    signal: np.ndarray
    r_peak: np.ndarray
    n_kept: int
    unknown: list


class RecordingModel:
    """A fitted anonymizer of beats, with how recordings are cut into beats and what lies between them.

    Parameters
    ----------
    anonymizer : object
        Fitted on beats of shape (n_rows, 1, n_leads, n_samples).
    leads : sequence of str
        Names of its leads.
    background : Background
        Of those leads.
    sampling_rate : float
        Of its beats, in Hz.
    window : tuple of float
        Seconds before and after the R peak.
    band : tuple of float
        Pass band in Hz of what beats are cut from.
    """

    def __init__(
        self,
        anonymizer: object,
        leads: Sequence[str],
        background: Background,
        *,
        sampling_rate: float,
        window: tuple[float, float],
        band: tuple[float, float],
    ):
        self.anonymizer, self.leads, self.background = anonymizer, list(leads), background
        self.sampling_rate, self.window, self.band = float(sampling_rate), tuple(window), tuple(band)

    def anonymize(self, recording: Recording, seed: int) -> Released:
        """Make an anonymized recording.

        R peaks are found over the leads, each beat is anonymized, all of them with one pseudo-person, and written where
        it was. Between beats, and under them, lie lines, baseline and noise that are made by the cohort's amounts.
        Where the R peaks of the result are not seen where they were written, another pseudo-person is drawn, up to six.

        Parameters
        ----------
        recording : Recording
            In millivolts.
        seed : int
            Non-negative, another for each recording, and secret: who knows it can draw the pseudo-person again.

        Returns
        -------
        released : Released

        Raises
        ------
        NoBeatsError
            Where it has no lead of the model, or holds no heartbeat that can be told.
        """
        cut = cut_recording(recording, self.leads, window=self.window, band=self.band, sampling_rate=self.sampling_rate)
        beats, r_peak, rows, known = cut.beats, cut.r_peak, cut.rows, ~np.isnan(cut.signal[:, 0])
        del cut  # a day's signal is large
        signal = self._made(beats, r_peak, known, recording, np.random.SeedSequence(seed))
        out = np.full(recording.signal.shape, np.nan, dtype=np.float32)
        for row, made in zip(rows, signal, strict=True):
            if row is not None:
                out[row] = np.where(np.isfinite(recording.signal[row]), made, np.nan)
        unknown = [name for row, name in enumerate(recording.leads) if row not in set(rows)]
        return Released(out, r_peak, int((out == recording.signal).sum()), unknown)

    def _made(self, beats, r_peak, known, recording, random):
        """Draw a recording; again where its R peaks would not be seen where they are written, as of a flat heart."""
        seeds = random.spawn(_DRAWS)
        if drawing_from(self.anonymizer, 0) is self.anonymizer:  # it would be the same again
            return self._drawn(beats, r_peak, known, recording, seeds[0])
        best, most = None, -1.0
        for seed in seeds:
            signal = self._drawn(beats, r_peak, known, recording, seed)
            seen = _share_seen(signal[known], r_peak, [self.leads[i] for i in np.flatnonzero(known)], recording)
            if seen > most:
                best, most = signal, seen
            if most >= _SEEN:
                break
        return best

    def _drawn(self, beats, r_peak, known, recording, random):
        """Make all leads of the model: a function of what the anonymizer makes of the beats, R peaks and chance."""
        draws, noise = random.spawn(2)
        anonymizer = drawing_from(self.anonymizer, int.from_bytes(draws.generate_state(4).tobytes(), "little"))
        beats = anonymizer.transform(beats[None])[0]
        rate, n_times = recording.sampling_rate, recording.signal.shape[1]
        # Pseudo-people's R waves lie near the place in the beat where people's do, not on it.
        behind = r_waves_of_beats(beats, round(self.window[0] * self.sampling_rate), self.leads, self.sampling_rate)
        at = r_peak - np.rint(behind * rate / self.sampling_rate).astype(np.intp)
        signal, covered = compose(beats, at, n_times, rate, self.window, self.sampling_rate)
        self.background.add_to(signal, covered, rate, noise)
        signal[~known] = np.nan
        return derive_leads(signal, self.leads) if len(self.leads) > 1 else signal


def _share_seen(signal, r_peak, leads, recording):
    """Share of R peaks, written or seen, that are both."""
    rate = recording.sampling_rate
    (seen,), _ = find_over_leads(Signals([signal], leads, rate, ["the release"]), "nan", quality=False)
    if not len(seen):
        return 0.0
    both = int((np.abs(r_peak - seen[nearest(seen, r_peak)]) <= _NEAR * rate).sum())
    return both / (len(r_peak) + len(seen) - both)
