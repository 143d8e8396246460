"""Selects the authentication of a connection: a method for each side and round."""

from __future__ import annotations

from typing import TypeVar

from ikepy.config.model import AuthLocal, AuthRemote, Connection
from ikepy.sa.auth.authenticator import Authenticator, Prover, Verifier
from ikepy.sa.auth.eap import EapProver, EapVerifier
from ikepy.sa.auth.psk import PskProver, PskVerifier
from ikepy.sa.auth.pubkey import PubkeyProver, PubkeyVerifier
from ikepy.sa.auth.rounds import LocalRound, RemoteRound, Rounds


def authenticator_of(connection: Connection) -> Authenticator:
    """The authentication of `connection`."""
    ours, theirs = connection.locals, connection.remotes
    return Rounds(
        tuple(
            LocalRound(one, _prover(connection, one, _beside(theirs, number)))
            for number, one in enumerate(ours)
        ),
        tuple(
            RemoteRound(one, _verifier(connection, one, _beside(ours, number)))
            for number, one in enumerate(theirs)
        ),
    )


def _prover(connection: Connection, auth: AuthLocal, remote: AuthRemote) -> Prover:
    if auth.eap:
        return EapProver(auth, remote)
    if auth.auth.kind == "pubkey":
        replies = connection.replies_ocsp
        return PubkeyProver(auth, connection.send_cert, connection.experimental_mldsa, replies)
    return PskProver()


def _verifier(connection: Connection, auth: AuthRemote, local: AuthLocal) -> Verifier:
    if auth.eap:
        return EapVerifier(auth, local)
    if auth.auth.kind == "pubkey":
        return PubkeyVerifier(
            auth, connection.send_certreq, connection.experimental_mldsa, ask_ocsp=connection.asks_ocsp
        )
    return PskVerifier()


Side = TypeVar("Side", AuthLocal, AuthRemote)


def _beside(other: tuple[Side, ...], number: int) -> Side:
    """The other end's method in a round; in one that it has no part in, that of the first."""
    return other[number] if number < len(other) else other[0]
