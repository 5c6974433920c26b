"""Fitted state as plain data, and back: what `save` and `load` are made of.

A state is made of dicts, lists, str, int, float, bool, None and numpy arrays (of numbers, booleans or strings, never of
objects), so that arrays and JSON hold it. Nothing in a state is ever run or looked up by name: the estimator that takes
it says, field by field, what it expects, and refuses everything else.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.utils.validation import check_is_fitted

_FRAME = ("class", "version", "fitted")
_KINDS = {"float": "f", "int": "i", "bool": "b"}
_WAY_OUT = "Give what a fitted estimator of this class and version gave, unchanged, or fit again."
# What a user has set beside parameters: neither fitted nor in a state.
_SETTINGS = ("_metadata_request", "_sklearn_output_config")
_MOST_FEATURES = 10**6  # samples of a beat: a hostile state must not ask for all memory
_MOST_LEADS = 1024  # four times those of a map of the body's surface
_with_people = ContextVar("with_people", default=True)


@contextmanager
def without_people() -> Iterator[None]:
    """Let states hold as little of fitted people as serves new ones, however deep an estimator is nested.

    What keeps people beside what it needs has a method ``_without_people``, which returns one that does not.
    """
    token = _with_people.set(False)
    try:
        yield
    finally:
        _with_people.reset(token)


class Stateful:
    """Mixin of everything fitted, estimators and their pieces: one list of fields for both ways.

    A subclass yields a field for each fitted attribute in ``_state_fields``. When a state is taken, each field is set
    on ``self`` before the generator goes on, so that later fields may depend on earlier ones and on parameters.
    """

    _state_version = 1

    def _state_fields(self) -> Iterator["Field"]:
        raise NotImplementedError(f"{type(self).__name__} does not say what its fitted state is made of.")

    def _get_state(self) -> dict:
        """Fitted state as plain data.

        Returns
        -------
        state : dict
            Dicts, lists, str, int, float, bool, None and arrays. Parameters are not in it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            Where a part cannot be given as plain data, such as a classifier of the user's own.
        """
        if hasattr(self, "get_params"):
            check_is_fitted(self)
        owner = self if _with_people.get() or not hasattr(self, "_without_people") else self._without_people()
        return pack(owner, owner._state_fields(), version=self._state_version)

    def _set_state(self, state: dict, where: str | None = None) -> "Stateful":
        """Take a fitted state, of an estimator with the same parameters.

        Parameters
        ----------
        state : dict
            As `_get_state` gave it.
        where : str, default=None
            Name for the errors; None is the class's.

        Returns
        -------
        self : object
            Fitted. After an error it is as it was.

        Raises
        ------
        ValueError
            For a state of another class or version, without a key or with one too many, or with a value of another
            type, shape or dtype, or beyond its bounds.
        """
        fresh = _unfitted(self)
        unpack(fresh, fresh._state_fields(), state, where or type(self).__name__, version=self._state_version)
        vars(self).clear()
        vars(self).update(vars(fresh))
        return self


def _unfitted(owner):
    """Another one with the same parameters (not copies of them) and settings, without anything fitted."""
    if not hasattr(owner, "get_params"):
        fresh = object.__new__(type(owner))
        vars(fresh).update(vars(owner))
        return fresh
    owner._validate_params()
    fresh = type(owner)(**owner.get_params(deep=False))
    vars(fresh).update({name: vars(owner)[name] for name in _SETTINGS if name in vars(owner)})
    return fresh


def pack(owner: object, fields: Iterator["Field"], *, version: int = 1) -> dict:
    """State of a fitted object with these fields."""
    where = type(owner).__name__
    fitted = {field.name: field.pack(owner, f"{where}.{field.name}") for field in fields}
    return {"class": where, "version": version, "fitted": fitted}


def unpack(owner: object, fields: Iterator["Field"], state: dict, where: str, *, version: int = 1) -> None:
    """Set the fields of a state on an unfitted object; ValueError, with the object half set, where one is wrong."""
    name = type(owner).__name__
    check_keys(state, _FRAME, where)
    right = type(state["class"]) is str and state["class"] == name
    check(right, where, f"is of class {_shown(state['class'])}; expected {name!r}")
    if type(state["version"]) is not int or state["version"] != version:
        raise ValueError(
            f"The state of {where} is of version {_shown(state['version'])}; this skagile takes version {version}. Use "
            "the release of skagile that it was saved with, or fit again."
        )
    fitted = state["fitted"]
    check(type(fitted) is dict, where, "holds no dict of fitted attributes")
    names = []
    for field in fields:
        check(field.name in fitted, where, f"lacks {field.name!r}")
        field.unpack(owner, fitted[field.name], f"{where}.{field.name}")
        names.append(field.name)
    check_keys(fitted, names, where)


def refusal(where: str, problem: str) -> ValueError:
    """Make the error of a state that is wrong somewhere."""
    return ValueError(f"The state of {where} {problem}. {_WAY_OUT}")


def check(right: bool, where: str, problem: str) -> None:
    """Refuse a state unless it is `right`."""
    if not right:
        raise refusal(where, problem)


def check_keys(state: object, names: Sequence[str], where: str) -> None:
    """Refuse what is no dict with exactly these keys."""
    check(type(state) is dict, where, f"is a {type(state).__name__}; expected a dict")
    lacking = [name for name in names if name not in state]
    check(not lacking, where, f"lacks {', '.join(map(repr, lacking))}")
    surplus = [name for name in state if name not in names]
    check(not surplus, where, f"holds {', '.join(map(repr, surplus))}, which this class does not have")


@dataclass(frozen=True)
class Field:
    """A fitted attribute: `plain` makes data of its value, and `value` makes and checks it again."""

    name: str

    def pack(self, owner: object, where: str) -> object:
        """Plain data of the owner's attribute."""
        return self.plain(getattr(self.holder(owner), self.name), where)

    def unpack(self, owner: object, plain: object, where: str) -> None:
        """Set the owner's attribute from plain data."""
        setattr(self.holder(owner), self.name, self.value(plain, where))

    def holder(self, owner: object) -> object:
        """Object that has the attribute."""
        return owner

    def plain(self, value: object, where: str) -> object:
        """Plain data of a value."""
        raise NotImplementedError

    def value(self, plain: object, where: str) -> object:
        """Value of plain data, which may be anything; ValueError where it is not what was expected."""
        raise NotImplementedError


