"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def realdata():
    """Folder of the PhysioNet recordings; skips where SKAGILE_DATA does not name one."""
    folder = os.environ.get("SKAGILE_DATA")
    if not folder:
        pytest.skip("SKAGILE_DATA is not set: tests on real recordings need the PhysioNet folders")
    folder = Path(folder)
    if not folder.is_dir():
        pytest.fail(f"SKAGILE_DATA={folder} is not a folder")
    return folder
