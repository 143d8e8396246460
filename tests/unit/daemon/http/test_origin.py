"""`daemon.http.origin`: requests of other sites' pages."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.daemon.http.origin import OwnOrigin

V4, V6 = (OwnOrigin(ip_address(one)) for one in ("127.0.0.1", "::1"))


def status(own: OwnOrigin, host: bytes | None, origin: bytes | None = None) -> int | None:
    """Of the refusal; None if there is none."""
    header = [(b"host", host)] if host is not None else []
    refused = own.refusal("/x/", [*header, *([(b"origin", origin)] if origin is not None else [])])
    return None if refused is None else refused.status


@pytest.mark.parametrize(
    ("own", "host"),
    [(V4, b"127.0.0.1"), (V4, b"127.0.0.1:8427"), (V4, b"LOCALHOST:80"), (V6, b"[::1]"), (V6, b"[::1]:9427")],
)
def test_own_names(own: OwnOrigin, host: bytes) -> None:
    assert status(own, host) is None
    assert status(own, host, b"http://" + host) is None
    assert status(own, host, b"https://" + host) == 403
    assert status(own, host, b"null") == 403
    assert status(own, host, b"http://evil.example") == 403


@pytest.mark.parametrize(
    "host",
    [None, b"", b"evil.example:8427", b"127.0.0.1.evil.example", b"evil.example:127.0.0.1", b"localhost:x"],
)
def test_other_names(host: bytes | None) -> None:
    assert status(V4, host) == 421


def test_another_port_is_another_origin() -> None:
    assert status(V4, b"127.0.0.1:8427", b"http://127.0.0.1:8000") == 403
