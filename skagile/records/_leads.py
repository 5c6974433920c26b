"""What a lead is of: its unit in millivolts, and whether it is an electrocardiogram's."""

import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from skagile.records._header import SignalLine

_MICRO = str.maketrans({"\u00b5": "u", "\u03bc": "u", "\u039c": "u"})  # the micro sign, and both Greek mus
_VOLTS = re.compile(r"(m|u|n|milli|micro|nano|)v(olts?)?", re.IGNORECASE)
_MILLIVOLTS = {"": 1e3, "m": 1.0, "mill": 1.0, "u": 1e-3, "micr": 1e-3, "n": 1e-6, "nano": 1e-6}
# What is beside an electrocardiogram in the databases of PhysioNet, and is no voltage: left out without a word.
_OTHERS = re.compile(
    r"mmhg|cmh2o|k?pa|torr|%|nu|adu|bpm|hz|(deg)?c|deg|degrees|m?l(/min|/s)?|[km]?ohms?|pm|m?g|m/s\^?2|m?s|none|-|\?|ppm",
    re.IGNORECASE,
)
_ECG = re.compile(
    r"(lead\s*|ecg\s*|ekg\s*)?(m?l?i{1,3}|av[rlf]|-avr|v\d+r?|v[xyz]|mcl\d*|mv\d?|cm\d|cc5)([\s+_\-].*)?|.*\b(ecg|ekg)\b.*",
    re.IGNORECASE,
)


def millivolts_per(unit: str) -> float | None:
    """Millivolts that a unit is of; None for what is no voltage that is known."""
    volts = _VOLTS.fullmatch(unit.translate(_MICRO))
    return None if volts is None else _MILLIVOLTS[volts[1].lower()[:4]]


def unit_of(millivolts: float) -> str:
    """Give the unit of that many millivolts, as WFDB has it: "V", "mV", "uV" or "nV"."""
    return {1e3: "V", 1.0: "mV", 1e-3: "uV", 1e-6: "nV"}[millivolts]


def round_step(asked: float) -> Fraction:
    """Give the largest of 1, 2 or 5 times a power of ten that is no larger than asked: others tell recorders apart."""
    most = asked * (1 + 1e-9)  # 1/200 is 0.005, however it was computed
    decade = Fraction(10) ** int(np.floor(np.log10(most)))
    return max(times * decade for times in (1, 2, 5) if times * decade <= most)


def of_electrocardiogram(name: str) -> bool:
    """Whether a lead is called as those of electrocardiograms are."""
    return _ECG.fullmatch(name.strip()) is not None


def frame_multiple(lines: Sequence[SignalLine]) -> int:
    """Count the samples per frame of the electrocardiogram: of its fastest lead, else of the fastest voltage."""
    voltages = [line for line in lines if millivolts_per(line.unit) is not None]
    leads = [line for line in voltages if of_electrocardiogram(line.name)] or voltages
    return max((line.samples_per_frame for line in leads), default=1)


def left_out_by_mistake(lines: Sequence[SignalLine]) -> list[str]:
    """Words on leads that are left out and perhaps should not be: of an unknown unit, or an electrocardiogram's."""
    return [
        f"{line.name} in {line.unit!r}"
        for line in lines
        if millivolts_per(line.unit) is None
        if _OTHERS.fullmatch(line.unit) is None or of_electrocardiogram(line.name)
    ]
