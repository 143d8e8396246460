"""Key exchanges of an IKE_SA (RFC 7296 2.12, 2.14), each step as a job that may be computed elsewhere."""

from __future__ import annotations

from functools import partial

from ikepy.crypto import kex
from ikepy.crypto.kex import KeyExchange
from ikepy.crypto.secret import Secret
from ikepy.sa.state.ike_sa import IkeSa


def begin(sa: IkeSa, group: int) -> KeyExchange:
    """A fresh key pair for a request of ours. May raise Wanted."""
    random = sa.registry.entropy.random
    return sa.jobs.current.result(
        ("key pair", group), kex.seconds(group) / 2, lambda: kex.generation(group, random)
    )


def finish(sa: IkeSa, own: KeyExchange, public: bytes) -> Secret:
    """g^ir, of the peer's public value in its response. PeerError as `kex.check_public`; may raise Wanted."""
    kex.check_public(own.group, public)
    name = "g^ir", own.group, public
    return sa.jobs.current.result(name, kex.seconds(own.group) / 2, lambda: partial(own.shared, public))


def answer(sa: IkeSa, group: int, public: bytes) -> tuple[bytes, Secret]:
    """Our public value and g^ir, for a request. PeerError as `kex.check_public`; may raise Wanted."""
    kex.check_public(group, public)
    name = "key exchange", group, public

    def prepare() -> partial[tuple[bytes, Secret]]:
        return partial(_both_steps, kex.generation(group, sa.registry.entropy.random), public)

    return sa.jobs.current.result(name, kex.seconds(group), prepare)


def _both_steps(generate: kex.Generate, public: bytes) -> tuple[bytes, Secret]:
    own = generate()
    return own.public, own.shared(public)
