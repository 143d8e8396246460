"""Secret: what it shows, and all that it does not."""

import copy
import pickle

import pytest

from ikepy.crypto.key_schedule import IkeKeys
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse

KEY = b"\x13\x37" * 16


def test_exposes_its_bytes_only_on_demand() -> None:
    secret = Secret(KEY)
    assert secret.expose() == KEY
    assert len(secret) == 32
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r}"):
        assert text == "Secret(32 bytes)"


def test_is_independent_of_its_source() -> None:
    source = bytearray(KEY)
    secret = Secret(source)
    source[0] ^= 1
    assert secret.expose() == KEY
    assert Secret(memoryview(KEY)).expose() == KEY


def test_equality() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret(KEY[:-1] + b"\0")
    assert Secret(KEY) != Secret(KEY[:-1])
    assert Secret(KEY) != KEY


def test_is_not_hashable() -> None:
    with pytest.raises(TypeError):
        hash(Secret(KEY))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(KEY), protocol)


def test_is_not_copied() -> None:
    with pytest.raises(TypeError):
        copy.copy(Secret(KEY))
    with pytest.raises(TypeError):
        copy.deepcopy([Secret(KEY)])


def test_split_and_join() -> None:
    pieces = Secret(KEY).split(20, 0, 12)
    assert [piece.expose() for piece in pieces] == [KEY[:20], b"", KEY[20:]]
    assert Secret.join(*pieces) == Secret(KEY)
    assert Secret.join() == Secret(b"")


@pytest.mark.parametrize("sizes", [(31,), (33,), (), (33, -1)])
def test_split_must_take_everything(sizes: tuple[int, ...]) -> None:
    with pytest.raises(LocalMisuse) as caught:
        Secret(KEY).split(*sizes)
    assert KEY.hex() not in str(caught.value)


def test_wiped_secret_refuses() -> None:
    secret = Secret(KEY)
    secret.wipe()
    secret.wipe()
    assert repr(secret) == "Secret(32 bytes)"
    with pytest.raises(LocalMisuse):
        secret.expose()
    with pytest.raises(LocalMisuse):
        secret.split(16, 16)
    with pytest.raises(LocalMisuse):
        Secret.join(secret)


def test_a_dataclass_of_secrets_shows_none() -> None:
    keys = IkeKeys(*(Secret(bytes([65 + number]) * 32) for number in range(7)))
    assert "AAAA" not in repr(keys)
    with pytest.raises(TypeError):
        pickle.dumps(keys)
    keys.wipe()
    for secret in (keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er, keys.sk_pi, keys.sk_pr):
        with pytest.raises(LocalMisuse):
            secret.expose()
