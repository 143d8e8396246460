"""Impairments of single ESP packets, in the processes that make them (RFC 4303 2.2 to 2.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from esp.packet.headers import Buffer
from esp.sa.ciphers import AeadContext
from esp.sa.outbound import OutboundSa
from ikepy.impair.impairment import Impairment, Number, Stages

PAD_LENGTH, NEXT_HEADER = -2, -1  # where they stand in the plaintext

Change = Callable[[OutboundSa, memoryview], None]


def before_each(sa: OutboundSa, change: Callable[[memoryview], None]) -> None:
    """Change the plaintext of each packet, trailer and all, before it is encrypted."""
    spi_salt, encrypt_into, esn = sa.aead

    def encrypt(nonce: Buffer, plaintext: memoryview, aad: Buffer, output: memoryview) -> object:
        change(plaintext)
        return encrypt_into(nonce, plaintext, aad, output)

    sa.aead = AeadContext(spi_salt, encrypt, esn)


def after_each(sa: OutboundSa, change: Callable[[memoryview], None]) -> None:
    """Change the ciphertext of each packet, with its ICV."""
    spi_salt, encrypt_into, esn = sa.aead

    def encrypt(nonce: Buffer, plaintext: memoryview, aad: Buffer, output: memoryview) -> object:
        done = encrypt_into(nonce, plaintext, aad, output)
        change(output)
        return done

    sa.aead = AeadContext(spi_salt, encrypt, esn)


def _set(at: int, value: int) -> Callable[[memoryview], None]:
    def change(octets: memoryview) -> None:
        octets[at] = value

    return change


def _flip(at: int) -> Callable[[memoryview], None]:
    def change(octets: memoryview) -> None:
        octets[at] ^= 0x01

    return change


def repeat_sequence(sa: OutboundSa) -> None:
    """Each packet takes the number of the first one: the peer takes all others for replays. For an AEAD that
    is the end of all secrecy, as nonces repeat."""

    def back(octets: memoryview) -> None:
        sa.sequence -= 1

    after_each(sa, back)


IMPAIRMENTS = (
    Impairment(
        "esp-bad-icv",
        "sends ESP with a wrong checksum",
        "RFC 4303 2.8",
        lambda _: Stages(packets=lambda sa: after_each(sa, _flip(-1))),
    ),
    Impairment(
        "esp-next-header",
        "names another protocol inside ESP packets than they hold",
        "RFC 4303 2.6",
        lambda number: Stages(packets=lambda sa: before_each(sa, _set(NEXT_HEADER, number))),
        Number(0, 255, "the IP protocol", 89),
    ),
    Impairment(
        "esp-pad-length",
        "sends ESP packets with a pad length that is larger than their padding",
        "RFC 4303 2.5",
        lambda number: Stages(packets=lambda sa: before_each(sa, _set(PAD_LENGTH, number))),
        Number(16, 255, "octets", 255),
    ),
    Impairment(
        "esp-repeat-sequence",
        "gives all packets of an SA the same sequence number",
        "RFC 4303 2.2",
        lambda _: Stages(packets=repeat_sequence),
    ),
)
STAGES = {one.name: one for one in IMPAIRMENTS}


def outbound_sa(texts: Sequence[str]) -> Callable[..., OutboundSa]:
    """What makes outbound SAs under impairments, given as NAME or NAME=VALUE; others than these do nothing.

    Raises ValueError if a value is not allowed.
    """
    changes = []
    for text in texts:
        name, given, value = text.partition("=")
        found = STAGES.get(name)
        if found is not None:
            stages = found.make(found.value.parse(value if given else None))
            changes += [stages.packets] if stages.packets is not None else []

    def make(*arguments: object, **keywords: object) -> OutboundSa:
        sa = OutboundSa(*arguments, **keywords)  # type: ignore[arg-type]
        for change in changes:
            change(sa)
        return sa

    return make