@dataclass(frozen=True)
class Array(Field):
    """Array of numbers or booleans.

    Parameters
    ----------
    kind : {"float", "int", "bool"}, default="float"
        What it holds.
    shape : tuple of int or None
        Its shape; None for any length.
    low, high : float, default=None
        Bounds, inclusive.
    may_hold : tuple of str, default=()
        "inf", "nan" or both.
    """

    kind: str = "float"
    shape: tuple = (None,)
    low: float | None = None
    high: float | None = None
    may_hold: tuple = ()

    def plain(self, value: object, where: str) -> object:
        value = np.asarray(value)
        if value.flags.f_contiguous and not value.flags.c_contiguous:
            return {"transposed": value.T.copy()}
        return np.ascontiguousarray(value) if value.ndim else value.copy()

    def value(self, plain: object, where: str) -> object:
        transposed = type(plain) is dict
        if transposed:
            check_keys(plain, ["transposed"], where)
            plain = plain["transposed"]
        check(type(plain) is np.ndarray, where, f"is a {type(plain).__name__}; expected an array")
        right = plain.dtype.kind == _KINDS[self.kind] and plain.dtype.isnative and plain.dtype.itemsize <= 8
        check(right, where, f"has dtype {plain.dtype}; expected {self.kind}")
        array = plain.copy(order="C").T if transposed else plain.copy(order="C")
        right = array.ndim == len(self.shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, array.shape, strict=True)
        )
        wanted = ", ".join("any" if size is None else str(size) for size in self.shape)
        check(right, where, f"has shape {array.shape}; expected ({wanted})")
        check("nan" in self.may_hold or not np.isnan(array).any(), where, "holds NaN")
        check("inf" in self.may_hold or not np.isinf(array).any(), where, "holds infinite values")
        check(self.low is None or not (array < self.low).any(), where, f"holds values below {self.low}")
        check(self.high is None or not (array > self.high).any(), where, f"holds values above {self.high}")
        return array


