"""Downloads, from a server on this machine."""

import hashlib
import http.server
import threading

import pytest

from skagile.datasets import _download, fetch_mitdb
from skagile.datasets._download import download_file, physionet_url, read_sums

FOLDER = "files/mitdb/1.0.0"


class Server:
    """An HTTP server of a folder, with byte ranges, that can be told to break off or to lie."""

    def __init__(self, root):
        self.root, self.requests = root, []
        self.break_after = {}  # path -> list of byte counts after which to hang up, one for each request
        self.replace = {}  # path -> body to send instead of the file
        self.ranges = True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.serve(self)

            def log_message(self, *args):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/files/"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def serve(self, handler):
        path, wanted = handler.path.lstrip("/"), handler.headers.get("Range")
        self.requests.append((path, wanted))
        file = self.root / path
        if path in self.replace:
            body = self.replace[path]
        elif file.is_file():
            body = file.read_bytes()
        else:
            handler.send_error(404)
            return
        start, total = 0, len(body)
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{total}")
                handler.end_headers()
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(total - start))
        handler.end_headers()
        cuts = self.break_after.get(path)
        stop = start + cuts.pop(0) if cuts else total
        handler.wfile.write(body[start:stop])

    def close(self):
        self.httpd.shutdown()
        self.thread.join()
        self.httpd.server_close()

    def asked(self, name):
        return [wanted for path, wanted in self.requests if path.endswith("/" + name)]


