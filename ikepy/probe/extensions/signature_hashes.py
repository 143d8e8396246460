"""IKEPY.7427: the hash algorithms of signatures, as IKE_SA_INIT announces them (RFC 7427 4, RFC 8247 3.2)."""

from __future__ import annotations

from ikepy.probe.extensions.common import GROUP, announced, seen
from ikepy.probe.peer import Peer
from ikepy.probe.registry import case
from ikepy.wire.constants import HashAlgorithm, NotifyType
from ikepy.wire.payloads import NotifyPayload

_HASHES = NotifyType.SIGNATURE_HASH_ALGORITHMS
_UNKNOWN = 0x1234


def _list(*hashes: int) -> NotifyPayload:
    return NotifyPayload(_HASHES, b"".join(one.to_bytes(2, "big") for one in hashes))


async def _theirs(peer: Peer, *ours: int) -> list[int]:
    """What the peer lists; NotApplicable if it lists nothing."""
    answer = await seen(peer, _list(*ours))
    data = announced(answer, _HASHES, "SIGNATURE_HASH_ALGORITHMS").data
    peer.check(data and len(data) % 2 == 0, "one or more numbers of two octets", data.hex())
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


@case("IKEPY.7427.1", rfc="RFC 7427 4", group=GROUP)
async def list_is_well_formed(peer: Peer) -> None:
    """SIGNATURE_HASH_ALGORITHMS is a list of numbers, each once."""
    found = await _theirs(peer, HashAlgorithm.SHA2_256, HashAlgorithm.SHA2_384, HashAlgorithm.SHA2_512)
    peer.check(len(set(found)) == len(found), "each number once", found)


@case("IKEPY.7427.2", rfc="RFC 8247 3.2", group=GROUP)
async def no_sha1(peer: Peer) -> None:
    """SHA-1 is not in the list."""
    found = await _theirs(peer, HashAlgorithm.SHA1, HashAlgorithm.SHA2_256)
    peer.check(HashAlgorithm.SHA1 not in found, "no SHA-1", found)


@case("IKEPY.7427.3", rfc="RFC 8247 3.2", group=GROUP)
async def sha256(peer: Peer) -> None:
    """SHA-256 is in the list."""
    found = await _theirs(peer, HashAlgorithm.SHA2_256)
    peer.check(HashAlgorithm.SHA2_256 in found, "SHA-256", found)


@case("IKEPY.7427.4", rfc="RFC 7427 4", group=GROUP)
async def unknown_hash(peer: Peer) -> None:
    """Unknown hash algorithms in our list are ignored."""
    answer = await seen(peer, _list(_UNKNOWN, HashAlgorithm.SHA2_256, 0xFFFF))
    peer.check(answer.error is None, "no error", answer)


@case("IKEPY.7427.5", rfc="RFC 7296 2.5, RFC 7427 4", level="SHOULD", group=GROUP)
async def long_list(peer: Peer) -> None:
    """A list of 200 hash algorithms is no reason to refuse an IKE_SA."""
    answer = await seen(peer, _list(*range(1, 201)))
    peer.check(answer.error is None, "no error", answer)
