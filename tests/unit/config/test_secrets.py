"""Pre-shared keys: where they come from, whose they are, and that they never show."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ikepy.config.identity import Identity
from ikepy.config.model import Config, SecretEntry
from ikepy.config.toml_source import load, parse
from ikepy.errors import ConfigError
from tests.unit.config.example import EXAMPLE, good, problems


def only_secret(config: Config) -> bytes:
    (entry,) = config.secrets.values()
    return entry.secret.expose()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("s3cr3t", b"s3cr3t"),
        ("schlüssel", "schlüssel".encode()),
        ("0x00ff10", bytes([0, 255, 16])),
        ("0x0ff", bytes([0, 255])),
        ("0x00:ff", bytes([0, 255])),
        ("0sAP8Q", bytes([0, 255, 16])),
        ("0sAP8=", bytes([0, 255])),
        ("0sAP8", bytes([0, 255])),
        (" with spaces ", b" with spaces "),
    ],
)
def test_forms(text: str, secret: bytes) -> None:
    assert only_secret(good(f"[secrets.ike-x]\nsecret = '{text}'")) == secret


@pytest.mark.parametrize(
    ("text", "part"),
    [("0xyz", "hex digits"), ("0s!!", "base64"), ("", "empty"), ("0x", "empty"), ("0s", "empty")],
)
def test_bad_forms(text: str, part: str) -> None:
    assert part in problems(f"[secrets.ike-x]\nsecret = '{text}'")["secrets.ike-x.secret"]


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"s3cr3t\n", b"s3cr3t"),
        (b"s3cr3t\r\n", b"s3cr3t"),
        (b"two\nlines\n\n", b"two\nlines\n"),
        (b"0x00ff\n", bytes([0, 255])),
        (bytes([0xFF, 0xFE, 0]), bytes([0xFF, 0xFE, 0])),
    ],
)
def test_from_a_file_beside_the_configuration(tmp_path: Path, content: bytes, secret: bytes) -> None:
    (tmp_path / "psk").write_bytes(content)
    path = tmp_path / "ikepy.toml"
    path.write_text('[secrets.ike-x]\nsecret_file = "psk"\n')
    assert only_secret(load(path)) == secret
    path.write_text(f"[secrets.ike-x]\nsecret_file = '{tmp_path}/psk'\n")
    assert only_secret(load(path)) == secret


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_bytes(bytes(70000))

    def found(name: str) -> str:
        return problems(f"[secrets.ike-x]\nsecret_file = '{tmp_path}/{name}'")["secrets.ike-x.secret_file"]

    assert found("absent") == "there is no file of this name"
    assert found("") == "this is not a regular file"
    assert found("empty") == "this file is empty"
    assert "too large" in found("large")
    assert found("x" * 300) == "this file can't be read: File name too long"


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKEPY_TEST_PSK", "0s" + base64.b64encode(b"key").decode())
    text = '[secrets.ike-x]\nsecret_env = "IKEPY_TEST_PSK"'
    assert only_secret(good(text)) == b"key"
    monkeypatch.delenv("IKEPY_TEST_PSK")
    assert "no environment variable" in problems(text)["secrets.ike-x.secret_env"]


def test_exactly_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKEPY_TEST_PSK", "b")  # one that is read is wiped when a daemon starts
    wanted = "exactly one of secret, secret_file, secret_env must be given"
    assert problems("[secrets.ike-x]") == {"secrets.ike-x": wanted}
    assert problems("[secrets.ike-x]\nsecret='a'\nsecret_env='IKEPY_TEST_PSK'") == {"secrets.ike-x": wanted}


def identity(text: str) -> Identity | None:
    return Identity.parse(text)


KEYS = """
[secrets.ike-anybody]
secret = "anybody"
[secrets.ike-pair]
ids = ["gwa", "gwb"]
secret = "pair"
[secrets.ike-peer]
ids = ["gwc"]
secret = "peer"
[secrets.ike-domain]
ids = ["*.example.org"]
secret = "domain"
[secrets.ike-host]
ids = ["gw.example.org"]
secret = "host"
"""


# As charon's credential manager chooses: the peer's match counts first, then ours.
@pytest.mark.parametrize(
    ("local", "remote", "secret"),
    [
        ("gwa", "gwb", b"pair"),
        ("gwb", "gwa", b"pair"),
        ("gwx", "gwb", b"pair"),
        ("gwa", "gwc", b"peer"),
        ("gwa", "gw.example.org", b"host"),
        ("gwa", "GW.Example.org", b"host"),
        ("gwa", "x.example.org", b"domain"),
        ("gwx", "gwy", b"anybody"),
        ("gwx", "192.0.2.1", b"anybody"),
    ],
)
def test_best_match(local: str, remote: str, secret: bytes) -> None:
    psk = good(KEYS).psk(identity(local), identity(remote))
    assert psk is not None
    assert psk.expose() == secret


def test_named_pair_beats_named_peer() -> None:
    text = '[secrets.ike-1]\nids=["gwb"]\nsecret="1"\n[secrets.ike-2]\nids=["gwa","gwb"]\nsecret="2"'
    psk = good(text).psk(identity("gwa"), identity("gwb"))
    assert psk is not None
    assert psk.expose() == b"2"


def test_one_secret_of_many_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SecretEntry] = []
    match = SecretEntry.match

    def noted(self: SecretEntry, identity: Identity | None) -> int:
        asked.append(self)
        return match(self, identity)

    monkeypatch.setattr(SecretEntry, "match", noted)
    config = good("".join(f'[secrets.ike-{n}]\nids=["gwa", "p{n}"]\nsecret="s{n}"\n' for n in range(100)))
    asked.clear()
    psk = config.psk(identity("gwa"), identity("p50"))
    assert psk is not None
    assert psk.expose() == b"s50"
    assert set(map(id, asked)) == {id(config.secrets["ike-50"])}


def test_no_match() -> None:
    assert good('[secrets.ike-1]\nids=["gwa"]\nsecret="1"').psk(identity("gwx"), identity("gwy")) is None
    assert good("").psk(identity("gwa"), identity("gwb")) is None


# Long enough not to stand in a message by chance, and not part of the texts below.
SECRETS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=12, max_size=40).map(
    lambda text: f"\u20ac{text}\u20ac"
)


def shown(error: BaseException) -> str:
    """Everything that is printed of an error; what caused it is not, as that might hold what was given."""
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return repr(error) + str(error) + str(error.__dict__)


@given(secret=SECRETS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize(
    "template",
    [
        "[secrets.ike-x]\nsecret = {0}\nsecret_env = {0}",
        "[secrets.ike-x]\nsecret = [{0}]",
        "[secrets.ike-x]\nsecret = {{ value = {0} }}",
        "[secrets.ike-x]\nsecret_file = {0}",
        "[secrets.ike-x]\nsecret_env = {0}",
        "[secrets.ike-x]\n{0} = 1",
        "[secrets.ike-x]\nsekret = {0}",
        "[secrets]\nike-x = {0}",
        "secrets = {0}",
        "secrets = [{0}]",
        "[secrets.ike-x]\nsecret = {0}\n[daemon]\nport = 65536",
        "[secrets.ike-x]\nsecret = {0}\n[connections.a]",
        "[secrets.ike-x]\nsecret = {0}\nnonsense",
        "[secrets.ike-x]\nsecret = {0}x",
        "[secrets.xauth-x]\nsecret = {0}",
        "[connections.a]\nsecret = {0}",
    ],
)
def test_no_message_shows_a_secret(template: str, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(template.format(json.dumps(secret, ensure_ascii=False)))
    assert secret not in shown(caught.value)
    assert json.dumps(secret) not in shown(caught.value)


@given(digits=st.text("0123456789abcdef", min_size=16), prefix=st.sampled_from(["0x", "0s"]))
def test_no_message_shows_a_mistyped_secret(prefix: str, digits: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f'[secrets.ike-x]\nsecret = "{prefix}{digits}!"')
    assert digits not in shown(caught.value)


@pytest.mark.parametrize("character", ["\x01", "\x7f"])
def test_a_syntax_error_inside_a_secret_shows_nothing_of_it(character: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f'[secrets.ike-x]\nsecret = "s3cr3t{character}s3cr3t"')
    assert "s3cr3t" not in shown(caught.value)
    assert repr(character) not in str(caught.value)


def test_no_representation_shows_a_secret() -> None:
    config = parse(EXAMPLE)
    assert "s3cr3t" not in repr(config) + str(config)
