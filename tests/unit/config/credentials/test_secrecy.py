"""Secrets that others can read or guess, and what can't be seen in them: it is warned of, not refused."""

import hashlib
import os
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.credentials import secrecy
from ikepy.config.toml_source import load, parse, read
from ikepy.errors import ConfigError
from tests.unit.config.example import minimal, remarks

STRONG = "LzU0vX3nRkq9TfWm7cYh"
SHORT, GUESSED = "short enough to be guessed", "soon guessed"


@pytest.mark.parametrize(
    ("secret", "known", "why"),
    [
        ("x7Kq", (), SHORT),
        ("x7Kq9LzU0", (), SHORT),
        ("495827306", (), SHORT),
        ("4958273061839", (), SHORT),
        ("s3cr3t", (), GUESSED),
        ("password", (), GUESSED),
        ("P@ssw0rd123456!", (), GUESSED),
        ("correct horse battery staple", (), GUESSED),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", (), GUESSED),
        ("abcabcabcabcabcabcabcabcabcabc", (), GUESSED),
        ("0123456789abcdefghijklmnopqrstuvwxyz", (), GUESSED),
        ("zyxwvutsrqponmlkjihgfedcba9876543210", (), GUESSED),
        ("qwertzuiopasdfghjklyxcvbnm", (), GUESSED),
        ("gw-zurich.example.net-2024", ("gw-zurich.example.net",), GUESSED),
        ("ACME-Vpn-Tunnel-Secret", ("acme",), GUESSED),
        ("LzU0vX3nRkq9", (), None),
        (STRONG, (), None),
        ("gw-zurich.example.net-2024", (), None),
        ("mural tapir gloomy ocelot", (), None),
        ("dGhlIHF1aWNrIGJyb3duIGZv", (), None),
    ],
)
def test_secrets_that_are_guessed(secret: str, known: tuple[str, ...], why: str | None) -> None:
    found = secrecy.weakness(secret.encode(), known)
    assert found is None if why is None else found is not None and why in found


@pytest.mark.parametrize(
    ("secret", "weak"),
    [(bytes(32), True), (b"\xff" * 32, True), (b"\xff\x00" * 16, True), (bytes([0xFF, 3, 200, 4]), True)],
)
def test_secrets_of_bytes(secret: bytes, weak: bool) -> None:
    assert (secrecy.weakness(secret) is not None) is weak


@given(st.binary(min_size=32, max_size=32))
def test_an_estimate_for_whatever_bytes(secret: bytes) -> None:
    found = secrecy.weakness(secret)
    assert found is None or secrecy.ADVICE in found


def test_random_secrets_are_strong_enough() -> None:
    for number in range(500):
        digest = hashlib.sha256(b"%d" % number).digest()
        assert secrecy.weakness(digest[:16]) is None
        assert secrecy.weakness(b64encode(digest[:15])) is None
        assert secrecy.weakness(digest.hex().encode()) is None


def test_a_very_long_secret_takes_no_time() -> None:
    assert secrecy.weakness(b"ab" * 30000) is not None
    assert secrecy.weakness(os.urandom(60000)) is None


def test_weak_secrets_are_told_under_their_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKEPY_TEST_PSK", "hunter2")
    psk = tmp_path / "psk"
    psk.write_text("s3cr3t\n")
    psk.chmod(0o600)
    found = remarks(
        '[secrets.ike-a]\nsecret = "password"\n'
        f'[secrets.ike-b]\nsecret_file = "{psk}"\n'
        '[secrets.ike-c]\nsecret_env = "IKEPY_TEST_PSK"\n'
        f'[secrets.ike-d]\nsecret = "{STRONG}"\n'
        '[secrets.ike-acmezurich]\nsecret = "acmezurich-2024-xyzw"\n'
        '[secrets.ike-e]\nids = ["gw.zurich.net"]\nsecret = "gw.zurich.net-2024"\n'
    )
    assert list(found) == [
        "secrets.ike-a.secret",
        "secrets.ike-b.secret_file",
        "secrets.ike-c.secret_env",
        "secrets.ike-acmezurich.secret",
        "secrets.ike-e.secret",
    ]
    assert all("guessed" in text for text in found.values())


@pytest.mark.parametrize(
    ("mode", "part"),
    [
        (0o600, None),
        (0o400, None),
        (0o640, None),  # root's group, which the test's file has
        (0o644, "every user may read it (mode 0644): chmod 600"),
        (0o602, "every user may replace it (mode 0602)"),
    ],
)
def test_files_that_others_can_read(tmp_path: Path, mode: int, part: str | None) -> None:
    psk = tmp_path / "psk"
    psk.write_text(STRONG)
    status = psk.stat()
    if status.st_gid != 0:  # whoever runs the tests without being root
        mode &= ~0o070
    psk.chmod(mode)
    found = remarks(f'[secrets.ike-a]\nsecret_file = "{psk}"')
    assert found.keys() == ({"secrets.ike-a.secret_file"} if part else set())
    assert not part or part in found["secrets.ike-a.secret_file"]


