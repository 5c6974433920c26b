"""Generators of beats: pseudo-people, drawn from a law that is made of sums over people."""

from skagile.anonymizers._generators._alike import alike_classes
from skagile.anonymizers._generators._basis import WIDE, Basis
from skagile.anonymizers._generators._law import Law
from skagile.anonymizers._generators._people import CHUNK, PseudoPeople
from skagile.anonymizers._generators._private import PrivateSum
from skagile.anonymizers._generators._statistics import Columns, Statistics

__all__ = [
    "CHUNK",
    "WIDE",
    "Basis",
    "Columns",
    "Law",
    "PrivateSum",
    "PseudoPeople",
    "Statistics",
    "alike_classes",
]
