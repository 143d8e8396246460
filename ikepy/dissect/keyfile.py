"""ikepy's own file of keys: what Wireshark's tables have no place or no name for, a JSON object a line.

    {"secret": {"public_i": ..., "public_r": ..., "secret": ...}}       of one key exchange
    {"ike": {"spi_i": ..., "spi_r": ..., "encr": ..., "sk_ei": ..., ..., "prf": ..., "sk_d": ...}}
    {"esp": {"spi": ..., "encr": ..., "key": ..., "integ": ..., "integ_key": ..., "esn": ...}}

Octets are hexadecimal digits, algorithms are named as charon names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from ikepy.crypto.captured import ENCRYPTION, INTEGRITY
from ikepy.dissect import names
from ikepy.dissect.keys import EspKeys, IkeKeys, Keys
from ikepy.dissect.keytables import lines
from ikepy.errors import ConfigError

NAME = "ikepy_keys"
_MOST_MISTAKES = 20
_IKE_OCTETS = ("spi_i", "spi_r", "sk_ei", "sk_er", "sk_ai", "sk_ar", "sk_d", "sk_pi", "sk_pr")
_PRFS = {name: number for number, name in names.PRFS.items()}


def secret_line(public_i: bytes, public_r: bytes, secret: bytes) -> str:
    """What a key exchange gave, by its public values, the initiator's first."""
    octets = {"public_i": public_i, "public_r": public_r, "secret": secret}
    return _line("secret", {key: one.hex() for key, one in octets.items()})


def ike_line(keys: IkeKeys) -> str:
    """The keys of an IKE SA."""
    octets = {key: getattr(keys, key).hex() for key in _IKE_OCTETS}
    integrity = None if keys.integrity is None else keys.integrity.name
    algorithms = {"encr": keys.encryption.name, "integ": integrity, "prf": names.PRFS.get(keys.prf)}
    return _line("ike", {**algorithms, **octets})


def esp_line(keys: EspKeys) -> str:
    """The keys of an ESP SA."""
    return _line(
        "esp",
        {
            "spi": None if keys.spi is None else f"{keys.spi:08x}",
            "encr": keys.encryption.name,
            "key": keys.key.hex(),
            "integ": None if keys.integrity is None else keys.integrity.name,
            "integ_key": keys.integrity_key.hex(),
            "esn": keys.esn,
            "version": keys.version,
        },
    )


def lines_of(keys: Keys) -> Iterator[str]:
    """All that is known."""
    for (public_i, public_r), secret in keys.secrets.items():
        yield secret_line(public_i, public_r, secret)
    for of_ike in keys.ike.values():
        yield from map(ike_line, reversed(of_ike))
    for of_esp in keys.esp.values():
        yield from map(esp_line, reversed(of_esp))


def _line(kind: str, value: Mapping[str, object]) -> str:
    return json.dumps({kind: value})


def read(text: str, into: Keys, file: PurePath | str = NAME) -> None:
    """Add the keys of all lines. ConfigError names each line that is none."""
    mistakes: list[tuple[str, str]] = []
    for number, line in lines(text):
        if len(mistakes) == _MOST_MISTAKES:
            break
        try:
            _take(json.loads(line), into)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            mistakes.append(
                (f"line {number}", 'no keys: an object with "secret", "ike" or "esp" is expected')
            )
    if mistakes:
        raise ConfigError(str(file), mistakes)


def _take(line: Mapping[str, Mapping[str, str]], into: Keys) -> None:
    ((kind, value),) = line.items()
    match kind:
        case "secret":
            octets = (bytes.fromhex(value[key]) for key in ("public_i", "public_r", "secret"))
            into.add_secret(*octets)
        case "ike":
            into.add_ike(_ike(value))
        case "esp":
            into.add_esp(_esp(value))
        case _:
            raise ValueError(kind)


def _ike(value: Mapping[str, str]) -> IkeKeys:
    octets = {key: bytes.fromhex(value[key]) for key in _IKE_OCTETS}
    integrity = INTEGRITY[value["integ"]] if value["integ"] else None
    prf = _PRFS[value["prf"]] if value["prf"] else 0
    return IkeKeys(encryption=ENCRYPTION[value["encr"]], integrity=integrity, prf=prf, **octets)


def _esp(value: Mapping[str, str]) -> EspKeys:
    return EspKeys(
        None if value["spi"] is None else int(value["spi"], 16),
        ENCRYPTION[value["encr"]],
        bytes.fromhex(value["key"]),
        INTEGRITY[value["integ"]] if value["integ"] else None,
        bytes.fromhex(value["integ_key"]),
        version=6 if str(value["version"]) == "6" else 4,
        esn=bool(value["esn"]),
    )
