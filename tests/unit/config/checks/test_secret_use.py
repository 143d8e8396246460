"""Secrets that no connection uses, and identities in them that none has."""

from __future__ import annotations

import pytest

from tests.unit.config.example import minimal, problems, remarks

KEY = 'secret = "LzU0vX3nRkq9TfWm7cYh"\n'


def secret(name: str, *ids: str) -> str:
    listed = ", ".join(f'"{one}"' for one in ids)
    return f"[secrets.ike-{name}]\nids = [{listed}]\n{KEY}"


def site(rest: str, *, local: str = 'id = "gwa"', remote: str = 'id = "gwb"', connection: str = "") -> str:
    return minimal(connection, local=local, remote=remote, rest=rest)


def test_an_identity_that_no_connection_has() -> None:
    """By which the secret fits by our own identity alone, and any peer's at that."""
    found = remarks(site(secret("a", "gwa", "gwbb")))
    assert list(found) == ["secrets.ike-a.ids[1]"]
    assert (
        found["secrets.ike-a.ids[1]"] == 'no connection has the identity "gwbb" (FQDN); did you mean "gwb"?'
    )


def test_the_type_counts() -> None:
    found = remarks(site(secret("a", "gwa", "fqdn:192.0.2.2"), remote='id = "192.0.2.2"'))
    assert '"192.0.2.2" (FQDN)' in found["secrets.ike-a.ids[1]"]


def test_without_a_like_one_those_that_there_are_are_named() -> None:
    found = remarks(site(secret("a", "gwa", "gwb") + secret("b", "zurich.example")))
    assert 'connection ("gwa", "gwb")' in found["secrets.ike-b.ids[0]"]
    assert "is used by no connection" in found["secrets.ike-b"]


def test_a_connection_that_has_none_by_a_typing_error() -> None:
    found = problems(site(secret("a", "gwaa", "gwbb")))
    assert list(found) == ["connections.a.remote.id"]
    text = found["connections.a.remote.id"]
    assert 'no secret fits "gwa" and "gwb"' in text
    assert 'or is secrets.ike-a.ids[0] mistyped? no connection has the identity "gwaa"' in text


@pytest.mark.parametrize("other", ["", secret("b", "gwa")])
def test_a_secret_behind_better_ones_is_unused(other: str) -> None:
    anybodys = f"[secrets.ike-c]\n{KEY}"
    found = remarks(site(secret("a", "gwa", "gwb") + other + anybodys))
    assert list(found) == (["secrets.ike-b"] if other else []) + ["secrets.ike-c"]
    assert "another secret fits its two identities better" in found["secrets.ike-c"]


@pytest.mark.parametrize(
    ("rest", "local", "remote", "connection"),
    [
        (secret("a", "gwa", "gwb"), 'id = "gwa"', 'id = "gwb"', ""),
        (secret("a", "GWA", "gwb"), 'id = "gwa"', 'id = "gwB"', ""),
        (secret("a", "gwa"), 'id = "gwa"', 'id = "gwb"', ""),
        (secret("a", "*b"), 'id = "gwa"', 'id = "gwb"', ""),
        (secret("a", "%any"), 'id = "gwa"', 'id = "gwb"', ""),
        (secret("a", "gwa", "gwb") + secret("b", "gwa", "gwx"), 'id = "gwa"', "", ""),
        (secret("a", "x.example") + secret("b", "y.example"), 'id = "gwa"', 'id = "*.example"', ""),
        (secret("a", "192.0.2.1", "gwb"), "", 'id = "gwb"', 'local_addrs = ["192.0.2.1"]'),
        (secret("a", "192.0.2.1", "gwb"), "", 'id = "gwb"', ""),
    ],
)
def test_what_may_be_used(rest: str, local: str, remote: str, connection: str) -> None:
    assert not remarks(site(rest, local=local, remote=remote, connection=connection))


def test_a_pattern_that_fits_none() -> None:
    found = remarks(site(secret("a", "gwa", "gwb") + secret("b", "*.example")))
    assert list(found) == ["secrets.ike-b.ids[0]", "secrets.ike-b"]