def write_sums(folder):
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.name}"
        for file in sorted(folder.iterdir())
        if file.name != "SHA256SUMS.txt"
    ]
    (folder / "SHA256SUMS.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def server(tmp_path, tiny_mitdb, monkeypatch):
    monkeypatch.setattr(_download, "_WAIT", 0.0)
    folder = tmp_path / "www" / FOLDER
    folder.parent.mkdir(parents=True)
    (tiny_mitdb / "mitdb").rename(folder)
    write_sums(folder)
    server = Server(tmp_path / "www")
    yield server
    server.close()


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


def same_files(folder, other):
    return {file.name: file.read_bytes() for file in folder.iterdir()} == {
        file.name: file.read_bytes() for file in other.iterdir()
    }


def test_downloads_what_is_missing_and_only_that(server, home):
    records = fetch_mitdb(home, base_url=server.url)
    assert records.record_names == ["100", "202"]
    assert same_files(home / "mitdb", server.root / FOLDER)
    n_requests = len(server.requests)
    (home / "mitdb" / "202.dat").unlink()
    fetch_mitdb(home, base_url=server.url)
    assert [path.rpartition("/")[2] for path, _ in server.requests[n_requests:]] == ["202.dat"]
    fetch_mitdb(home, base_url=server.url)
    assert len(server.requests) == n_requests + 1


def test_downloads_into_the_cache_from_the_server_of_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SKAGILE_PHYSIONET_URL", server.url.rstrip("/"))
    fetch_mitdb(records=["100"])
    assert (tmp_path / "cache" / "mitdb" / "100.dat").is_file()
    assert not (tmp_path / "cache" / "mitdb" / "202.dat").exists()
    assert fetch_mitdb().record_names == ["100", "202"]  # the rest, on demand


def test_an_interrupted_download_resumes_where_it_stopped(server, home):
    size = (server.root / FOLDER / "100.dat").stat().st_size
    server.break_after[f"{FOLDER}/100.dat"] = [1000, 500]
    fetch_mitdb(home, base_url=server.url)
    assert server.asked("100.dat") == [None, "bytes=1000-", "bytes=1500-"]
    assert (home / "mitdb" / "100.dat").stat().st_size == size
    assert same_files(home / "mitdb", server.root / FOLDER)


def test_a_later_call_resumes_what_an_earlier_one_had_to_give_up(server, home):
    server.break_after[f"{FOLDER}/100.dat"] = [700] * 5
    with pytest.raises(OSError, match=r"100\.dat: could not be downloaded in 5 attempt.*kept in 100\.dat\.part"):
        fetch_mitdb(home, base_url=server.url)
    assert (home / "mitdb" / "100.dat.part").stat().st_size == 3500
    assert not (home / "mitdb" / "100.dat").exists()
    fetch_mitdb(home, base_url=server.url)
    assert server.asked("100.dat")[-1] == "bytes=3500-"
    assert same_files(home / "mitdb", server.root / FOLDER)


def test_a_server_without_ranges_sends_the_whole_file_again(server, home):
    server.ranges = False
    server.break_after[f"{FOLDER}/100.dat"] = [1000]
    fetch_mitdb(home, base_url=server.url)
    assert same_files(home / "mitdb", server.root / FOLDER)


@pytest.mark.parametrize("extra", [0, 10])
def test_a_part_file_that_is_whole_or_too_long(server, home, extra):
    whole = (server.root / FOLDER / "100.dat").read_bytes()
    (home / "mitdb").mkdir()
    (home / "mitdb" / "100.dat.part").write_bytes(whole + b"x" * extra)
    fetch_mitdb(home, base_url=server.url)
    assert (home / "mitdb" / "100.dat").read_bytes() == whole


def test_a_corrupted_file_is_refused_and_deleted(server, home):
    body = bytearray((server.root / FOLDER / "100.dat").read_bytes())
    body[123] ^= 1
    server.replace[f"{FOLDER}/100.dat"] = bytes(body)
    with pytest.raises(ValueError, match=r"100\.dat.*SHA-256.*deleted"):
        fetch_mitdb(home, base_url=server.url)
    assert [file.name for file in (home / "mitdb").iterdir() if file.name.startswith("100.dat")] == []
    server.replace.clear()
    assert fetch_mitdb(home, base_url=server.url).record_names == ["100", "202"]


def test_a_corrupted_part_file_is_refused(server, home):
    (home / "mitdb").mkdir()
    (home / "mitdb" / "100.dat.part").write_bytes(b"\x00" * 1000)
    with pytest.raises(ValueError, match="SHA-256"):
        fetch_mitdb(home, base_url=server.url)
    assert not (home / "mitdb" / "100.dat.part").exists()


def test_without_sums_on_the_server_the_length_is_checked_alone(server, home):
    (server.root / FOLDER / "SHA256SUMS.txt").unlink()
    server.break_after[f"{FOLDER}/100.dat"] = [1000]
    fetch_mitdb(home, base_url=server.url)
    assert same_files(home / "mitdb", server.root / FOLDER)


def test_a_record_that_the_server_has_not(server, home):
    with pytest.raises(FileNotFoundError, match=r"999\.hea: the server answered 404"):
        fetch_mitdb(home, records=["999"], base_url=server.url)


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/../../b", "C:\\x", "..", ""])
def test_a_listing_cannot_send_files_outside_the_folder(server, home, tmp_path, name):
    server.replace[f"{FOLDER}/RECORDS"] = f"100\n{name or '~/x'}\n".encode()
    (server.root / FOLDER / "SHA256SUMS.txt").unlink()
    with pytest.raises(ValueError, match=r"RECORDS names .* hostile"):
        fetch_mitdb(home, base_url=server.url)
    assert sorted(file.name for file in home.rglob("*")) == ["RECORDS", "mitdb"]


def test_a_header_cannot_fetch_a_file_outside_the_folder(server, home):
    server.replace[f"{FOLDER}/100.hea"] = b"100 1 360 10\n../../../x.dat 16 200 16 0 0 0 0 II\n"
    (server.root / FOLDER / "SHA256SUMS.txt").unlink()
    with pytest.raises(ValueError, match=r"header .*100\.hea names '\.\./\.\./\.\./x\.dat'"):
        fetch_mitdb(home, base_url=server.url)
    assert not any("x.dat" in path for path, _ in server.requests)


def test_no_server(home, monkeypatch):
    monkeypatch.setattr(_download, "_WAIT", 0.0)
    with pytest.raises(OSError, match=r"could not be downloaded in 5 attempt.*SKAGILE_DATA or data_home"):
        fetch_mitdb(home, base_url="http://127.0.0.1:9/")


@pytest.mark.parametrize("url", ["file:///etc/", "ftp://x/", "/tmp"])
def test_only_http(url):
    with pytest.raises(ValueError, match=r"base_url=.*https://"):
        physionet_url(url)


def test_the_server_is_argument_then_environment_then_physionet(monkeypatch):
    assert physionet_url("http://a/b") == "http://a/b/"
    assert physionet_url() == "http://127.0.0.1:9/"
    monkeypatch.delenv("SKAGILE_PHYSIONET_URL")
    assert physionet_url() == "https://physionet.org/files/"


def test_the_target_appears_only_when_whole(server, tmp_path):
    target = tmp_path / "deep" / "100.dat"
    server.break_after[f"{FOLDER}/100.dat"] = [10] * 5
    with pytest.raises(OSError, match="could not be downloaded"):
        download_file(f"{server.url}mitdb/1.0.0/100.dat", target)
    assert not target.exists()


@pytest.mark.realdata
def test_sums_of_physionet_are_read(realdata):
    sums = read_sums(realdata / "ecgiddb" / "SHA256SUMS.txt")
    digest = hashlib.sha256((realdata / "ecgiddb" / "Person_01" / "rec_1.dat").read_bytes()).hexdigest()
    assert sums["Person_01/rec_1.dat"] == digest
