"""Behind a proxy or a tunnel of this machine, as people set them up: it opens the function to nobody without a key."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.e2e.parts import find_program, is_listening, wait_until
from tests.e2e.test_serve import answer_of, serving
from tests.function_client import local_headers
from tests.ports import free_port
from weighbridge.delivery.kept import kept_files

READING = {"weight": 81.4, "time": "2026-11-23T07:30:00Z"}
SEND, READ = "a-key-that-may-only-send", "a-key-that-may-only-read"
KEYS = f"scale:send={SEND},page:read={READ}"
EVERY_CALL = (
    *(("POST", "/"), ("POST", "/readings?replace=true"), ("POST", "/fit"), ("POST", "/?dry_run=true")),
    *(("GET", "/readings"), ("DELETE", "/readings/2026-11-23.1")),
    *(("GET", "/sign-in"), ("POST", "/sign-in"), ("DELETE", "/sign-in")),
)

#: As in the manual of nginx; `headers` are more lines of the location, and its prefix is removed from the path. With a
#: certificate, it listens for TLS.
NGINX = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls};
        location {prefix} {{
            proxy_pass http://127.0.0.1:{function}{removed};
            {headers}
        }}
    }}
}}
"""


def nginx(
    folder: Path, port: int, function: int, headers: str = "", prefix: str = "/", certificate: Path | None = None
) -> list[str]:
    program = find_program("nginx", Path("/usr/sbin"), package="nginx")
    user = "user root;" if os.getuid() == 0 else ""  # else its worker may not enter the folder
    tls = f" ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}" if certificate else ""
    names = {"folder": folder, "user": user, "port": port, "function": function, "headers": headers, "tls": tls}
    text = NGINX.format(**names, prefix=prefix, removed="/" * (prefix != "/"))
    (folder / "nginx.conf").write_text(text)
    return [str(program), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def socat(_folder: Path, port: int, function: int) -> list[str]:
    """The same as `ssh -R` and every other tunnel that ends on this machine: a connection from a loopback address."""
    program = find_program("socat", package="socat")
    return [str(program), f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", f"TCP:127.0.0.1:{function}"]


Before = Callable[[Path, int, int], list[str]]


@contextmanager
def function_behind(before: Before, folder: Path, **environment: object) -> Iterator[int]:
    """The port of a program before a function that keeps files in `folder`/kept."""
    function, port = free_port(), free_port()
    words = before(folder, port, function)
    with serving(folder, "--port", str(function), WEIGHBRIDGE_FOLDER=folder / "kept", **environment) as process:
        answer_of(f"http://127.0.0.1:{function}", process)
        with (folder / "proxy.log").open("wb") as log:
            proxy = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            wait_until("the proxy listens", lambda: proxy.poll() is not None or is_listening(port))
            assert proxy.poll() is None, (folder / "proxy.log").read_text()
            yield port
        finally:
            proxy.terminate()
            proxy.wait(timeout=30)


#: On Linux, all of 127.0.0.0/8 is this machine.
CALLER = "127.0.0.9"


def call(port: int, method: str, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    body = json.dumps(READING).encode() if method == "POST" else None
    with closing(HTTPConnection("127.0.0.1", port, timeout=30, source_address=(CALLER, 0))) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize("before", [nginx, socat])
def test_no_key(before: Before, tmp_path: Path) -> None:
    """Without a key, every call through a plain proxy or a tunnel is 401, and nothing is kept; with one, it is not."""
    with function_behind(before, tmp_path) as port:
        for method, path in EVERY_CALL:
            for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"Host": "localhost"}, {"X-API-Key": "a-wrong-key"}):
                status, answer = call(port, method, path, headers)
                assert (status, json.loads(answer)["type"]) == (401, "urn:weighbridge:unauthorized")
        assert kept_files(tmp_path / "kept") == []
        assert call(port, "GET", "/health")[0] == 200
        assert str(tmp_path).encode() not in call(port, "GET", "/health")[1]
        assert call(port, "POST", "/", local_headers())[0] == 202
    assert len(kept_files(tmp_path / "kept")) == 1


def test_rights(tmp_path: Path) -> None:
    """Through nginx, too, a key may do what it is for, and nothing else."""
    with function_behind(nginx, tmp_path, WEIGHBRIDGE_API_KEYS=KEYS) as port:
        allowed = {
            name: [call(port, method, path, {"X-API-Key": key})[0] != 403 for method, path in EVERY_CALL]
            for name, key in (("send", SEND), ("read", READ))
        }
    assert allowed == {
        "send": [True, False, True, True, *(5 * [False])],
        "read": [*(4 * [False]), True, *(4 * [False])],
    }
    assert len(kept_files(tmp_path / "kept")) == 1


@pytest.mark.parametrize(("trusted", "address"), [("127.0.0.2", "127.0.0.1"), ("127.0.0.1", CALLER)])
def test_address_of_a_wrong_key(tmp_path: Path, trusted: str, address: str) -> None:
    """The log has the address of the proxy, or if it is trusted the caller's, and never one that the caller made up."""

    def before(folder: Path, port: int, function: int) -> list[str]:
        forwarded = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        return nginx(folder, port, function, forwarded)

    with function_behind(before, tmp_path, WEIGHBRIDGE_TRUSTED_PROXIES=trusted) as port:
        assert call(port, "POST", "/", {"X-API-Key": "a-wrong-key", "X-Forwarded-For": "203.0.113.7"})[0] == 401
    assert refused_from(tmp_path) == [address]


def refused_from(folder: Path) -> list[str]:
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    return [line["refused_key_from"] for line in lines if "refused_key_from" in line]
