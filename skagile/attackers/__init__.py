"""Attackers: classifiers that name the person a beat is from, the table of them, and what removes noise first."""

from skagile._names import lazy_names

# isort: split
# For the rooms above.
from skagile.attackers._base import BaseIdentifier as BaseIdentifier
from skagile.attackers._registry import ATTACKERS as ATTACKERS
from skagile.attackers._registry import FRONT_ENDS as FRONT_ENDS
from skagile.attackers._registry import HOME_OF
from skagile.attackers._registry import KNOWLEDGE as KNOWLEDGE
from skagile.attackers._registry import Attacker as Attacker
from skagile.attackers._registry import check_attackers as check_attackers
from skagile.attackers._registry import check_choice as check_choice
from skagile.attackers._registry import default_estimator as default_estimator
from skagile.attackers._registry import free_name as free_name
from skagile.attackers._registry import known_estimator as known_estimator

__all__ = [*HOME_OF]

__getattr__, __dir__ = lazy_names(__name__, HOME_OF)
