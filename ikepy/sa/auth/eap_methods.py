"""Puts EAP methods together for a connection: who may answer, with which passwords and certificates.

The libraries of methods are loaded only where a connection has them: they are the extra `eap`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.eap.passwords import Password
from ikepy.eap.peer import Peer, PeerMethod
from ikepy.eap.server import Server, ServerMethod
from ikepy.eap.turns import Turn
from ikepy.errors import ConfigError
from ikepy.sa.auth import words
from ikepy.sa.auth.authenticator import Context
from ikepy.sa.auth.credentials import Credentials, OwnCredential

if TYPE_CHECKING:  # of libraries that are an extra
    from ikepy.crypto.tls import TlsCredential
    from ikepy.eap.methods.tls import CredentialOf

ANY = ("eap", "eap-dynamic")
# In the order in which a server proposes them, and a peer asks for them.
PREFERRED = ("eap-tls", "eap-mschapv2", "eap-md5")
NO_RELAY = "auth = 'eap-radius', and no RADIUS server is configured: [radius.servers.NAME]"
WEAK = "EAP alone takes a method by which both ends prove themselves (RFC 5998 4), and {} is none"
NO_KEY = "EAP-TLS: no certificate is for our identity"

Begin = Callable[[str, int], Turn]  # the user, and the identifier of the first request


@dataclass(frozen=True, slots=True)
class Effort:
    """What a turn costs: about so many seconds, of the CPU or, if `waits`, of the network. 0: nothing."""

    seconds: float
    waits: bool = False


def effort(auth: str) -> Effort:
    if auth == "eap-radius":
        return Effort(0.05, waits=True)
    return Effort(0.0) if auth in ("eap-md5", "eap-mschapv2") else Effort(0.005)


def server(auth: AuthRemote, local: AuthLocal, context: Context) -> Begin | str:
    """How the authenticator begins; or why it can't, for the log."""
    if auth.eap == "eap-radius":
        return NO_RELAY if context.relay is None else context.relay
    words_of = PREFERRED if auth.eap in ANY else (auth.eap,)
    methods = tuple(one for word in words_of if (one := _server(word, local, context)) is not None)
    return Server(methods).begin if methods else NO_KEY


def _server(word: str, local: AuthLocal, context: Context) -> ServerMethod | None:
    from ikepy.eap.methods.md5 import Md5Server
    from ikepy.eap.methods.mschapv2 import Mschapv2Server

    match word:
        case "eap-md5":
            return Md5Server(partial(_password, context), context.random)
        case "eap-mschapv2":
            return Mschapv2Server(partial(_password, context), context.random)
    return _tls_server(local, context)


def _tls_server(local: AuthLocal, context: Context) -> ServerMethod | None:
    from ikepy.eap.methods.tls import TlsServer

    own = _own(local, context.local_id, context)
    return None if own is None else TlsServer(own)


def _password(context: Context, user: str) -> Password | None:
    """The password of a user; nobody's for a peer that no connection is for."""
    found = context.secrets.user(user)
    return found if context.known else None


# -- as initiator ----------------------------------------------------------------------------------


def own_user(auth: AuthLocal, context: Context) -> str:
    """The EAP identity that we answer with."""
    return auth.eap_id or str(context.local_id)


def peer(auth: AuthLocal, context: Context, mutual: Collection[int] | None = None) -> Peer | str:
    """The peer's end; or why there is none, for the log. `mutual`: the only types that may be, as nothing but
    EAP authenticates the responder: with others anybody would get an answer to try passwords on."""
    user = own_user(auth, context)
    wanted = PREFERRED if auth.eap in (*ANY, "eap-radius") else (auth.eap,)
    methods = tuple(one for word in wanted if (one := _peer(word, user, auth, context)) is not None)
    if methods and mutual is not None:
        methods = tuple(one for one in methods if one.type in mutual)
        if not methods:
            return WEAK.format(auth.auth)
    if methods:
        return Peer(user, methods)
    if auth.eap == "eap-tls":
        return NO_KEY
    return f"no password is configured for {words.user(user)}: add [secrets.eap-NAME] with ids and secret"


def _peer(word: str, user: str, auth: AuthLocal, context: Context) -> PeerMethod | None:
    from ikepy.eap.methods.md5 import Md5Peer
    from ikepy.eap.methods.mschapv2 import Mschapv2Peer

    if word == "eap-tls":
        return _tls_peer(user, auth, context)
    password = context.secrets.user(user)
    if password is None or (word == "eap-md5" and password.hashed):
        return None
    return Md5Peer(password, user) if word == "eap-md5" else Mschapv2Peer(password, user, context.random)


def _tls_peer(user: str, auth: AuthLocal, context: Context) -> PeerMethod | None:
    from ikepy.eap.methods.tls import TlsPeer

    own = _own(auth, Identity.of_user(user) or context.local_id, context)
    return None if own is None else TlsPeer(own)


def _own(auth: AuthLocal, identity: Identity, context: Context) -> CredentialOf | None:
    """Our certificate with its private key, which OpenSSL has to hold itself; None without a certificate."""
    own = context.credentials.own(auth, identity, ())
    if own is None or not own.certificates:
        return None
    return partial(_with_key, context.credentials, own)


def _with_key(credentials: Credentials, own: OwnCredential) -> TlsCredential:
    from ikepy.crypto.tls import TlsCredential

    key = credentials.private_key(own.key_id)
    if key is None:
        raise ConfigError("EAP-TLS", [("", f"the private key of {own.name} is not in a file of ours")])
    return TlsCredential(own.certificates, key)
