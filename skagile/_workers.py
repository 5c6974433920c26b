"""Worker processes that end with the process that started them, and leave no recording behind in shared memory."""

import atexit
import os
import shutil
import stat
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import process_executor

try:
    import fcntl
except ImportError:  # Windows has none, and no shared memory that files lie in
    fcntl = None

_SHARED_MEMORY = "/dev/shm"
_LEAST_FREE = 2 << 30  # bytes; joblib asks for as much before it takes shared memory
_PREFIX = "skagile-"
_LOCK = "lock"
_TICK = 1.0  # s
_NEW = 60.0  # s
_CONNECT = 20.0  # s


def in_parallel(function, arguments, n_jobs, n_tasks=None):
    """Give ``function(*args)`` for each args of `arguments`, in their order, worked on by `n_jobs` workers at most.

    Never are there more workers than calls, or than cores, those of a cluster where joblib works on one.

    Workers are sent large arrays as files in shared memory, which hold people's recordings. They lie in a folder that
    its owner alone may enter. It goes when this process ends. Where the process is killed the workers see it within
    seconds, remove the folder and end; where they are killed, too, the next run removes it.

    Parameters
    ----------
    function : callable
        On top of a module.
    arguments : iterable of tuple
        Positional arguments of each call.
    n_jobs : int or None
        As of joblib.
    n_tasks : int, default=None
        Number of calls, since `arguments` may be a generator. None: not known.

    Returns
    -------
    results : generator
    """
    most = effective_n_jobs(-1)
    n_jobs = max(1, min(effective_n_jobs(n_jobs), most, most if n_tasks is None else n_tasks))
    folder = None if n_jobs == 1 else _shared_folder(os.getpid())
    tasks = (delayed(_call)(os.getpid(), folder, function, args) for args in arguments)
    return Parallel(n_jobs=n_jobs, return_as="generator", temp_folder=folder)(tasks)


@contextmanager
def on_cluster(address):
    """Let :func:`in_parallel` work on a Dask cluster within the block.

    A worker that dies has its calls done again by another one.

    Parameters
    ----------
    address : str or None
        Of its scheduler, such as ``tcp://10.0.0.1:8786``. None: nothing changes.

    Raises
    ------
    ValueError
        Where the extra is not installed.
    OSError
        Where there is no scheduler at that address.
    """
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            f"dask={address!r} needs the package distributed. Install skagile[dask], or work without it."
        ) from None
    with (
        Client(address, timeout=_CONNECT, set_as_default=False) as client,
        parallel_config("dask", client=client, n_jobs=-1),
    ):
        yield


def _call(parent, folder, function, args):
    # A worker of a cluster is no child of this process, and nor is a thread.
    if os.getppid() == parent:
        _watch(parent, folder)
    return function(*args)


def keep_worker():
    """Tell joblib, in a worker process of its own, to keep it although its memory grows; elsewhere nothing is done.

    Where psutil is installed, joblib takes a worker that has loaded torch for one that leaks memory, ends it in the
    midst of the work, and may wait for it for ever.
    """
    if process_executor._CURRENT_DEPTH:
        process_executor._MAX_MEMORY_LEAK_SIZE = float("inf")


@cache
def _watch(parent, folder):
    """Watch whether the parent is alive, in a thread of its own, once for each worker."""
    keep_worker()

    def watch():
        while os.getppid() == parent:
            time.sleep(_TICK)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="skagile-parent-watch").start()


@cache
def _shared_folder(process):
    """Make the folder of this process; a forked process makes its own."""
    base = _base()
    _remove_dead(base)
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=base)  # mode 0700
    if fcntl is not None:
        # Held until this process ends, however it ends.
        lock = os.open(Path(folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    atexit.register(_remove_own, process, folder)
    return folder


def _remove_own(process, folder):
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _base():
    """Where joblib would put what workers share."""
    if given := os.environ.get("JOBLIB_TEMP_FOLDER"):
        os.makedirs(given, exist_ok=True)
        return given
    with suppress(OSError, AttributeError):
        free = os.statvfs(_SHARED_MEMORY)
        if free.f_bsize * free.f_bavail > _LEAST_FREE and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
            return _SHARED_MEMORY
    return tempfile.gettempdir()


def _remove_dead(base):
    """Remove the folders of this user's processes that are no more: nobody holds their locks."""
    if fcntl is None:
        return
    for folder in Path(base).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            state = folder.lstat()
            # A minute is longer than it takes to lock a new one.
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or time.time() - state.st_mtime < _NEW:
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
