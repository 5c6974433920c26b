"""What is done already of a release that is being made: one line for each record, on disk before the next counts."""

import json
import os
from pathlib import Path

from skagile._files import replacing, sha256_of

_NAME = "journal.jsonl"
_VERSION = 1


class Journal:
    """Lines about records that are finished, in a folder that its owner alone may enter.

    Parameters
    ----------
    folder : Path
        Where it is kept; the release is made in ``release`` there.
    run : str
        Digest of model, key, options and records: another run's lines do not count.

    Raises
    ------
    ValueError
        Where the folder is another run's.
    """

    def __init__(self, folder: Path, run: str):
        self.path, self.made, self.done = folder / _NAME, folder / "release", {}
        if not self.path.exists():
            self._start(run)
            return
        lines = self._lines()
        if not lines or lines[0] != {"version": _VERSION, "run": run}:
            raise ValueError(
                f"{str(folder)!r} is what another run left: with another model, key, option or other records. Finish "
                "that run with the same command as before, or start anew with restart=True, on the command line "
                "--restart, which removes it."
            )
        for line in lines[1:]:
            if self._is_there(line):
                self.done[line["record"]] = line

    def add(self, line: dict) -> None:
        """Note a record as finished; its files are on disk."""
        for file in line.get("files", ()):
            _sync(self.made / file)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.done[line["record"]] = line

    def _start(self, run):
        with replacing(self.path, private=True) as beside:
            beside.write_text(json.dumps({"version": _VERSION, "run": run}) + "\n", encoding="utf-8")

    def _lines(self):
        """Lines that are whole; the last one may have been cut by a kill."""
        text = self.path.read_text(encoding="utf-8", errors="replace")
        whole = text[: text.rfind("\n") + 1]
        if len(whole) < len(text):
            with replacing(self.path, private=True) as beside:
                beside.write_text(whole, encoding="utf-8")
        lines = []
        for line in whole.splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
        return lines

    def _is_there(self, line):
        """Whether a record's files are as they were written."""
        try:
            files = line.get("files", {})
            return "record" in line and all(sha256_of(self.made / file) == digest for file, digest in files.items())
        except (OSError, TypeError, AttributeError):
            return False


def _sync(file):
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
