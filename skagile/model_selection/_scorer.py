"""What the scorers have in common: metadata that they ask a search for, and whose the rows are."""

from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skagile._validation import check_names
from skagile.model_selection._released import look_up


class BaseScorer:
    """Base of the scorers, which are dataclasses with a field `rows`."""

    # Asked for by default, by these names.
    _metadata = ("subjects",)

    def __post_init__(self):
        self._requests = dict.fromkeys(self._metadata, True)

    def set_score_request(self, **requests: bool | str | None) -> "BaseScorer":
        """Say by which names metadata, such as `subjects`, are given to the search.

        Parameters
        ----------
        **requests : bool, str or None
            ``subjects="groups"`` takes them from the search's `groups`; True, False and None as in scikit-learn.

        Returns
        -------
        self : object
            This scorer.
        """
        unknown = sorted(set(requests) - set(self._requests))
        if unknown:
            raise TypeError(f"set_score_request got {unknown}; this scorer takes {sorted(self._requests)}.")
        self._requests = {**self._requests, **requests}
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the requests of this scorer, for scikit-learn's metadata routing."""
        request = MetadataRequest(owner=type(self).__name__)
        for name, alias in self._requests.items():
            request.score.add_request(param=name, alias=alias)
        return request

    def _who(self, X, subjects, sessions=None):
        """Subjects and sessions of the rows, as given or looked up in `rows`; None where neither tells."""
        if subjects is None and self.rows is not None:
            subjects, *more = look_up(X, self.rows)
            sessions = more[0] if more else None
        if subjects is not None:
            check_names(subjects, "subjects")
        labels = []
        for label in (subjects, sessions):
            if label is not None:
                label = column_or_1d(label)
                check_consistent_length(X, label)
            labels.append(label)
        return labels

    def _no_subjects(self, why):
        """Error of a scorer that needs subjects and has none."""
        name = type(self).__name__
        return ValueError(
            f"{name} got no subjects, and {why}. With metadata routing on "
            "(sklearn.set_config(enable_metadata_routing=True)), give them to the search: "
            "search.fit(X, y, subjects=subjects). With routing off, give them to the scorer: "
            f"{name}(rows=(X, subjects))."
        )
