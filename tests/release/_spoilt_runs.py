"""Runs of the command line that are killed, or find the disk full; each in a process forked from one that is warm.

Reads orders from its input, a line of JSON each, and answers with a line. An order has

``args``
    Of the command line. The first is carried out undisturbed, by this process, which imports what a run needs, and then
    once more.
``seconds``
    The run is killed (SIGKILL) after so many.
``journal``, ``lines``
    The run kills itself once this file has so many lines.
``call``, ``how``
    The run's call with this number, of those that change the disk, kills it ("kill") or finds no space ("full").
``fsize``
    No file may be larger, in bytes.
``disk``, ``size``, ``taken``
    Run on a small disk of its own: see `on_small_disk`.
"""

import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

_CHANGES = ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir", "truncate")
_WRITES = ("replace", "fsync", "mkdir")
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000


def run(args, output):
    """Run the command line with its output in a file; its exit code."""
    from skagile.cli import main

    number = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(number, 1)
    os.dup2(number, 2)
    try:
        main(args)
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    raise AssertionError("the command line ends by SystemExit")


def disturb(order):
    """Count the calls that change the disk, and spoil one of them."""
    calls = [0]
    journal = Path(order["journal"]) if "journal" in order else None

    def spoilt(original):
        def changed(*args, **options):
            calls[0] += 1
            if calls[0] == order.get("call"):
                if order["how"] == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            given = original(*args, **options)
            # Seen by the run itself: somebody who looks on from outside may see it when it is over.
            if journal and journal.exists() and journal.read_bytes().count(b"\n") >= order["lines"]:
                os.kill(os.getpid(), signal.SIGKILL)
            return given

        return changed

    for name in _CHANGES if order.get("how", "kill") == "kill" else _WRITES:
        setattr(os, name, spoilt(getattr(os, name)))
    return calls


def on_small_disk(order):
    """Mount a disk of `size` bytes at `disk`, `taken` of them; run, free the space, run again, and copy the release.

    Where nobody but root may mount, in a namespace of its own.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, root = os.geteuid(), os.geteuid() == 0
    if libc.unshare(_CLONE_NEWNS | (0 if root else _CLONE_NEWUSER)):
        return {"refused": os.strerror(ctypes.get_errno())}
    if not root:
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    private = 0x4000 | 0x40000  # MS_REC | MS_PRIVATE: nobody else sees the disk
    size = f"size={order['size']}".encode()
    if libc.mount(b"none", b"/", None, private, None) or libc.mount(
        b"tmpfs", order["disk"].encode(), b"tmpfs", 0, size
    ):
        return {"refused": os.strerror(ctypes.get_errno())}
    disk, copy = Path(order["disk"]), Path(order["copy"])
    filler = disk / "filler"
    filler.write_bytes(bytes(order["taken"]))
    first = run(order["args"], copy.with_name("first"))
    there = sorted(place.name for place in disk.iterdir())
    filler.unlink()
    second = run(order["args"], copy.with_name("second"))
    shutil.copytree(disk / "out", copy)
    return {"codes": [first, second], "there": there}


def child(order):
    if "disk" in order:
        return on_small_disk(order)
    if "fsize" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["fsize"], order["fsize"]))
    os.umask(order.get("umask", 0o022))
    calls = disturb(order)
    return {"code": run(order["args"], order["output"]), "calls": calls[0]}


def main():
    warnings.simplefilter("ignore", DeprecationWarning)
    answers, errors = os.dup(1), os.dup(2)
    for number, line in enumerate(sys.stdin):
        order = json.loads(line)
        if number == 0:
            run(order["args"], order["output"])
            os.dup2(errors, 2)
        read, write = os.pipe()
        if not (process := os.fork()):
            os.setpgid(0, 0)
            try:
                os.write(write, json.dumps(child(order)).encode())
            finally:
                os._exit(0)
        os.close(write)
        if "seconds" in order:
            time.sleep(order["seconds"])
            os.kill(process, signal.SIGKILL)
        start = time.monotonic()
        with os.fdopen(read, "rb") as stream:
            told = stream.read()
        _, status = os.waitpid(process, 0)
        answer = json.loads(told) if told else {}
        answer |= {"killed": os.WIFSIGNALED(status), "seconds": time.monotonic() - start}
        os.write(answers, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
