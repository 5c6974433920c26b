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


@pytest.fixture
def by_value(request):
    """Send what the test's module defines to worker processes whole: they cannot import it."""
    try:
        from cloudpickle import register_pickle_by_value, unregister_pickle_by_value
    except ImportError:  # joblib brings its own before 1.6
        from joblib.externals.cloudpickle import register_pickle_by_value, unregister_pickle_by_value
    register_pickle_by_value(request.module)
    yield
    unregister_pickle_by_value(request.module)


def pytest_collection_modifyitems(items):
    """Start the longest test first: a worker left alone with it at the end would keep the others waiting."""
    items.sort(key=lambda item: "test_demo_mitdb" not in item.nodeid)
