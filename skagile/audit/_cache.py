"""Results of finished work on disk, so that an interrupted audit goes on where it stopped."""

import hashlib
import logging
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from skagile._archive import DamagedArchiveError, content_digest, read_archive, write_archive
from skagile._files import remove_leftovers

_LOG = logging.getLogger("skagile")
_ENTRY = re.compile(r"[0-9a-f]{64}\.zip")
# Entries of an earlier version, which could hold what a denoiser made of the release: recordings, nearly as they were.
_OLD_ENTRY = re.compile(r"[0-9a-f]{32}\.zip")


class Cache:
    """A folder of results by the content of what they were made from.

    It holds scores of people: which person each attacker took each beat for, what diagnoses and traits were read off
    it, and how near people are to each other. It holds no beat, whether original, released or cleaned of its noise.

    Its owner alone may enter the folder (mode 0700) and read its files (0600), and that is what its results are
    trusted by: who can write into it can put any result there. So a folder of somebody else, or one that others can
    write to, is refused. Each entry has a digest of its key and of its content, against damage, and against an entry
    under the name of another. What is damaged is made anew, with a word. Nothing in a file is run when it is read.

    Parameters
    ----------
    folder : path-like
        Made where it is missing.

    Raises
    ------
    ValueError
        For a folder that others may write to or that is somebody else's.
    """

    def __init__(self, folder):
        self.folder = Path(folder).expanduser()
        _make_private(self.folder)
        remove_leftovers(self.folder)
        _remove_old(self.folder)

    def fetch(self, key, make):
        """Give the result under `key`, made by ``make()`` and kept where it is missing; None as key keeps nothing."""
        if key is None:
            return make()
        digest = hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
        file = self.folder / f"{digest}.zip"
        if os.path.lexists(file):
            try:
                return _read(file, digest)
            except (OSError, DamagedArchiveError) as error:
                _LOG.warning("%s in the cache is damaged (%s); it is made anew.", file.name, _in_short(error))
        result = make()
        sealed = {"key": digest, "digest": content_digest([digest, result]), "result": result}
        try:
            write_archive(file, sealed, private=True)
        except OSError as error:
            # The result is there: that it cannot be kept is no reason to lose it.
            _LOG.warning("A result cannot be kept in the cache %s (%s).", self.folder, _in_short(error))
        return result


def _read(file, digest):
    """Read the result of an entry."""
    if not stat.S_ISREG(file.lstat().st_mode):  # a pipe would be waited for
        raise DamagedArchiveError("it is no file")
    kept = read_archive(file)
    try:
        if kept["key"] != digest:
            raise DamagedArchiveError("it is the entry of another key")
        if kept["digest"] != content_digest([digest, kept["result"]]):
            raise DamagedArchiveError("its content is not what was written")
        return kept["result"]
    except (TypeError, KeyError, IndexError, RecursionError) as error:
        raise DamagedArchiveError(f"it is no entry: {error!r}") from error


def _in_short(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


def _make_private(folder):
    """Make a folder that its owner alone may enter; one that is there is closed to others, or refused."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise ValueError(f"cache={str(folder)!r} is a file; expected a folder. Choose another.") from None
    if os.name != "posix":
        return
    state = folder.stat()
    if state.st_uid != os.geteuid():
        raise ValueError(
            f"cache={str(folder)!r} belongs to user {state.st_uid}, who could put any result there; expected a folder "
            f"of your own (user {os.geteuid()}). Choose another, or keep none."
        )
    if not state.st_mode & 0o077:
        return
    entries = os.listdir(folder)
    if entries and state.st_mode & 0o022:
        raise ValueError(
            f"cache={str(folder)!r} can be written to by others (mode {stat.S_IMODE(state.st_mode):04o}), who could "
            "have put any result there; expected mode 0700. Remove it, or choose another."
        )
    if not all(_ENTRY.fullmatch(name) or _OLD_ENTRY.fullmatch(name) or name.startswith(".") for name in entries):
        raise ValueError(
            f"cache={str(folder)!r} can be entered by others (mode {stat.S_IMODE(state.st_mode):04o}) and holds other "
            "files than a cache's; expected a folder of its own. Choose another, or close it: chmod 700."
        )
    folder.chmod(0o700)
    if (mode := stat.S_IMODE(folder.stat().st_mode)) & 0o077:
        raise ValueError(
            f"cache={str(folder)!r} cannot be closed to others: its mode stays {mode:04o}, as on some network drives. "
            "Choose another, or keep none."
        )
    for name in entries:
        with suppress(OSError):
            if not (folder / name).is_symlink():
                (folder / name).chmod(0o600)
    if entries:
        _LOG.warning("The cache %s could be read by others; it is closed to them now (mode 0700).", folder)


def _remove_old(folder):
    """Remove entries as an earlier version wrote them."""
    removed = 0
    for name in os.listdir(folder):
        if _OLD_ENTRY.fullmatch(name):
            with suppress(OSError):
                os.unlink(folder / name)
                removed += 1
    if removed:
        _LOG.warning("Removed %d entries of an earlier version from the cache %s.", removed, folder)
