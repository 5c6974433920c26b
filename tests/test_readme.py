"""What the README shows must run as shown."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_pipeline_example_runs(capsys):
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(compile(code, str(README), "exec"), {})
    printed = capsys.readouterr().out
    for word in ("clean", "static", "adaptive", "majority"):
        assert word in printed
