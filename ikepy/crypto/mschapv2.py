"""MS-CHAPv2: hashes, response and keys (RFC 2759 8, RFC 3079 3).

MD4 and DES are what the protocol is made of, broken as they are; neither protects anything by itself here,
as RFC 7296 2.16 has the responder authenticate itself first. They come from pycryptodome: OpenSSL 3 has
both in a provider only that is not loaded by default.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from ikepy.crypto.secret import Secret

if TYPE_CHECKING:
    from Crypto.Hash.MD4 import MD4Hash

CHALLENGE = 16  # octets, of either end
NT_RESPONSE = 24  # octets
NT_HASH = 16  # octets
MSK = 64  # octets (RFC 5247 1.4)

_MAGIC_SERVER = b"Magic server to client signing constant"
_MAGIC_PAD = b"Pad to make it do more than one iteration"
_MASTER = b"This is the MPPE Master Key"
_CLIENT_SENDS = b"On the client side, this is the send key; on the server side, it is the receive key."
_SERVER_SENDS = b"On the client side, this is the receive key; on the server side, it is the send key."
_PAD_1, _PAD_2 = bytes(40), b"\xf2" * 40


def nt_hash(password: Secret) -> Secret:
    """NtPasswordHash: MD4 of the password in UTF-16 (RFC 2759 8.3). A password that is no UTF-8 is taken as
    Latin-1."""
    octets = password.expose()
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    return Secret(_md4(text.encode("utf-16-le")).digest())


def challenge_hash(peer_challenge: bytes, authenticator_challenge: bytes, name: bytes) -> bytes:
    """ChallengeHash, 8 octets (8.2). `name`: the user's, without the domain before a backslash."""
    return sha1(peer_challenge + authenticator_challenge + name).digest()[:8]


def nt_response(hash: Secret, challenge: bytes) -> bytes:
    """ChallengeResponse: DES of an 8-octet challenge by three keys of the NT hash, 24 octets (8.5)."""
    from Crypto.Cipher import DES

    key = hash.expose() + bytes(5)
    parts = (_with_parity(key[start : start + 7]) for start in (0, 7, 14))
    return b"".join(DES.new(part, DES.MODE_ECB).encrypt(challenge) for part in parts)


def authenticator_response(hash: Secret, response: bytes, challenge: bytes) -> bytes:
    """GenerateAuthenticatorResponse: 20 octets, which prove that the server knows the hash too (8.7)."""
    first = sha1(_md4(hash.expose()).digest() + response + _MAGIC_SERVER).digest()
    return sha1(first + challenge + _MAGIC_PAD).digest()


def msk(hash: Secret, response: bytes) -> Secret:
    """MSK, 64 octets: the server's receive key, its send key (RFC 3079 3.3), and zeros."""
    master = sha1(_md4(hash.expose()).digest() + response + _MASTER).digest()[:16]
    keys = (sha1(master + _PAD_1 + magic + _PAD_2).digest()[:16] for magic in (_CLIENT_SENDS, _SERVER_SENDS))
    return Secret(b"".join(keys).ljust(MSK, b"\0"))


def _md4(octets: bytes) -> MD4Hash:
    from Crypto.Hash import MD4

    return MD4.new(octets)


def _with_parity(key: bytes) -> bytes:
    """Seven octets as the eight of a DES key, whose lowest bits are parity and unused (8.6)."""
    number = int.from_bytes(key, "big")
    return bytes(((number >> shift) & 0x7F) << 1 for shift in range(49, -1, -7))
