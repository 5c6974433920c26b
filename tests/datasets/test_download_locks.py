"""Downloads from servers that are slow, cut short, hostile, or asked by many at once."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

import skagile
from skagile.datasets import _download, fetch_mitdb
from skagile.datasets._download import download_file
from skagile.datasets._http import _may_point
from skagile.records import signal_sizes

BODY = bytes(range(256)) * 40


class Script:
    """A server that answers each request with what a function of the connection, its path and first byte does."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):
                if not (more := connection.recv(4096)):
                    return
                asked += more
            lines = asked.decode().split("\r\n")
            first = [int(line[13:-1]) for line in lines if line.startswith("Range: bytes=")]
            path = lines[0].split()[1]
            self.requests.append((path, first[0] if first else 0))
            with suppress(OSError):  # the other end has gone
                self.answer(connection, path, first[0] if first else 0)


def head(status, *lines):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode()


def send(connection, body, first):
    """Answer as a good server does."""
    if first:
        span = f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}"
        connection.sendall(head("206 Partial Content", span, f"Content-Length: {len(body) - first}"))
    else:
        connection.sendall(head("200 OK", f"Content-Length: {len(body)}"))
    connection.sendall(body[first:])


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(_download, "_WAIT", 0.0)
    servers = []

    def serve(answer):
        servers.append(Script(answer))
        return servers[-1]

    yield serve
    for server in servers:
        server.listening.close()


# ---------------------------------------------------------------------------------------------------- the deadline


def drip_body(connection, path, first):
    connection.sendall(head("200 OK", f"Content-Length: {len(BODY)}"))
    for at in range(len(BODY)):
        connection.sendall(BODY[at : at + 1])
        time.sleep(0.05)


def drip_head(connection, path, first):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        connection.sendall(b"\r\nX: " if number % 60 == 59 else b"X")
        time.sleep(0.05)


def silent(connection, path, first):
    time.sleep(60)


@pytest.mark.parametrize("answer", [drip_body, drip_head, silent])
def test_a_server_that_drips_is_given_up_at_the_deadline(serve, tmp_path, monkeypatch, answer):
    monkeypatch.setattr(_download, "_DEADLINE", 1.0)
    start = time.monotonic()
    with pytest.raises(OSError, match=r"could not be downloaded in \d attempt.*it took more than 1 s"):
        download_file(serve(answer).url + "x.dat", tmp_path / "x.dat")
    assert time.monotonic() - start < 30  # the body alone takes 500 s
    assert not (tmp_path / "x.dat").exists()


def test_what_dripped_in_is_kept_to_the_last_byte_and_gone_on_from(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "_DEADLINE", 1.5)
    server = serve(drip_body)
    with pytest.raises(OSError, match=r"([1-9]\d*) bytes came and are kept in x\.dat\.part") as caught:
        download_file(server.url + "x.dat", tmp_path / "x.dat")
    part = (tmp_path / "x.dat.part").read_bytes()
    assert f"{len(part)} bytes came" in str(caught.value)
    assert 5 < len(part) < 100
    assert BODY.startswith(part)
    monkeypatch.setattr(_download, "_DEADLINE", 60.0)
    server.answer = lambda connection, path, first: send(connection, BODY, first)
    download_file(server.url + "x.dat", tmp_path / "x.dat")
    assert server.requests[-1] == ("/x.dat", len(part))
    assert (tmp_path / "x.dat").read_bytes() == BODY


def test_what_dripped_in_before_a_time_without_a_byte_is_kept(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "_TIMEOUT", 0.3)
    monkeypatch.setattr(_download, "_ATTEMPTS", 1)

    def stall(connection, path, first):
        connection.sendall(head("200 OK", f"Content-Length: {len(BODY)}") + BODY[:17])
        time.sleep(5)

    with pytest.raises(OSError, match="17 bytes came and are kept"):
        download_file(serve(stall).url + "x.dat", tmp_path / "x.dat")
    assert (tmp_path / "x.dat.part").read_bytes() == BODY[:17]


def test_kept_is_not_said_of_nothing(serve, tmp_path):
    server = serve(lambda connection, path, first: connection.sendall(head("503 Busy", "Content-Length: 0")))
    with pytest.raises(OSError, match=r"503 Busy\)\. Nothing came, or set SKAGILE_DATA"):
        download_file(server.url + "x.dat", tmp_path / "x.dat")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- the sizes


