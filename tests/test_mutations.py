"""Some hundred changed files of every kind that may come from a stranger; ``tests/mutations.py`` has them."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

_SPEC = importlib.util.spec_from_file_location("mutations", Path(__file__).with_name("mutations.py"))
mutations = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(mutations)


@pytest.mark.parametrize("target", mutations.TARGETS, ids=lambda target: target.name)
def test_documented_errors_only(tmp_path, target):
    n_mutations = int(os.environ.get("SKAGILE_MUTATIONS", "400")) // len(mutations.TARGETS)
    faults, refused, _ = mutations.mutate(n_mutations, 0, tmp_path, [target])
    assert not faults, faults[0][-1] or faults[0]
    # Changes that nobody notices test nothing; a cache recomputes what is damaged.
    assert refused[target.name] > n_mutations // 10 or target.name == "cache"


def test_a_fault_is_seen(tmp_path):
    """What the harness is for: another error, endless work, and much memory."""

    class Harmful(mutations.Archive):
        name, n_read = "harmful", 0

        def read(self):
            self.n_read += 1
            if self.n_read == 2:
                raise KeyError("undocumented")
            if self.n_read == 3:
                self.held = np.ones(1 << 28)

    mutations_faults, _, _ = mutations.mutate(3, 0, tmp_path, [Harmful])
    assert [fault[2].split(":")[0].split()[-1] for fault in mutations_faults] == ["KeyError", "MiB"]
