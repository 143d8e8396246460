"""Both ends of an EAP conversation in one room: each packet goes to the other end at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ikepy.crypto.secret import Secret
from ikepy.crypto.tls import TlsCredential
from ikepy.eap.methods.md5 import Md5Peer, Md5Server
from ikepy.eap.methods.mschapv2 import Mschapv2Peer, Mschapv2Server
from ikepy.eap.methods.tls import TlsPeer, TlsServer
from ikepy.eap.packet import Packet
from ikepy.eap.passwords import Password
from ikepy.eap.peer import Peer
from ikepy.eap.server import Server
from ikepy.eap.turns import Accepted, Refused, Say, Trust, Turn
from tests import pki

USER = "alice@example.org"
MOST = 200  # packets


def counting() -> Callable[[int], bytes]:
    """Octets that differ from call to call."""
    calls = iter(range(1, 1000))
    return lambda size: bytes([next(calls) % 256]) * size


def passwords(**known: str) -> Callable[[str], Password | None]:
    table = {f"{name}@example.org": Password(Secret(text.encode())) for name, text in known.items()}
    return table.get


ALICE = passwords(alice="open sesame")


def mschapv2_server(password: Callable[[str], Password | None] = ALICE) -> Server:
    return Server((Mschapv2Server(password, counting()),))


def mschapv2_peer(text: str = "open sesame", user: str = USER) -> Peer:
    return Peer(user, (Mschapv2Peer(Password(Secret(text.encode())), user, counting()),))


def md5_server(password: Callable[[str], Password | None] = ALICE) -> Server:
    return Server((Md5Server(password, counting()),))


def md5_peer(text: str = "open sesame", user: str = USER) -> Peer:
    return Peer(user, (Md5Peer(Password(Secret(text.encode())), user),))


def credential(entity: pki.Entity) -> TlsCredential:
    return TlsCredential(entity.chain, Secret(entity.pkcs8))


def tls_server(entity: pki.Entity) -> Server:
    return Server((TlsServer(lambda: credential(entity)),))


def tls_peer(entity: pki.Entity) -> Peer:
    return Peer(USER, (TlsPeer(lambda: credential(entity)),))


@dataclass
class Talk:
    """What was said, and how both ends came out of it. `peer` None: it has not come to an end."""

    packets: list[bytes] = field(default_factory=list)
    trusts: list[Trust[Turn]] = field(default_factory=list)
    server: Accepted | Refused | None = None
    peer: Accepted | Refused | None = None

    @property
    def msks(self) -> list[bytes]:
        return [one.msk.expose() for one in (self.server, self.peer) if isinstance(one, Accepted) and one.msk]

    @property
    def said(self) -> list[Packet]:
        return [Packet.decode(one) for one in self.packets]


def talk(
    begun: Turn,
    peer: Peer,
    *,
    verdict: Callable[[Trust[Turn]], str | None] = lambda trust: None,
    twice: bool = False,
) -> Talk:
    """Until one end comes to an end. `twice`: each packet is handled twice, and only the second turn
    counts.
    """
    done = Talk()

    def settled(turn: Turn) -> Turn:
        while isinstance(turn, Trust):
            done.trusts.append(turn)
            turn = turn.then(verdict(turn))
        return turn

    def take(following: Callable[[bytes], Turn], octets: bytes) -> Turn:
        if twice:
            settled(following(octets))
        return settled(following(octets))

    turn = settled(begun)
    following: Callable[[bytes], Turn] = peer.receive
    while isinstance(turn, Say) and len(done.packets) < MOST:
        done.packets.append(turn.octets)
        answer = take(following, turn.octets)
        if not isinstance(answer, Say):
            assert not isinstance(answer, Trust)
            done.peer = answer
            return done
        done.packets.append(answer.octets)
        following = answer.following
        turn = take(turn.following, answer.octets)
    assert isinstance(turn, Accepted | Refused)
    done.server = turn
    done.packets.append(turn.octets)
    last = take(following, turn.octets)
    assert isinstance(last, Accepted | Refused)
    done.peer = last
    return done
