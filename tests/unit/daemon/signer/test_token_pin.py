"""How often a PIN is tried: tokens count those that are wrong. Not with SoftHSM, which does not count."""

from __future__ import annotations

import pytest
from pkcs11 import Attribute, ObjectClass, TokenFlag
from pkcs11.exceptions import DeviceRemoved, PinIncorrect, SessionHandleInvalid

from ikepy.crypto.schemes import Scheme
from ikepy.daemon.signer.token import open_key
from tests.pki import chain

PIN = "6741"


class FakeToken:
    """A token with one key, as python-pkcs11 shows it. `pin`: the right one; `tries`: all that were tried."""

    slot_id = 0
    flags = TokenFlag.TOKEN_INITIALIZED

    def __init__(self) -> None:
        self.pin, self.tries, self.lost = PIN, list[str | None](), False

    def get_slots(self, *, token_present: bool) -> list[FakeToken]:
        return [self]

    def get_token(self) -> FakeToken:
        return self

    def open(self, user_pin: str | None = None) -> FakeToken:
        self.tries.append(user_pin)
        if (user_pin or "") != self.pin:
            raise PinIncorrect
        self.lost = False
        return self

    def close(self) -> None:
        raise SessionHandleInvalid

    def get_objects(self, wanted: dict[Attribute, object]) -> list[FakeToken]:
        return [] if wanted[Attribute.CLASS] is ObjectClass.PUBLIC_KEY else [self]

    def __getitem__(self, wanted: Attribute) -> bytes:
        return chain("ed25519").moon.der

    def sign(self, octets: bytes, *, mechanism: object) -> bytes:
        if self.lost:
            raise DeviceRemoved
        return octets


def test_a_pin_that_is_wrong_by_now_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers cause signatures, and a token is locked by the third wrong PIN or so."""
    fake = FakeToken()
    monkeypatch.setattr("pkcs11.lib", lambda module: fake)
    key = open_key("fake.so", None, "01", PIN.encode())
    fake.lost = True
    assert key.sign(Scheme.ED25519, b"a") == b"a"
    fake.pin, fake.lost = "8888", True
    for _ in range(5):
        with pytest.raises(ValueError, match="the token does not sign: the PIN is wrong"):
            key.sign(Scheme.ED25519, b"a")
    assert fake.tries == [PIN] * 3
    with pytest.raises(ValueError, match=r"fake\.so: the PIN is wrong"):
        open_key("fake.so", None, "01", PIN.encode())
    assert open_key("fake.so", None, "01", b"8888").sign(Scheme.ED25519, b"b") == b"b"


def test_a_key_that_needs_no_pin_beside_one_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeToken()
    fake.pin = ""
    monkeypatch.setattr("pkcs11.lib", lambda module: fake)
    without = open_key("other.so", None, "01", b"")
    fake.pin = PIN
    assert open_key("other.so", None, "01", PIN.encode()).sign(Scheme.ED25519, b"a") == b"a"
    assert without.sign(Scheme.ED25519, b"b") == b"b"
    assert fake.tries == [None, PIN]
