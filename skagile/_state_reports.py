"""What estimators tell of their fit, in a state: dicts and lists of plain values, whose keys the owner knows."""

from dataclasses import dataclass

import numpy as np

from skagile._state import Field, check, check_keys


@dataclass(frozen=True)
class Scalar(Field):
    """A str, bool, int or finite float, such as a label, that is only told and never used."""

    def plain(self, value: object, where: str) -> object:
        return value.item() if isinstance(value, np.generic) else value

    def value(self, plain: object, where: str) -> object:
        check(type(plain) in (str, bool, int, float), where, f"is a {type(plain).__name__}; expected a plain value")
        check(type(plain) is not float or np.isfinite(plain), where, f"is {plain}")
        return plain


@dataclass(frozen=True)
class Entries(Field):
    """List of any length, each entry a value of one field."""

    field: Field | None = None

    def plain(self, value: object, where: str) -> object:
        return [self.field.plain(entry, f"{where}[{i}]") for i, entry in enumerate(value)]

    def value(self, plain: object, where: str) -> object:
        check(type(plain) is list, where, f"is a {type(plain).__name__}; expected a list")
        return [self.field.value(entry, f"{where}[{i}]") for i, entry in enumerate(plain)]


@dataclass(frozen=True)
class Report(Field):
    """Dict of str to values, each with a field of its own.

    Parameters
    ----------
    fields : tuple of Field
        Of the values, named by their keys, in the order of the dict.
    optional : tuple of str, default=()
        Keys that the dict may lack. The state has them with None.
    """

    fields: tuple = ()
    optional: tuple = ()

    def plain(self, value: object, where: str) -> object:
        return {
            field.name: field.plain(value[field.name], f"{where}[{field.name!r}]") if field.name in value else None
            for field in self.fields
        }

    def value(self, plain: object, where: str) -> object:
        check_keys(plain, [field.name for field in self.fields], where)
        return {
            field.name: field.value(plain[field.name], f"{where}[{field.name!r}]")
            for field in self.fields
            if plain[field.name] is not None or field.name not in self.optional
        }
