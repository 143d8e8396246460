"""Whose messages go before those of others: told by the header alone."""

from __future__ import annotations

from ikepy.sa.api.commands import Initiate, Rekey

from .network import DELAY, Network, assert_joined


def watch(net: Network) -> dict[str, bool]:
    """By ladder line, whether its receiver knew the sender when it was sent."""
    known: dict[str, bool] = {}

    def script(line: str, nth: int, data: bytes) -> list[float]:
        receiver = net.b if line.startswith("a") else net.a
        known[line] = receiver.manager.knows(data)
        return [DELAY]

    net.script = script
    return known


def test_who_is_known() -> None:
    """The responder knows nobody before IKE_AUTH is through, the initiator whom it shares keys with."""
    net = Network()
    known = watch(net)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert known == {
        "a -> b IKE_SA_INIT request 0": False,
        "b -> a IKE_SA_INIT response 0": False,
        "a -> b IKE_AUTH request 1": False,
        "b -> a IKE_AUTH response 1": True,
    }
    known.clear()
    for name in ("a", "b"):
        net.command(name, Rekey(ike="ab"))
        net.run(5)
    assert_joined(net)
    assert len(known) >= 8
    assert all(known.values()), known


def test_whoever_is_not_known() -> None:
    net = Network()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (sa,) = net.b.manager.ike_sas
    header = sa.spi_i + sa.spi_r + bytes.fromhex("2e202508 00000002 00000050")
    assert net.b.manager.knows(header)
    for other in (
        b"",
        header[:27],
        sa.spi_r + sa.spi_i + header[16:],  # the peer's SPI where ours has to stand
        sa.spi_i + bytes(8) + header[16:],
        header[:19] + bytes(1) + header[20:],  # as if we had begun
    ):
        assert not net.b.manager.knows(other)
