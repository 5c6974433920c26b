"""What an import loads: names on first use, nothing heavy before it, and the packages' one-way street."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

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
    assert _rooms_in(loaded["segmentation"]) == {"leads", "segmentation"}


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


# ---------------------------------------------------------------------------------------------- the plan of the house

FLOORS = [
    {"leads"},
    {"networks", "metrics", "plotting", "segmentation"},
    {"records"},
    {"datasets", "anonymizers", "attackers"},
    {"audit"},
    {"model_selection", "persistence", "release"},
    {"cli"},
]
ROOT = Path(skagile.__file__).parent
# Parameters of a detector and of rules are searched from the inside; no public way says so much.
STUDIES_INSIDE = {
    "measurements.py": {"skagile.segmentation._measure"},
    "rpeak_constants.py": {"skagile.segmentation._pan_tompkins", "skagile.segmentation._surroundings"},
}


def _floor(room):
    """Floor of a room, 0 for the files at the root; a room that has no floor yet is a fault."""
    if room == "":
        return 0
    return next(number for number, rooms in enumerate(FLOORS, 1) if room in rooms)


def _module_name(file):
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module):
    """Room of a module by its full name; "" for the package itself and its files with an underscore."""
    parts = module.split(".")
    return "" if len(parts) < 2 or parts[1].startswith("_") else parts[1]


def _imports(tree, module=""):
    """Modules of skagile that a syntax tree imports, wherever in it: lazy imports count as others do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "skagile")
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{module}: a relative import (line {node.lineno})")
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "skagile":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if _is_module(inner):
                    yield inner
                elif node.module == "skagile" and alias.name in skagile._HOME_OF:
                    yield f"skagile.{skagile._HOME_OF[alias.name]}"
                else:
                    yield node.module


def _is_module(name):
    place = ROOT.parent.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _faults(module, imported):
    """What is wrong with one import."""
    here, there = _room(module), _room(imported)
    if here == there:
        return
    if _floor(there) >= _floor(here):
        yield f"{module} (floor {_floor(here)}) imports {imported} (floor {_floor(there)})"
    if there and any(part.startswith("_") for part in imported.split(".")[2:]):
        yield f"{module} imports {imported}, which is private to the room {there}"
    if here == "audit" and there == "anonymizers":
        yield f"{module} imports {imported}: the audit judges data, whoever made it"


def _graph():
    return {
        _module_name(file): set(_imports(ast.parse(file.read_text(encoding="utf-8")), _module_name(file)))
        for file in ROOT.rglob("*.py")
    }


def test_imports_point_down_and_keep_out_of_other_rooms():
    faults = [fault for module, names in _graph().items() for name in names for fault in _faults(module, name)]
    assert not faults, "\n".join(sorted(faults))


def test_no_module_imports_itself_in_a_circle():
    graph = {module: names - {module} for module, names in _graph().items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("skagile.networks._cnn", "from skagile.attackers import SVDIdentifier"),
        ("skagile.audit._protocol", "def f():\n    from skagile import KSameAnonymizer"),
        ("skagile.datasets._base", "from skagile.records._wfdb import read_record"),
        ("skagile.release._pair", "def f():\n    import skagile.datasets._beats"),
        ("skagile.metrics._worst", "from skagile.segmentation import measure_beats"),
        ("skagile._arrays", "from skagile import metrics"),
    ],
)
def test_a_wrong_import_is_found(module, line):
    assert [fault for name in _imports(ast.parse(line)) for fault in _faults(module, name)]


def test_a_right_import_is_none():
    line = "from skagile.metrics import prdn\nfrom skagile import metrics\nfrom skagile._arrays import standardize"
    assert not [fault for name in _imports(ast.parse(line)) for fault in _faults("skagile.audit._protocol", name)]


@pytest.mark.parametrize("file", sorted((ROOT.parent / "study").glob("*.py")), ids=lambda file: file.name)
def test_studies_use_public_ways(file):
    inside = {
        name
        for name in _imports(ast.parse(file.read_text(encoding="utf-8")))
        if _room(name) and any(part.startswith("_") for part in name.split("."))
    }
    assert inside == STUDIES_INSIDE.get(file.name, set())