@dataclass(frozen=True)
class Indices(Array):
    """Array of places in another, as wide as numpy counts them: sums of them must not run over."""

    kind: str = "int"
    low: float | None = 0

    def value(self, plain: object, where: str) -> object:
        return super().value(plain, where).astype(np.intp)


@dataclass(frozen=True)
class Codes(Field):
    """Class of each row, by number; every class has a row."""

    length: int = 0
    n_codes: int = 2

    def plain(self, value: object, where: str) -> object:
        return np.ascontiguousarray(value)

    def value(self, plain: object, where: str) -> object:
        codes = Indices(self.name, shape=(self.length,), high=self.n_codes - 1).value(plain, where)
        check(len(np.unique(codes)) == self.n_codes, where, "leaves out a class")
        return codes


@dataclass(frozen=True)
class Labels(Field):
    """Sorted distinct labels: ``classes_``. Those in an array of objects go by a list, as str, bool, int or float."""

    least: int = 2

    def plain(self, value: object, where: str) -> object:
        value = np.asarray(value)
        if value.dtype.kind in "biufU":
            return value.copy()
        labels = [label.item() if isinstance(label, np.generic) else label for label in value.tolist()]
        if value.dtype.kind != "O" or not all(type(label) in (str, bool, int, float) for label in labels):
            raise ValueError(
                f"{where} holds labels that cannot be saved (dtype {value.dtype}). Use str, int, float or bool."
            )
        return {"objects": labels}

    def value(self, plain: object, where: str) -> object:
        if type(plain) is dict:
            check_keys(plain, ["objects"], where)
            labels = plain["objects"]
            right = type(labels) is list and all(type(label) in (str, bool, int, float) for label in labels)
            check(right, where, "holds no list of labels")
            array = np.empty(len(labels), dtype=object)
            array[:] = labels
        else:
            right = type(plain) is np.ndarray and plain.dtype.kind in "biufU" and plain.dtype.isnative
            check(right, where, "is no array of labels")
            array = plain.copy()
        check(array.ndim == 1 and len(array) >= self.least, where, f"holds fewer than {self.least} labels")
        try:
            right = all(first < second for first, second in pairwise(array))
            right = right and all(label == label for label in array)
        except TypeError:
            right = False
        check(right, where, "holds labels that are not sorted and distinct")
        return array


@dataclass(frozen=True)
class Number(Field):
    """An int, or with ``kind=float`` a finite float, within bounds."""

    kind: type = int
    low: float | None = None
    high: float | None = None

    def plain(self, value: object, where: str) -> object:
        return self.kind(value)

    def value(self, plain: object, where: str) -> object:
        check(type(plain) is self.kind, where, f"is {_shown(plain)}; expected {self.kind.__name__}")
        check(self.kind is int or np.isfinite(plain), where, f"is {plain}")
        check(self.low is None or plain >= self.low, where, f"is {plain}; expected at least {self.low}")
        check(self.high is None or plain <= self.high, where, f"is {plain}; expected at most {self.high}")
        return plain


@dataclass(frozen=True)
class Choice(Field):
    """One of a few values, str or bool."""

    choices: tuple = (False, True)

    def plain(self, value: object, where: str) -> object:
        return value

    def value(self, plain: object, where: str) -> object:
        right = type(plain) in (str, bool) and plain in self.choices
        check(right, where, f"is {_shown(plain)}; expected one of {', '.join(map(repr, self.choices))}")
        return plain


@dataclass(frozen=True)
class Names(Field):
    """List of str of a known length; with `as_array` an array of objects, as scikit-learn keeps column names."""

    length: int = 0
    as_array: bool = False

    def plain(self, value: object, where: str) -> object:
        return [str(name) for name in value]

    def value(self, plain: object, where: str) -> object:
        right = type(plain) is list and all(type(name) is str for name in plain)
        check(right, where, "is no list of names")
        check(len(plain) == self.length, where, f"holds {len(plain)} names; expected {self.length}")
        return np.array(plain, dtype=object) if self.as_array else list(plain)


