"""scikit-learn's setting of the output's container, for estimators whose output may be records of beats."""

from functools import wraps

import numpy as np


class SetOutputMixin:
    """Takes ``set_output`` where the output is no table: a pipeline passes it to all of its steps.

    Goes before ``TransformerMixin``, as does the other.
    """

    def set_output(self, *, transform: str | None = None) -> "SetOutputMixin":
        """Set the container of 2-D output; records of beats, 3-D, stay arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            As of scikit-learn. None leaves it as it is.

        Returns
        -------
        self : object
        """
        return super().set_output(transform=transform) if hasattr(self, "get_feature_names_out") else self


class RecordsOutputMixin(SetOutputMixin):
    """Leaves what was made of records of beats an array, whatever ``set_output`` or ``transform_output`` say."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("transform", "fit_transform"):
            method = cls.__dict__.get(name)
            if hasattr(method, "__wrapped__"):  # by scikit-learn, to make DataFrames
                setattr(cls, name, _unless_records(method))


def _unless_records(method):
    @wraps(method)
    def chosen(self, X, *args, **kwargs):
        return (method.__wrapped__ if _n_dims(X) > 2 else method)(self, X, *args, **kwargs)

    return chosen


def _n_dims(X):
    try:
        return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    except ValueError:  # of rows of unlike lengths; the method itself says what is wrong
        return 2