@pytest.mark.parametrize("claims", [True, False])
def test_a_file_that_is_larger_than_it_may_be_is_given_up(serve, tmp_path, claims):
    sent = []

    def endless(connection, path, first):
        connection.sendall(head("200 OK", f"Content-Length: {10**15}" if claims else "Transfer-Encoding: chunked"))
        chunk = bytes(1 << 16) if claims else b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        while True:
            connection.sendall(chunk)
            sent.append(len(chunk))

    with pytest.raises(ValueError, match=r"bytes or more; expected at most 100000. It was deleted"):
        download_file(serve(endless).url + "x.dat", tmp_path / "x.dat", most=100_000)
    assert list(tmp_path.iterdir()) == []


def close_delimited(connection, path, first):
    connection.sendall(head("200 OK") + BODY[:500])


def test_a_file_of_unknown_length_and_without_a_sum_never_takes_its_name(serve, tmp_path):
    with pytest.raises(OSError, match="does not say how long the file is, and no SHA-256"):
        download_file(serve(close_delimited).url + "x.dat", tmp_path / "x.dat")
    assert list(tmp_path.iterdir()) == []


def test_with_a_sum_a_file_of_unknown_length_may_come(serve, tmp_path):
    digest = hashlib.sha256(BODY[:500]).hexdigest()
    download_file(serve(close_delimited).url + "x.dat", tmp_path / "x.dat", digest)
    assert (tmp_path / "x.dat").read_bytes() == BODY[:500]


def chunked(whole):
    def answer(connection, path, first):
        connection.sendall(head("200 OK", "Transfer-Encoding: chunked") + b"100\r\n" + BODY[:256] + b"\r\n")
        connection.sendall(b"80\r\n" + BODY[:128] + b"\r\n0\r\n\r\n" if whole else b"80\r\n" + BODY[:64])

    return answer


def test_chunks_come_whole_or_not_at_all(serve, tmp_path):
    download_file(serve(chunked(True)).url + "x.dat", tmp_path / "x.dat")
    assert (tmp_path / "x.dat").read_bytes() == BODY[:256] + BODY[:128]
    with pytest.raises(OSError, match="could not be downloaded in 5 attempt"):
        download_file(serve(chunked(False)).url + "y.dat", tmp_path / "y.dat")
    assert not (tmp_path / "y.dat").exists()


def test_packed_bodies_are_refused(serve, tmp_path):
    def packed(connection, path, first):
        connection.sendall(head("200 OK", "Content-Encoding: gzip", "Content-Length: 4") + b"\x1f\x8b00")

    with pytest.raises(ValueError, match="'gzip', which was not asked for"):
        download_file(serve(packed).url + "x.dat", tmp_path / "x.dat")


def files_of(folder, changes=()):
    """Serve a folder's files, some of them changed."""
    changes = dict(changes)

    def answer(connection, path, first):
        name = path.rpartition("/")[2]
        if name == "SHA256SUMS.txt" or not (folder / name).is_file():
            connection.sendall(head("404 Not Found", "Content-Length: 0"))
        else:
            send(connection, changes.get(name, lambda body: body)((folder / name).read_bytes()), first)

    return answer


