"""Private keys in TOML and swanctl.conf: files, directories beside them, tokens, passwords, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.config.credentials.private_keys import kind_of
from ikepy.config.model import Config
from ikepy.config.sources import recognise
from ikepy.config.toml_source import Reading, read_text
from ikepy.errors import ConfigError

PRIVATE = 0o600


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("gw.pem", "private/moon.pem", "private/sun.pem", "rsa/old.der", "pkcs12/user.p12"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch(PRIVATE)
    return tmp_path


def toml(directory: Path, text: str) -> Reading:
    return read_text(text, str(directory / "ikepy.toml"))


def mistake(directory: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        toml(directory, text)
    return str(raised.value)


def paths(config: Config, directory: Path) -> dict[str, str]:
    return {name: str(one.path.relative_to(directory)) for name, one in config.private_keys.items()}


@pytest.mark.parametrize(
    ("name", "kind"), [("private", "private"), ("pkcs12-a", "pkcs12"), ("pkcs8x", "pkcs8"), ("ike-rsa", None)]
)
def test_the_name_says_the_kind(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_toml(directory: Path) -> None:
    found = toml(
        directory,
        """
        [secrets.private-gw]
        file = "gw.pem"
        [secrets.private-moon]
        file = "moon.pem"
        secret = "open sesame"
        [secrets.token-hsm]
        handle = "0xA1:B2"
        module = "/usr/lib/softhsm/libsofthsm2.so"
        slot = 3
        pin = "1234"
        """,
    )
    config = found.config
    assert paths(config, directory) == {"private-gw": "gw.pem", "private-moon": "private/moon.pem"}
    moon, token = config.private_keys["private-moon"], config.tokens["token-hsm"]
    assert moon.password is not None and moon.password.expose() == b"open sesame"
    assert config.private_keys["private-gw"].password is None
    assert (token.handle, token.slot, str(token.module)) == ("a1b2", 3, "/usr/lib/softhsm/libsofthsm2.so")
    assert token.pin is not None and token.pin.expose() == b"1234"
    assert not config.secrets and "sesame" not in repr(config) and "1234" not in repr(config)


def test_swanctl_conf_and_its_directories(directory: Path) -> None:
    path = directory / "swanctl.conf"
    path.write_text(
        """
        secrets {
            private-moon {
                file = moon.pem
                secret = "open sesame"
            }
            token1 {
                handle = 01
                module = /usr/lib/softhsm/libsofthsm2.so
                pin = 1234
            }
        }
        """
    )
    path.chmod(PRIVATE)
    config = recognise.read(path).config
    assert paths(config, directory) == {
        "private-moon": "private/moon.pem",
        "private/sun.pem": "private/sun.pem",
        "rsa/old.der": "rsa/old.der",
        "pkcs12/user.p12": "pkcs12/user.p12",
    }
    assert config.private_keys["private-moon"].password is not None
    assert config.private_keys["private/sun.pem"].password is None
    assert config.tokens["token1"].handle == "01"


def test_directories_beside_toml(directory: Path) -> None:
    path = directory / "ikepy.toml"
    path.write_text('[secrets.private-x]\nfile = "private/sun.pem"\n')
    assert set(recognise.read(path).config.private_keys) == {
        *("private-x", "private/moon.pem", "rsa/old.der", "pkcs12/user.p12"),
    }


def test_a_file_that_others_may_read_is_warned_of(directory: Path) -> None:
    (directory / "gw.pem").chmod(0o644)
    ((key, text),) = toml(directory, '[secrets.private-gw]\nfile = "gw.pem"\n').remarks
    assert key == "secrets.private-gw.file" and "user" in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '[secrets.private-a]\nfile = "absent.pem"',
            "/private, ",
        ),
        ('[secrets.private-a]\nfile = "private"', "secrets.private-a.file: this file can't be read: Is a"),
        ("[secrets.private-a]\nfile = 3", "secrets.private-a.file: must be text"),
        ("[secrets.private-a]", "secrets.private-a.file: is missing"),
        ('[secrets.private-a]\nfile = "gw.pem"\nids = ["a"]', "unknown key"),
        ('[secrets.private-a]\nfile = "gw.pem"\nsecret = "a"\nsecret_env = "IKEPY_T"', "most one of secret"),
        ('[secrets.token-a]\nhandle = "xy"\nmodule = "/a.so"', "secrets.token-a.handle: no key's ID"),
        ('[secrets.token-a]\nhandle = "01"\nmodule = "a.so"', "secrets.token-a.module: allowed: an absolute"),
        ('[secrets.token-a]\nhandle = "01"\nmodule = "/a"\nslot = -1', "secrets.token-a.slot"),
    ],
)
def test_mistakes(directory: Path, text: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKEPY_T", "b")  # one that is read is wiped when a daemon starts
    assert why in mistake(directory, text)


@pytest.mark.parametrize("text", ["-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ", "MC4CAQAwBQ", "MC4C\nAQAwBQ"])
@pytest.mark.parametrize("name", ["private-gw", "rsa-gw", "pkcs8-gw", "pkcs12-gw"])
def test_a_key_in_the_place_of_its_file_is_not_repeated(directory: Path, name: str, text: str) -> None:
    told = mistake(directory, f'[secrets.{name}]\nfile = """{text}"""')
    assert f"secrets.{name}.file" in told
    assert "MC4C" not in told