def status(mode: int, user: int, group: int) -> os.stat_result:
    return os.stat_result((0o100000 | mode, 1, 1, 1, user, group, 10, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "user", "group", "part"),
    [
        (0o640, 0, 0, None),
        (0o660, 0, 0, None),
        (0o640, 0, 1234, "the group 1234 may read it (mode 0640)"),
        (0o620, 0, 1234, "the group 1234 may replace it"),
        (0o604, 0, 0, "every user may read it"),
        (0o666, 0, 0, "every user may replace it"),
        (0o600, 1234, 0, "it belongs to the user 1234"),
    ],
)
def test_owners_and_groups(mode: int, user: int, group: int, part: str | None) -> None:
    found = secrecy.exposure(status(mode, user, group))
    assert found is None if part is None else found is not None and part in found


def test_the_configuration_itself(tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    path.write_text(f'[secrets.ike-a]\nsecret_file = "psk"\n[secrets.ike-b]\nsecret = "{STRONG}"\n')
    (tmp_path / "psk").write_text(STRONG)
    (tmp_path / "psk").chmod(0o600)
    path.chmod(0o644)
    ((key, text),) = read(path).remarks
    assert key == "secrets.ike-b.secret"
    assert text.startswith("this file holds it, and every user may read it (mode 0644)")
    path.chmod(0o600)
    assert not read(path).remarks
    path.write_text('[secrets.ike-a]\nsecret_file = "psk"\n')
    path.chmod(0o644)
    assert not read(path).remarks, "it holds no secret"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[secrets.token-a]\nhandle = "a1"\nmodule = "/module.so"\npin = "6741"\n', "secrets.token-a.pin"),
        (
            f'[radius.servers.one]\naddress = "192.0.2.9"\nsecret = "{STRONG}"\n',
            "radius.servers.one.secret",
        ),
    ],
)
def test_the_configuration_itself_with_other_secrets(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "ikepy.toml"
    path.write_text(text)
    path.chmod(0o644)
    assert (key, True) in [(one, "this file holds it" in told) for one, told in read(path).remarks]
    path.chmod(0o600)
    assert not read(path).remarks


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (STRONG + "\n", "ends with a line end"),
        (STRONG + "\r", "ends with a line end"),
        (STRONG + "\n" + STRONG[::-1], "holds line ends"),
        (" " + STRONG, "begins or ends with a space"),
        (STRONG + "\t", "begins or ends with a space"),
        ("\ufeff" + STRONG, "byte order mark"),
    ],
)
def test_what_cannot_be_seen_is_named(monkeypatch: pytest.MonkeyPatch, text: str, part: str) -> None:
    monkeypatch.setenv("IKEPY_TEST_PSK", text)
    found = remarks('[secrets.ike-a]\nsecret_env = "IKEPY_TEST_PSK"')
    assert part in found["secrets.ike-a.secret_env"]


def test_octets_are_not_judged_as_text(tmp_path: Path) -> None:
    """A random key may hold any of them; which an advice to remove one would break."""
    for number, (first, last) in enumerate([(0x20, 0x0A), (0x0D, 0x61), (0x61, 0x09), (0xFF, 0xFE)]):
        key = bytes([first, *hashlib.sha256(b"%d" % number).digest(), last])
        coded = b64encode(key).decode()
        psk = tmp_path / "psk"
        psk.write_bytes(key + b"\n")
        psk.chmod(0o600)
        assert not remarks(
            f'[secrets.ike-a]\nsecret = "0x{key.hex()}"\n[secrets.ike-b]\nsecret = "0s{coded}"\n'
            f'[secrets.ike-c]\nsecret_file = "{psk}"\n'
        )


def test_a_file_in_utf_16_is_named(tmp_path: Path) -> None:
    (tmp_path / "psk").write_bytes(STRONG.encode("utf-16"))
    (tmp_path / "psk").chmod(0o600)
    found = remarks(f'[secrets.ike-a]\nsecret_file = "{tmp_path / "psk"}"\n')
    assert "begins like UTF-16 text" in found["secrets.ike-a.secret_file"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_byte_order_mark_and_line_end_are_no_part_of_a_secret_in_a_file(tmp_path: Path, end: bytes) -> None:
    psk = tmp_path / "psk"
    psk.write_bytes(b"\xef\xbb\xbf" + STRONG.encode() + end)
    psk.chmod(0o600)
    text = f'[secrets.ike-a]\nsecret_file = "{psk}"'
    assert parse(text).secrets["ike-a"].secret.expose() == STRONG.encode()
    assert not remarks(text)


def test_utf_16_is_named(tmp_path: Path) -> None:
    psk = tmp_path / "psk"
    psk.write_bytes(STRONG.encode("utf-16"))
    psk.chmod(0o600)
    assert "UTF-16" in remarks(f'[secrets.ike-a]\nsecret_file = "{psk}"')["secrets.ike-a.secret_file"]
    path = tmp_path / "ikepy.toml"
    path.write_bytes(minimal().encode("utf-16"))
    with pytest.raises(ConfigError, match="is UTF-16 text; allowed: UTF-8"):
        load(path)


def test_a_configuration_with_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "ikepy.toml"
    text = minimal(rest=f'[secrets.ike-a]\nsecret = "{STRONG}"\n')
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    config = load(path)
    assert list(config.connections) == ["a"]
    assert config.secrets["ike-a"].secret.expose() == STRONG.encode()


@given(secret=st.text("abcdefgXYZ0189$ \n", min_size=6, max_size=30))
def test_no_remark_shows_a_secret(secret: str) -> None:
    for text in (*secrecy.invisible(secret.encode()), secrecy.weakness(secret.encode()) or ""):
        assert secret not in text
