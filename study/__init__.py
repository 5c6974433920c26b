"""The full studies behind the tables in ``docs/studies``; run with ``tox run -e study -- NAME``."""
