"""Beats of several leads, of which anonymizers make the independent ones; the others follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skagile._validation import Beats
from skagile.leads import LimbLeads, independent_leads, limb_leads


class Leads:
    """The leads of beats, and which of them an anonymizer works on.

    Parameters
    ----------
    lead_names : sequence of str or None
        Names of the leads. None takes all of them for independent.
    n_leads : int
        How many leads there are.

    Attributes
    ----------
    kept : ndarray of int
        Places of the independent leads, in order.

    Raises
    ------
    TypeError, ValueError
        For names that are none, or not one a lead; see :func:`~skagile.leads.independent_leads`.
    """

    def __init__(self, lead_names: Sequence[str] | None, n_leads: int):
        self.n_leads, self.kept, self._limb = n_leads, np.arange(n_leads), None
        if lead_names is None:
            return
        names = independent_leads(lead_names)
        if len(lead_names) != n_leads:
            raise ValueError(
                f"lead_names has {len(lead_names)} name(s) and X has {n_leads} lead(s); expected one name a lead, in "
                "the order of X, of shape (n_rows, n_beats, n_leads, n_samples)."
            )
        if len(names) < n_leads:
            self._limb: LimbLeads = limb_leads(lead_names)
            self.kept = np.array([place for place, name in enumerate(lead_names) if name in set(names)])

    def n_features(self, n_features_in: int) -> int:
        """Count the samples of the independent leads, of so many of all leads."""
        return n_features_in // self.n_leads * len(self.kept)

    def independent(self, beats: Beats) -> Beats:
        """Beats of the independent leads; one that is missing is made of others where there are two."""
        if self._limb is None:
            return beats
        leads = beats.values.reshape(len(beats.values), self.n_leads, -1)
        own, lacks = leads[:, self.kept], None
        if beats.lacks is not None:
            own, lacks = own.copy(), beats.lacks[:, self.kept]
            for at, made in self._filled(leads, beats.lacks):
                own[at], lacks[at] = made, False
        return IndependentBeats(
            values=np.ascontiguousarray(own).reshape(len(own), -1),
            row=beats.row,
            shape=(*beats.shape[:2], len(self.kept), beats.shape[3]),
            present=beats.present,
            dtype=beats.dtype,
            lacks=lacks if lacks is not None and lacks.any() else None,
            whole=beats,
            leads=self,
        )

    def all_of(self, values: np.ndarray) -> np.ndarray:
        """Beats of all leads, of beats of the independent ones, shape (n_beats, n_leads * n_samples)."""
        own = values.reshape(len(values), len(self.kept), -1)
        out = np.empty((len(own), self.n_leads, own.shape[2]), dtype=own.dtype)
        out[:, self.kept] = own
        sources = [place for place, row in enumerate(self._limb.rows) if row in self.kept]
        pair = out[:, self._limb.rows[sources]].astype(np.float64)
        for place, row in enumerate(self._limb.rows):
            if place not in sources:
                out[:, row] = np.einsum("s,bst->bt", self._weights(place, sources), pair)
        return out.reshape(len(out), -1)

    def _weights(self, place, sources):
        """Return what a limb lead is of others."""
        return np.linalg.lstsq(self._limb.laws[sources].T, self._limb.laws[place], rcond=None)[0]

    def _filled(self, leads, lacks):
        """Beats and place of missing independent limb leads that others make, with what they make.

        Where all that is there is one derived lead, the independent ones are made so small as to give it back: else it
        would come out flat.
        """
        rows = self._limb.rows
        missing = lacks[:, rows]
        for pattern in np.unique(missing[missing.any(axis=1)], axis=0):
            beats = np.flatnonzero((missing == pattern).all(axis=1))
            there = np.flatnonzero(~pattern)
            alone = np.linalg.matrix_rank(self._limb.laws[there]) < 2
            if alone and (not len(there) or np.isin(rows[there], self.kept).any()):
                continue
            for place in np.flatnonzero(pattern):
                if rows[place] in self.kept:
                    made = np.einsum("s,bst->bt", self._weights(place, there), leads[beats][:, rows[there]])
                    yield (beats, int(np.flatnonzero(self.kept == rows[place])[0])), made


@dataclass(frozen=True)
class IndependentBeats(Beats):
    """Beats of the independent leads, which are laid out as beats of all leads.

    Attributes
    ----------
    whole : Beats
        Beats of all leads.
    leads : Leads
        Which they are.
    """

    whole: Beats | None = None
    leads: Leads | None = None

    def restore_beats(self, values: np.ndarray) -> np.ndarray:
        """Lay beats of the independent leads out as ``X`` was, with the leads that follow from them."""
        return self.whole.restore_beats(self.leads.all_of(values))
