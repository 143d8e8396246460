"""A peer that answers otherwise: a response is held back, and comes with other payloads, properly sealed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ikepy.sa.api.effects import Effect
from ikepy.sa.message import fragments, protection
from ikepy.sa.state.ike_keys import ike_sa_keys
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.message import decode_message, decode_payloads
from ikepy.wire.payloads import Payload

from .network import DELAY, Network, deliver_all

Change = Callable[[Sequence[Payload]], Sequence[Payload]]


def answer_otherwise(net: Network, line: str, act: Callable[[], None], change: Change) -> list[Effect]:
    """Let a site `act`, and change what its peer answers on this line of the ladder.

    What the site does about the changed response is run, and returned.
    """
    held: list[bytes] = []

    def hold(sent: str, nth: int, data: bytes) -> list[float]:
        if sent != line or held:
            return [DELAY]
        held.append(data)
        return []

    net.script = hold
    act()
    net.run(10 * DELAY)
    net.script = deliver_all
    (data,) = held
    to = line[5]
    return net.inject(to, _owner(net, to, data).path, resealed(net, line, data, change))


def resealed(net: Network, line: str, data: bytes, change: Change) -> bytes:
    """A protected message with other payloads."""
    message = decode_message(data)
    receiver, sender = _owner(net, line[5], data), _owner(net, line[0], data)
    sk, plaintext = protection.unseal(data, message, receiver.keys.cipher_in)
    payloads = change(decode_payloads(sk.first, plaintext))
    random = sender.registry.entropy.random
    # The sender may have other keys by now (RFC 9370 2.2.2).
    keys = ike_sa_keys(receiver.keys.proposal, receiver.keys.schedule, initiator=sender.initiator)
    (changed,) = fragments.seal(message.header, payloads, keys.cipher_out, random, None)
    return changed


def _owner(net: Network, name: str, data: bytes) -> IkeSa:
    """The site's IKE_SA that a message belongs to."""
    return next(sa for sa in net.site(name).manager.ike_sas if (sa.spi_i, sa.spi_r) == (data[:8], data[8:16]))
