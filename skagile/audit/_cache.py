"""Results of finished work on disk, so that an interrupted audit goes on where it stopped."""

import hashlib
from pathlib import Path

from skagile._archive import DamagedArchiveError, read_archive, write_archive


class Cache:
    """A folder of results by the content of what they were made from.

    Nothing in a file is run when it is read. A file that cannot be read, or is of something else, counts as missing.

    Parameters
    ----------
    folder : path-like
        Made where it is missing.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, key, make):
        """Give the result under `key`, made by ``make()`` and kept where it is missing; None as key keeps nothing."""
        if key is None:
            return make()
        digest = hashlib.sha256(key.encode()).hexdigest()
        file = self.folder / f"{digest[:32]}.zip"
        try:
            kept = read_archive(file)
            if isinstance(kept, dict) and kept.get("key") == digest and "result" in kept:
                return kept["result"]
        except (OSError, DamagedArchiveError):
            pass
        result = make()
        write_archive(file, {"key": digest, "result": result})
        return result
