"""``python -m skagile.cli``."""

from skagile.cli import main

main()