def test_a_signal_file_shorter_than_its_header_says_never_takes_its_name(serve, tiny_mitdb, tmp_path):
    """The server has it cut short itself, says so of its length, and publishes no sums."""
    server = serve(files_of(tiny_mitdb / "mitdb", {"100.dat": lambda body: body[: len(body) // 2]}))
    (tmp_path / "home").mkdir()
    with pytest.raises(ValueError, match=r"100\.dat: the file that came has 3600 bytes, expected at least 7200 by its"):
        fetch_mitdb(tmp_path / "home", records=["100"], base_url=server.url)
    assert not (tmp_path / "home" / "mitdb" / "100.dat").exists()


def test_a_signal_file_far_longer_than_its_header_says_is_refused(serve, tiny_mitdb, tmp_path):
    server = serve(files_of(tiny_mitdb / "mitdb", {"100.dat": lambda body: body + bytes(3 << 20)}))
    (tmp_path / "home").mkdir()
    with pytest.raises(ValueError, match=r"100\.dat: the file has \d+ bytes or more; expected at most"):
        fetch_mitdb(tmp_path / "home", records=["100"], base_url=server.url)


def test_headers_and_lists_have_a_largest_size(serve, tiny_mitdb, tmp_path):
    for name, most in (("RECORDS", 64 << 20), ("100.hea", 1 << 20)):
        server = serve(files_of(tiny_mitdb / "mitdb", {name: lambda body, most=most: body + bytes(most)}))
        home = tmp_path / name
        home.mkdir()
        with pytest.raises(ValueError, match=rf"{name}: the file has \d+ bytes or more; expected at most {most}"):
            fetch_mitdb(home, records=["100"], base_url=server.url)


def test_sizes_by_the_header(tmp_path):
    (tmp_path / "a.hea").write_text(
        "a 4 360 1000\na.dat 212 200\na.dat 212 200\nb.dat 16x2 200\nc.dat 516 200\n# d.dat 16 1\n"
    )
    slack = 1 << 20
    assert signal_sizes(tmp_path / "a.hea") == {
        "a.dat": (3000, 8000 + slack),
        "b.dat": (4000, 8000 + slack),
        "c.dat": (0, 4000 + slack),
    }
    (tmp_path / "b.hea").write_text("b 1 360 0\nb.dat 16 200\n")
    assert signal_sizes(tmp_path / "b.hea") == {}


# --------------------------------------------------------------------------------------------------- other servers


def point_to(address):
    return lambda connection, path, first: connection.sendall(
        head("302 Found", f"Location: {address}", "Content-Length: 0")
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_that_points_to_another_is_not_followed(serve, tmp_path, host):
    other = serve(lambda connection, path, first: send(connection, b"forged", first))
    server = serve(point_to(other.url.replace("127.0.0.1", host) + "x.dat"))
    with pytest.raises(ValueError, match=rf"points to another one, http://{host}:\d+; expected 127\.0\.0\.1"):
        download_file(server.url + "x.dat", tmp_path / "x.dat")
    assert other.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_may_point_within_itself(serve, tmp_path):
    def answer(connection, path, first):
        if path == "/x.dat":
            point_to("/moved/x.dat")(connection, path, first)
        else:
            send(connection, BODY, first)

    download_file(serve(answer).url + "x.dat", tmp_path / "x.dat")
    assert (tmp_path / "x.dat").read_bytes() == BODY


def test_a_server_that_points_in_a_circle(serve, tmp_path):
    with pytest.raises(ValueError, match="points from one address to the next"):
        download_file(serve(point_to("/x.dat")).url + "x.dat", tmp_path / "x.dat")


@pytest.mark.parametrize(
    ("url", "other", "hosts", "may"),
    [
        ("https://physionet.org/files/a", "https://physionet.org/content/a", (), True),
        ("http://physionet.org/files/a", "https://physionet.org/files/a", (), True),
        ("https://physionet.org/files/a", "http://physionet.org/files/a", (), False),
        ("https://physionet.org/a", "https://physionet.org.evil.net/a", (), False),
        ("https://physionet.org/a", "https://physionet.org@evil.net/a", (), False),
        ("https://physionet.org/a", "https://physionet.org:8443/a", (), False),
        ("https://physionet.org/a", "https://mirror.org/a", (), False),
        ("https://physionet.org/a", "https://mirror.org/a", ("mirror.org",), True),
        ("https://physionet.org/a", "http://mirror.org/a", ("mirror.org",), False),
        ("https://physionet.org/a", "file:///etc/passwd", (), False),
        ("https://physionet.org/a", "https://physionet.org:x/a", (), False),
        ("https://physionet.org/a", "HTTPS://PhysioNet.org/a", (), True),
    ],
)
def test_where_a_server_may_point(url, other, hosts, may):
    assert _may_point(url, other, hosts) == may


# --------------------------------------------------------------------------------------------------- many at once


def slowly(connection, path, first):
    connection.sendall(head("200 OK", f"Content-Length: {len(BODY)}"))
    for start in range(0, len(BODY), 1024):
        connection.sendall(BODY[start : start + 1024])
        time.sleep(0.02)


def test_of_many_that_want_a_file_one_downloads_it(serve, tmp_path):
    server = serve(slowly)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: download_file(server.url + "x.dat", tmp_path / "x.dat"), range(12)))
    assert (tmp_path / "x.dat").read_bytes() == BODY
    assert [file.name for file in tmp_path.iterdir()] == ["x.dat"]
    assert len(server.requests) < 4


FETCH = """
import sys
from skagile.datasets import fetch_mitdb
print(fetch_mitdb(sys.argv[1], base_url=sys.argv[2]).record_names)
"""


def test_processes_that_fetch_at_once_do_not_collide(serve, tiny_mitdb, tmp_path):
    def delayed(connection, path, first):
        time.sleep(0.05)
        files_of(tiny_mitdb / "mitdb")(connection, path, first)

    server, home = serve(delayed), tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(skagile.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FETCH, str(home), server.url]
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = [run.communicate(timeout=240) for run in runs]
    assert [out for out, _ in told] == ["['100', '202']\n"] * 3, told
    for file in (home / "mitdb").iterdir():
        assert file.read_bytes() == (tiny_mitdb / "mitdb" / file.name).read_bytes()


def test_a_link_in_place_of_the_part_is_not_written_through(serve, tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "x.dat.part").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"x\.dat\.part"):
        download_file(serve(slowly).url + "x.dat", tmp_path / "x.dat")
    assert (tmp_path / "victim").read_text() == "mine"
