"""What an import loads: names on first use, nothing heavy before it, and the packages' one-way street."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import skagile

# A fresh interpreter costs seconds, so two of them import one room after another and say after each what is loaded.
STEPS = {
    "skagile": "import skagile; dir(skagile); skagile.__version__",
    "segmentation": "skagile.BeatSegmenter; skagile.detect_r_peaks",
    "metrics": "import skagile.metrics",
    "datasets": "import skagile.datasets",
    "networks": "import skagile.networks",
    "anonymizers": "skagile.AgileAnonymizer",
}
OTHER_STEPS = {
    "audit": "import skagile; skagile.audit_release; skagile.AuditReport",
    "attackers": "skagile.SVDIdentifier; skagile.DeepECGIdentifier",
}


def _loaded_after(steps):
    code = "import sys\n" + "".join(f"{code}\nprint(*sys.modules)\n" for code in steps.values())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return {step: set(line.split()) for step, line in zip(steps, done.stdout.splitlines(), strict=True)}


@pytest.fixture(scope="module")
def loaded():
    """Modules loaded after each step."""
    return _loaded_after(STEPS) | _loaded_after(OTHER_STEPS)


def _rooms_in(modules):
    return {name.split(".")[1] for name in modules if name.startswith("skagile.") and not name.startswith("skagile._")}


def test_package_itself_loads_next_to_nothing(loaded):
    assert "skagile" in loaded["skagile"]
    assert not loaded["skagile"] & {"torch", "skorch", "matplotlib", "pandas", "wfdb", "numpy", "scipy", "sklearn"}
    assert not _rooms_in(loaded["skagile"])


@pytest.mark.parametrize("room", ["segmentation", "metrics", "datasets"])
def test_no_torch_before_a_network_is_asked_for(loaded, room):
    assert room in _rooms_in(loaded[room])
    assert not loaded[room] & {"torch", "skorch", "matplotlib"}


def test_segmenter_alone_loads_segmentation_alone(loaded):
    assert _rooms_in(loaded["segmentation"]) == {"segmentation"}


def test_lower_rooms_know_no_upper_ones(loaded):
    assert not _rooms_in(loaded["networks"]) & {"anonymizers", "attackers", "audit"}


def test_audit_and_attackers_know_no_anonymizer(loaded):
    assert "audit" in _rooms_in(loaded["audit"])
    assert "anonymizers" not in _rooms_in(loaded["audit"])
    assert "attackers" in _rooms_in(loaded["attackers"])
    assert "anonymizers" not in _rooms_in(loaded["attackers"])


def test_anonymizers_know_no_attacker_and_no_audit(loaded):
    assert "anonymizers" in _rooms_in(loaded["anonymizers"])
    assert not _rooms_in(loaded["anonymizers"]) & {"attackers", "audit"}


@pytest.mark.parametrize("name", skagile.__all__)
def test_public_name_resolves(name):
    assert getattr(skagile, name) is not None
    assert name in dir(skagile)


def test_star_import():
    names = {}
    exec("from skagile import *", names)
    assert set(skagile.__all__) <= set(names)


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'skagile' has no attribute 'KSame'"):
        skagile.KSame  # noqa: B018


def _rooms():
    return [module.name for module in pkgutil.iter_modules(skagile.__path__) if module.ispkg]


@pytest.mark.parametrize("room", _rooms())
def test_rooms_export_what_they_say(room):
    module = importlib.import_module(f"skagile.{room}")
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_top_names_are_their_rooms():
    for name, room in skagile._HOME_OF.items():
        module = importlib.import_module(f"skagile.{room}")
        assert name in module.__all__
        assert getattr(skagile, name) is getattr(module, name)
    assert set(_rooms()) >= set(skagile._SUBPACKAGES)
