"""What a machine tells of its keys: both ends tell the same, and all that protects a message."""

from __future__ import annotations

import pytest

from ikepy.crypto.key_schedule import KeySchedule
from ikepy.crypto.secret import Secret
from ikepy.sa.api.commands import Initiate, Rekey

from .network import Network, Options, assert_joined
from .test_established import ike_sa
from .test_ppk import GOOD, KEM


class Told:
    """A key log that keeps what it is told."""

    def __init__(self) -> None:
        self.secrets: list[tuple[bytes, bytes, bytes]] = []
        self.keys: list[tuple[bytes, bytes, tuple[bytes, ...]]] = []

    def shared_secret(self, public_i: bytes, public_r: bytes, secret: Secret) -> None:
        self.secrets.append((public_i, public_r, secret.expose()))

    def ike_keys(self, spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> None:
        self.keys.append((spi_i, spi_r, tuple(one.expose() for one in _secrets(schedule))))


def _secrets(schedule: KeySchedule) -> list[Secret]:
    keys = schedule.keys
    return [keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er, keys.sk_pi, keys.sk_pr]


PPK = Options(proposals=KEM, more=GOOD, connection='ppk_id = "ppk1"\n')


@pytest.mark.parametrize(
    ("options", "exchanges", "sets"),
    [(Options(), 1, 1), (Options(proposals=KEM), 3, 3), (PPK, 3, 3)],
    ids=["plain", "additional key exchanges", "a PPK"],
)
def test_both_ends_tell_the_same(options: Options, exchanges: int, sets: int) -> None:
    a, b = Told(), Told()
    net = Network(options, key_logs=(a, b))
    net.command("a", Initiate("ab", "net"))
    net.run()
    assert_joined(net)
    assert a.secrets == b.secrets and len(a.secrets) == exchanges
    assert a.keys == b.keys and len(a.keys) == sets
    assert len(set(a.keys)) == sets
    spi_i, spi_r, last = a.keys[-1]
    sa = ike_sa(net, "a")
    assert (spi_i, spi_r) == (sa.spi_i, sa.spi_r)
    assert last == tuple(one.expose() for one in _secrets(sa.keys.schedule))


def test_rekeys_are_told() -> None:
    a, b = Told(), Told()
    net = Network(Options(esp_proposals='["aes128gcm16-x25519"]'), key_logs=(a, b))
    net.command("a", Initiate("ab", "net"))
    net.run()
    net.command("b", Rekey(ike="ab"))
    net.run()
    net.command("a", Rekey(child="net"))
    net.run(60)  # the old child is removed a while after its delete
    assert_joined(net)
    assert len(a.secrets) == 3 and sorted(a.secrets) == sorted(b.secrets)
    assert [one[:2] for one in a.keys] == [one[:2] for one in b.keys]
    assert len({one[:2] for one in a.keys}) == 2
