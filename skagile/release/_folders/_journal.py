"""What is done already of a release that is being made: one line for each record, on disk before the next counts."""

import json
import os
from pathlib import Path

from skagile._files import replacing, sha256_of, sync

JOURNAL, RELEASE = "journal.jsonl", "release"  # beside each other
_VERSION = 1


class Journal:
    """Lines about records that are finished, in a folder that its owner alone may enter.

    Parameters
    ----------
    folder : Path
        Where it is kept; the release is made in `RELEASE` there.
    run : str
        Digest of model, key and options: another run's lines do not count.
    inputs : dict of str to str
        From a record's pseudonym to the digest of its input. Lines of records that have changed since do not count.

    Raises
    ------
    ValueError
        Where the folder is another run's.
    """

    def __init__(self, folder: Path, run: str, inputs: dict[str, str]):
        self.path, self.made, self.done = folder / JOURNAL, folder / RELEASE, {}
        self.inputs = inputs
        if not self.path.exists():
            self._start(run)
            return
        lines = self._lines()
        if not lines or lines[0] != {"version": _VERSION, "run": run}:
            raise ValueError(
                f"{str(folder)!r} is what another run left: with another model, key, option or version of "
                "skagile or its libraries. Finish that run with the same command as before, or start anew with "
                "restart=True, on the command line --restart, which removes it."
            )
        for line in lines[1:]:
            if self._is_there(line):
                self.done[line["record"]] = line

    def add(self, line: dict) -> None:
        """Note a record as finished; its files are on disk."""
        line["private"]["input"] = self.inputs[line["record"]]
        for file in line.get("files", ()):
            sync(self.made / file)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.done[line["record"]] = line

    def _start(self, run):
        with replacing(self.path, private=True) as beside:
            beside.write_text(json.dumps({"version": _VERSION, "run": run}) + "\n", encoding="utf-8")
            sync(beside)

    def _lines(self):
        """Lines that are whole. A kill or a full disk may have cut the last one: it goes, and whatever follows."""
        content, lines, good = self.path.read_bytes(), [], 0
        for line in content.splitlines(keepends=True):
            try:
                lines.append(json.loads(line.decode("ascii")))
            except ValueError:
                break
            if not line.endswith(b"\n"):
                lines.pop()
                break
            good += len(line)
        if good < len(content):
            os.truncate(self.path, good)
        return lines

    def _is_there(self, line):
        """Whether a record's files are as they were written, and of what the input is now."""
        try:
            current = line["private"]["input"] == self.inputs.get(line["record"])
            files = line.get("files", {})
            return current and all(sha256_of(self.made / file) == digest for file, digest in files.items())
        except (OSError, KeyError, TypeError, AttributeError):
            return False
