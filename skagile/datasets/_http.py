"""One answer of a server that may be slow, hostile or not the one that was asked."""

import http.client
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from socket import SHUT_RDWR

_MOST_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}


class _Redirected(Exception):
    """Carries the address that a server points to."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        raise _Redirected(newurl)


class _TimedHTTP(http.client.HTTPConnection):
    """A connection that is cut at a deadline: a server that drips byte by byte runs into no other time limit."""

    def __init__(self, *args, guards, deadline, **params):
        super().__init__(*args, **params)
        self._guards, self._deadline = guards, deadline

    def connect(self):
        super().connect()
        self._guards.append(_Guard(self.sock.dup(), self._deadline))


class _TimedHTTPS(http.client.HTTPSConnection, _TimedHTTP):
    """The same; the deadline holds for the handshake, too, as the plain connection comes first."""


class _Guard:
    """Cuts a connection at a deadline, through a handle of its own."""

    def __init__(self, sock, deadline):
        self._sock = sock
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self):
        with suppress(OSError):
            self._sock.shutdown(SHUT_RDWR)

    def close(self):
        self._timer.cancel()
        self._sock.close()


class _OpenHTTP(urllib.request.HTTPHandler):
    def __init__(self, connection):
        super().__init__()
        self._connection = connection

    def http_open(self, req):
        return self.do_open(partial(_TimedHTTP, **self._connection), req)


class _OpenHTTPS(urllib.request.HTTPSHandler):
    def __init__(self, connection):
        super().__init__()
        self._connection = connection

    def https_open(self, req):
        context = ssl.create_default_context()
        return self.do_open(partial(_TimedHTTPS, **self._connection), req, context=context)


@contextmanager
def answer_of(
    url: str, *, first: int, timeout: float, deadline: float, hosts: Sequence[str] = ()
) -> Iterator[http.client.HTTPResponse]:
    """Ask for a file, and give the answer while the block lasts.

    Parameters
    ----------
    url : str
        Its address.
    first : int
        The first byte that is wanted.
    timeout : float
        Seconds without a byte.
    deadline : float
        When the answer is cut off, by ``time.monotonic``.
    hosts : sequence of str, default=()
        Further hosts that the server may point to, by https.

    Raises
    ------
    ValueError
        If the server points to another one.
    OSError, http.client.HTTPException
        If it cannot be reached or breaks off.
    """
    guards, headers = [], {"Range": f"bytes={first}-"} if first else {}
    connection = {"guards": guards, "deadline": deadline}
    opener = urllib.request.build_opener(_NoRedirect, _OpenHTTP(connection), _OpenHTTPS(connection))
    asked = url
    try:
        for _ in range(_MOST_REDIRECTS):
            try:
                with opener.open(urllib.request.Request(asked, headers=headers), timeout=timeout) as response:
                    yield response
                return
            except _Redirected as redirect:
                asked = str(redirect)
                if not _may_point(url, asked, hosts):
                    server = urllib.parse.urlsplit(asked)
                    raise ValueError(
                        f"{url}: the server points to another one, {server.scheme}://{server.netloc[:100]}; expected "
                        f"{' or '.join([urllib.parse.urlsplit(url).netloc, *hosts])}. Nothing was fetched from there. "
                        "Give base_url the address of a server that has the files itself."
                    ) from None
        raise ValueError(f"{url}: the server points from one address to the next, more than {_MOST_REDIRECTS} times.")
    finally:
        for guard in guards:
            guard.close()


def _may_point(url, other, hosts):
    """Whether a server may point to an address: on itself, also from http to https, or on a host that is allowed."""
    try:
        own, new = _server_of(url), _server_of(other)
    except ValueError:  # no port
        return False
    return new == own or (new[0] == "https" and new[2] == 443 and (new[1] in hosts or own == ("http", new[1], 80)))


def _server_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
