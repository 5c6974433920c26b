"""Threats to the people of a release, one a module."""