@dataclass(frozen=True)
class Table(Field):
    """List of tuples, each one of a known few."""

    known: tuple = ()

    def plain(self, value: object, where: str) -> object:
        return [list(row) for row in value]

    def value(self, plain: object, where: str) -> object:
        known = [list(row) for row in self.known]
        check(type(plain) is list and len(plain) > 0, where, "is no list of rows")
        for row in plain:
            # Types first: True == 1 == 1.0, and an array compares by element.
            right = type(row) is list and all(type(entry) in (str, int, float) for entry in row) and row in known
            check(right, where, f"holds {_shown(row)}, which is unknown")
        return [self.known[known.index(row)] for row in plain]


@dataclass(frozen=True)
class Made(Field):
    """Attribute that is not kept but made of a field's value, such as a neighbours' tree of its rows.

    Parameters
    ----------
    field : Field
        Of the data kept.
    take : callable
        Makes the data of the attribute.
    make : callable
        Makes the attribute of the data.
    """

    field: Field | None = None
    take: Callable | None = None
    make: Callable | None = None

    def plain(self, value: object, where: str) -> object:
        return self.field.plain(self.take(value), where)

    def value(self, plain: object, where: str) -> object:
        return self.make(self.field.value(plain, where))


@dataclass(frozen=True)
class Several(Field):
    """List of values, each with a field of its own."""

    fields: tuple = ()

    @property
    def length(self) -> int:
        """How many."""
        return len(self.fields)

    def field_of(self, place: int) -> Field:
        """Field of one of them."""
        return self.fields[place]

    def plain(self, value: object, where: str) -> object:
        return [self.field_of(i).plain(entry, f"{where}[{i}]") for i, entry in enumerate(value)]

    def value(self, plain: object, where: str) -> object:
        check(type(plain) is list and len(plain) == self.length, where, f"is no list of {self.length}")
        return [self.field_of(i).value(entry, f"{where}[{i}]") for i, entry in enumerate(plain)]


@dataclass(frozen=True)
class Repeated(Several):
    """List of as many values as a parameter says, whose fields are made when they are there: it may say any number."""

    n: int = 0
    make: Callable | None = None

    @property
    def length(self) -> int:
        """How many."""
        return self.n

    def field_of(self, place: int) -> Field:
        """Field of one of them."""
        return self.make(place)


@dataclass(frozen=True)
class Optional(Field):
    """Attribute that may be None, or with ``absent=True`` not be there at all."""

    field: Field | None = None
    absent: bool = False

    def pack(self, owner: object, where: str) -> object:
        value = getattr(owner, self.name, None) if self.absent else getattr(owner, self.name)
        return None if value is None else self.field.plain(value, where)

    def unpack(self, owner: object, plain: object, where: str) -> None:
        if plain is not None:
            setattr(owner, self.name, self.field.value(plain, where))
        elif not self.absent:
            setattr(owner, self.name, None)


@dataclass(frozen=True)
class Piece(Field):
    """A `Stateful` object held by another; `make` makes an unfitted one."""

    make: Callable | None = None

    def plain(self, value: object, where: str) -> object:
        return value._get_state()

    def value(self, plain: object, where: str) -> object:
        return self.make()._set_state(plain, where)


def blank(cls: type, **attributes: object) -> "Stateful":
    """Make an unfitted piece of a class whose ``__init__`` fits, with what its owner knows of it."""
    piece = object.__new__(cls)
    vars(piece).update(attributes)
    return piece


def features_in(owner: object, least: int = 1, most: int = _MOST_FEATURES) -> Iterator[Field]:
    """Fields that `validate_data` fits: number of samples, and names of the columns of a DataFrame."""
    yield Number("n_features_in_", low=least, high=most)
    names = Names("feature_names_in_", owner.n_features_in_, as_array=True)
    yield Optional("feature_names_in_", names, absent=True)


def beats_in(owner: object, least: int = 2) -> Iterator[Field]:
    """Fields that `check_beats` fits: those of `features_in`, and the number of leads."""
    yield from features_in(owner, least)
    yield Number("n_leads_in_", low=1, high=min(owner.n_features_in_, _MOST_LEADS))
    right = owner.n_features_in_ % owner.n_leads_in_ == 0
    check(right, "n_leads_in_", f"is {owner.n_leads_in_}, of {owner.n_features_in_} samples of all leads")


def _shown(value):
    """`repr` of a value, or where it may be long or is no plain value, its type."""
    return repr(value)[:60] if value is None or type(value) in (str, int, float, bool) else type(value).__name__
