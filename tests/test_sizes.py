"""How large files and functions may be: what is larger is split."""

import ast
from pathlib import Path

import skagile

ROOT = Path(skagile.__file__).parent


def _code_lines(function, lines):
    """Lines of code of a function's body: no docstring, no blank lines, no comments."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    inside = lines[body[0].lineno - 1 : function.end_lineno] if body else []
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in inside)


def _too_large(text, name, *, most_lines=500, most_code=60):
    lines = text.splitlines()
    if len(lines) > most_lines:
        yield f"{name}: {len(lines)} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and (n_code := _code_lines(node, lines)) > most_code:
            yield f"{name}, {node.name}: {n_code} lines of code"


def test_files_and_functions_are_small():
    files = [*ROOT.rglob("*.py"), *(ROOT.parent / "study").glob("*.py")]
    faults = [fault for file in files for fault in _too_large(file.read_text(encoding="utf-8"), file.name)]
    assert not faults, "\n".join(sorted(faults))


def test_what_is_too_large_is_found():
    assert list(_too_large("x = 1\n" * 501, "a file")) == ["a file: 501 lines"]
    assert not list(_too_large("def f():\n" + "    x = 1\n" * 60, "a file"))
    assert list(_too_large("def f():\n" + "    x = 1\n" * 61, "a file")) == ["a file, f: 61 lines of code"]
