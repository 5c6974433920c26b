"""Values of options, checked as the command line is read: paths with ``~``, finite numbers, leads."""

import math
import re
from pathlib import Path
from typing import Any

import click


class FilePath(click.Path):
    """A path in which ``~`` is the home, wherever it stands in the option."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Expand the home, and check the path."""
        try:
            value = str(Path(value).expanduser())
        except RuntimeError:
            self.fail(f"{value!r}: nobody's home is known here. Give the whole path.", param, ctx)
        if "\0" in value:
            self.fail(f"{value!r} holds a NUL, which no path does.", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A finite number within bounds: NaN is in every range, as it is compared."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number, and check it."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


class Lead(click.ParamType):
    """Position of a lead, or its name."""

    name = "lead"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Read a whole number as a position, any other text as a name."""
        if isinstance(value, int):
            return value
        if re.fullmatch(r"[+-]?[0-9]{1,4}", value):
            return int(value)
        if not re.search(r"[^\W_]", value) or re.fullmatch(r"[+-]*[0-9]+", value):
            self.fail(f"{value!r} is neither a position, such as 0 or -1, nor the name of a lead.", param, ctx)
        return value
