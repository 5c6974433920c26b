"""Clinical facts that a release keeps, in bins."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from skagile._state import Array, Field, Labels, Names, Number, Several, Stateful, check
from skagile._state_reports import Report
from skagile.segmentation import measure_beats, tells_axis

# Bins of what `measure_beats` measures: bounds in ms or mV. That of 140 ms is added to the clinical ones of the QRS,
# 100 and 120 ms, which keep the kind of a block but not the width of a wide beat.
MEASURED = {
    "qrs_duration": (100.0, 120.0, 140.0),
    "qt_interval": (350.0, 400.0, 450.0, 500.0),
    "pr_interval": (120.0, 200.0),
    "st_level": (-0.1, 0.1),
    "t_amplitude": (-0.05, 0.05),
    "p_present": (0.5,),
}
# Of several leads. The axis goes round: normal, right, extreme and left.
OVER_LEADS = {
    "global_qrs_duration": MEASURED["qrs_duration"],
    "global_qt_interval": MEASURED["qt_interval"],
    "qrs_axis": (-180.0, -90.0, -30.0, 90.0),
}
_AXIS = "qrs_axis"


class Facts(Stateful):
    """What is kept of a beat: measured on it and put into bins, or told in a column of the user's.

    Parameters
    ----------
    keep : sequence of str or mapping of str to sequence of float
        Names of facts. Of a measured one a mapping may give the bounds of the bins; None takes the usual ones.
    sampling_rate, window, lead_names
        As of `measure_beats`.
    n_leads : int, default=1
        Leads of a beat.

    Attributes
    ----------
    names : list of str
        In the order of `keep`.
    n_values : ndarray of int of shape (n_facts,)
        Distinct values of each, after `fit`.
    """

    def __init__(self, keep, sampling_rate, window, n_leads=1, lead_names=None):
        if isinstance(keep, str):
            raise ValueError(f"keep={keep!r} is one string; give a tuple of names, such as keep=({keep!r},).")
        self.names = list(keep)
        odd = [name for name in self.names if not isinstance(name, str)]
        if odd or len(set(self.names)) < len(self.names):
            raise ValueError(f"keep={keep!r} must hold distinct names of facts.")
        bounds = dict(keep) if isinstance(keep, Mapping) else dict.fromkeys(self.names)
        self.bounds = {}
        for name in self.names:
            if name in MEASURED or name in OVER_LEADS:
                self.bounds[name] = self._checked(name, bounds[name])
            elif bounds[name] is not None:
                known = [*MEASURED, *OVER_LEADS]
                raise ValueError(f"keep gives bounds for {name!r}, which is not measured; bins are for {known}.")
        if self.bounds and sampling_rate is None:
            raise ValueError(
                f"keep={keep!r} with sampling_rate=None: {next(iter(self.bounds))} is measured in time. "
                "Give sampling_rate in Hz, and the window that the beats were cut with."
            )
        self.sampling_rate, self.window, self.n_leads, self.lead_names = sampling_rate, window, n_leads, lead_names
        self._check_leads()

    @classmethod
    def of(cls, settings):
        """Make those of a `KSameAnonymizer`, of the leads that it makes."""
        leads, names = settings._leads.kept, settings.lead_names
        names = None if names is None or settings.n_leads_in_ == 1 else [names[place] for place in leads]
        return cls(settings.keep, settings.sampling_rate, settings.window, len(leads), names)

    def _check_leads(self):
        """Refuse facts of several leads where there is one, and the axis where no two limb leads have a name."""
        several = [name for name in self.bounds if name in OVER_LEADS]
        if several and self.n_leads == 1:
            raise ValueError(
                f"keep names {several[0]!r}, which is measured over leads, and X has one lead. Give X as (n_rows, "
                "n_beats, n_leads, n_samples), or leave it out."
            )
        if _AXIS in several and (self.lead_names is None or not tells_axis(self.lead_names)):
            raise ValueError(
                f"keep names {_AXIS!r} with lead_names={self.lead_names}: the axis is measured on two limb leads or "
                "more. Give lead_names, such as ('I', 'II', 'V1')."
            )

    @staticmethod
    def _checked(name, bounds):
        bounds = np.asarray({**MEASURED, **OVER_LEADS}[name] if bounds is None else bounds, dtype=np.float64)
        if bounds.ndim != 1 or not len(bounds) or not np.isfinite(bounds).all() or (np.diff(bounds) <= 0).any():
            raise ValueError(f"keep[{name!r}]={bounds.tolist()} must be rising, finite bounds between bins.")
        if name == _AXIS and (len(bounds) < 2 or bounds[0] < -180 or bounds[-1] > 180 or np.ptp(bounds) >= 360):
            raise ValueError(
                f"keep[{name!r}]={bounds.tolist()} must be two bounds or more from -180 to 180 degrees, of which one "
                "only is given: they part a circle."
            )
        return bounds

    def fit(self, X, facts, row, n_rows):
        """Learn the values of the user's columns; return the codes of the beats given."""
        self.values = {}
        columns = self._columns(facts, n_rows)
        for name in self.names:
            if name not in self.bounds:
                self.values[name] = np.unique(columns[name][row])
        self.n_values = self._count_values()
        return self.encode(X, facts, row, n_rows)

    def _count_values(self):
        # A measured fact may also be absent: no P wave, or a wave that the window cuts off.
        return np.array(
            [self._n_bins(name) + 1 if name in self.bounds else len(self.values[name]) for name in self.names],
            dtype=np.intp,
        )

    def _n_bins(self, name):
        """Count the bins of a measured fact: on a circle as many as bounds."""
        return len(self.bounds[name]) + (name != _AXIS)

    def _state_fields(self) -> Iterator[Field]:
        names, bounds = self.names, self.bounds  # of the parameters, where a state is taken
        yield Names("names", length=len(names))
        check(self.names == names, "Facts", f"holds the facts {self.names}; the parameters ask for {names}")
        yield Report("bounds", tuple(Array(name, shape=(len(bounds[name]),)) for name in bounds))
        alike = all(np.array_equal(self.bounds[name], bounds[name]) for name in bounds)
        check(alike, "Facts", "holds other bounds of bins than the parameters")
        if bounds:
            rate, window = float(self.sampling_rate), [float(side) for side in self.window]
            yield Number("sampling_rate", float, low=rate, high=rate)
            yield Several("window", tuple(Number("side", float, low=side, high=side) for side in window))
        yield Report("values", tuple(Labels(name, least=1) for name in names if name not in bounds))
        if not hasattr(self, "n_values"):  # a state is taken
            self.n_values = self._count_values()

    def encode(self, X, facts, row, n_rows):
        """Return codes of shape (n_beats, n_facts) of beats that come from rows `row`."""
        codes = self._measure(X)
        columns = self._columns(facts, n_rows)
        for i, name in enumerate(self.names):
            if name in self.bounds:
                continue
            known, value = self.values[name], columns[name][row]
            codes[:, i] = pd.Index(known).get_indexer(value)
            new = codes[:, i] < 0
            if new.any():
                raise ValueError(
                    f"facts[{name!r}] holds {value[new][0]!r}, which it did not hold in fit "
                    f"({known[:5].tolist()}). Fit with every value that is to be kept."
                )
        return codes

    def _measure(self, X):
        """Codes of the measured facts; 0 for the others."""
        codes = np.zeros((len(X), len(self.names)), dtype=np.intp)
        if not self.bounds or not len(X):
            return codes
        measured = self._measured(X)
        for i, name in enumerate(self.names):
            if name in self.bounds:
                value, bounds = np.asarray(measured[name], dtype=np.float64).reshape(-1), self.bounds[name]
                if name == _AXIS:
                    value = np.where(value == 180, -180.0, value)
                inside = np.searchsorted(bounds, value, side="right") % self._n_bins(name)
                codes[:, i] = np.where(np.isnan(value), self._n_bins(name), inside)
        return codes

    def _measured(self, X):
        """Measurements of beats, lead after lead; a lead that they lack is zero."""
        if self.n_leads == 1:
            return measure_beats(X, self.sampling_rate, window=self.window)
        leads = X.reshape(len(X), 1, self.n_leads, -1)
        leads = np.where(leads.any(axis=-1, keepdims=True), leads, np.nan)
        return measure_beats(leads, self.sampling_rate, window=self.window, lead_names=self.lead_names)

    def agree(self, X, codes):
        """Return which beats of X have, measured, the facts of `codes`."""
        measured = [i for i, name in enumerate(self.names) if name in self.bounds]
        if not measured:
            return np.ones(len(X), dtype=bool)
        codes_of_X = self._measure(X)
        return (codes_of_X[:, measured] == codes[:, measured]).all(axis=1)

    def describe(self, codes):
        """Return one beat's kept facts in words."""
        told = {}
        for name, code in zip(self.names, codes, strict=True):
            if name not in self.bounds:
                told[name] = self.values[name][[code]].tolist()[0]
            elif code == self._n_bins(name):
                told[name] = "absent"
            elif name == _AXIS:
                first, last = self.bounds[name][[code - 1, code]]
                told[name] = f"{first:g}..{180 if last == -180 else last:g}"
            else:
                edges = ["", *(f"{bound:g}" for bound in self.bounds[name]), ""]
                told[name] = f"{edges[code]}..{edges[code + 1]}"
        return told

    def _columns(self, facts, n_rows):
        wanted = [name for name in self.names if name not in self.bounds]
        if not wanted:
            return {}
        if facts is None:
            raise ValueError(
                f"keep names {wanted}, which are not measured ({[*MEASURED, *OVER_LEADS]} are): give them as facts, "
                "one column each."
            )
        table = pd.DataFrame(facts)
        missing = [name for name in wanted if name not in table.columns]
        if missing:
            raise ValueError(
                f"facts has columns {list(table.columns)}, keep also names {missing}. Give one column each."
            )
        if len(table) != n_rows:
            raise ValueError(f"facts has {len(table)} rows, X has {n_rows}. Give one row of facts per row of X.")
        if table[wanted].isna().any().any():
            raise ValueError("facts holds missing values. Give every row each fact, 'unknown' if need be.")
        return {name: table[name].to_numpy() for name in wanted}
