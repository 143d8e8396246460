"""Authenticates by a public key: a certificate or a raw key, and a signature (RFC 7296 2.15, 3.6, RFC 7670).

Signing and verifying are jobs that may wait: for the process that has the private keys, for a CRL, for an
OCSP responder. A peer that is not known is verified like any other one, and refused then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from ikepy.config.auth_method import KeyRule, key_permitted, permitted
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.crypto import signatures
from ikepy.crypto.schemes import KeyFacts, KeyKind, Scheme
from ikepy.errors import PeerError
from ikepy.sa.api.ends import AuthenticationFault
from ikepy.sa.auth import announced, ppk, signed_auth, words
from ikepy.sa.auth.authenticator import Context, Done, Failed, More, Pending, Received, Step
from ikepy.sa.auth.credentials import (
    ChainLink,
    OwnCredential,
    Presented,
    Trusted,
    Untrusted,
    Verdict,
    no_responses,
)
from ikepy.sa.auth.signed_auth import Way, Wrong
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod, CertEncoding, HashAlgorithm
from ikepy.wire.payloads import AuthPayload, CertPayload, Payload

SECONDS = 0.005  # that a signature or a chain takes about; what it waits for is not counted
MOST_SHOWN = 32  # certificates of a peer that are looked at
OTHER_METHOD = 'it authenticates by {}, and auth = "{}" is configured for it'
WANTS_EAP = 'it wants EAP, and auth = "{}" is configured for it'
X509 = (CertEncoding.X509_SIGNATURE, CertEncoding.HASH_AND_URL_X509, CertEncoding.HASH_AND_URL_BUNDLE)
NOBODY = "no connection is for it"  # said of by the exchange, in its words


@dataclass(frozen=True, slots=True)
class PubkeyProver:
    """We sign, and show our certificates. `send_cert`: "always", "never", or "ifasked" by a CERTREQ.

    `replies`: an OCSP response goes with them if the peer asks for it and one is to be had (RFC 4806 4.2).
    """

    auth: AuthLocal
    send_cert: str = "ifasked"
    experimental: bool = False
    replies: bool = True

    def prove(self, context: Context, proven: Done | More | None) -> Step:
        return ppk.named(context, self._prove)

    def _prove(self, context: Context) -> Step:
        own = context.credentials.own(self.auth, context.local_id, context.peer.cas)
        if own is None:
            return Failed(words.no_certificate(context.local_id), AuthenticationFault.NO_CERTIFICATE)
        try:
            key = signatures.facts(own.public_key)
        except ValueError as error:
            return Failed(f"{own.name}: {error}", AuthenticationFault.NO_CERTIFICATE)
        rules = self.auth.auth.ike
        way = signed_auth.choose(key, context.peer, rules, experimental=self.experimental)
        if isinstance(way, str):
            return Failed(f"{own.name}: {way}", AuthenticationFault.NO_CERTIFICATE)
        shown = self._shown(own, context)
        stapled = own.ocsp if shown and self.replies and context.peer.ocsp else no_responses
        signs = context.credentials.sign(own.key_id, way.scheme, b"".join(context.octets.parts))

        def job() -> Step:
            try:
                auth = signed_auth.auth_payload(way, key, signs())
            except PeerError as error:
                return Failed(f"{own.name}: {error}", AuthenticationFault.NO_CERTIFICATE)
            responses = (CertPayload(CertEncoding.OCSP, one) for one in stapled())
            return Done((*shown, *responses, auth))

        return Pending(job, SECONDS, waits=True)

    def credential(self, context: Context) -> str:
        own = context.credentials.own(self.auth, context.local_id, context.peer.cas)
        return "" if own is None else own.name

    def _shown(self, own: OwnCredential, context: Context) -> tuple[Payload, ...]:
        if self.send_cert == "never" or (self.send_cert == "ifasked" and not context.peer.certificates):
            return ()
        if not own.certificates:
            return (CertPayload(CertEncoding.RAW_PUBLIC_KEY, own.public_key),)
        return tuple(CertPayload(CertEncoding.X509_SIGNATURE, one) for one in own.certificates)


@dataclass(frozen=True, slots=True)
class PubkeyVerifier:
    """The peer signs, by a key that its certificate, or our configuration, says to be its own.

    `ask_ocsp`: where certificates are asked for, so is an OCSP response (RFC 4806).
    """

    auth: AuthRemote
    send_certreq: bool = True
    experimental: bool = False
    mutual: bool = False
    ask_ocsp: bool = False

    def asks(self, context: Context) -> tuple[Payload, ...]:
        """CERTREQ, and what we verify if the peer knows such announcements."""
        methods = announced.methods_payload(self.accepts) if context.peer.methods else ()
        return (*self.certreqs(context), *methods)

    @property
    def accepts(self) -> tuple[Way, ...]:
        """The signatures that it verifies."""
        return signed_auth.verified(self.auth.auth.ike, experimental=self.experimental)

    def certreqs(self, context: Context) -> tuple[Payload, ...]:
        if not self.send_certreq:
            return ()
        cas = context.credentials.cas(self.auth)
        ocsp = (announced.ocsp_request(context.credentials.responders()),) if self.ask_ocsp and cas else ()
        return (
            *((announced.LOOK_UP,) if self.auth.hash_and_url and cas else ()),
            *announced.certreqs(cas, announced.MOST_IN_AUTH, raw_keys=bool(self.auth.pubkeys)),
            *ocsp,
        )

    def verify(self, context: Context, message: Received) -> Step:
        auth = query.maybe(message.payloads, AuthPayload)
        if auth is None:
            return Failed(WANTS_EAP.format(self.auth.auth), AuthenticationFault.METHOD)
        if auth.method not in signed_auth.METHODS:
            method = words.auth_method(auth.method)
            return Failed(OTHER_METHOD.format(method, self.auth.auth), AuthenticationFault.METHOD)
        shown = presented(message.payloads)
        proof = cache(partial(self._signed, auth, b"".join(message.octets.parts)))
        believes = context.credentials.verify(self.auth, message.remote_id, shown, partial(_doubt, proof))
        return Pending(partial(self._verify, believes, proof, auth, context.known), SECONDS, waits=True)

    def _signed(self, auth: AuthPayload, octets: bytes, public_key: bytes) -> Scheme | Wrong:
        rules = self.auth.auth.ike
        return signed_auth.check(auth, public_key, octets, rules, experimental=self.experimental)

    def _verify(
        self,
        believes: Callable[[], Verdict],
        proof: Callable[[bytes], Scheme | Wrong],
        auth: AuthPayload,
        known: bool,
    ) -> Step:
        """In a thread: did it sign, and is it the key of this peer?"""
        verdict = believes()
        if isinstance(verdict, Untrusted):
            fault = AuthenticationFault
            return Failed(verdict.why, fault.WRONG_SIGNATURE if verdict.unproven else fault.UNTRUSTED)
        weak = self._too_weak(verdict)
        if weak:
            return Failed(f"{verdict.name}: {weak}", AuthenticationFault.UNTRUSTED)
        found = proof(verdict.public_key)
        if isinstance(found, Wrong):
            return Failed(f"{verdict.name}: {found.why}", AuthenticationFault.WRONG_SIGNATURE)
        if not known:
            return Failed(NOBODY, AuthenticationFault.NO_CONNECTION)
        remark = f"authenticated by {verdict.name}, {found.value}"
        if auth.method == AuthMethod.RSA_SIGNATURE and found.hash is HashAlgorithm.SHA1:
            remark += ": SHA-1 is weak; let the peer use RFC 7427"
        remark = f"{remark}; {verdict.remark}" if verdict.remark else remark
        return Done(remark=remark, until=verdict.until)

    def _too_weak(self, verdict: Trusted) -> str:
        """What of the chain `auth` does not permit, "" if it permits all."""
        rules = self.auth.auth.chain
        for number, link in enumerate(verdict.chain):
            if not key_permitted(rules, link.key):
                which = "its" if number == 0 else "an issuer's"
                return f'auth = "{self.auth.auth}" does not permit {which} {link.key} key'
            issuers = verdict.chain[number + 1 :]
            signed_by = link.signed_by
            if signed_by is not None and not _signature_permitted(rules, signed_by, link, issuers):
                how = "a hash" if link.hash is None else link.hash.name
                return f'auth = "{self.auth.auth}" does not permit a certificate signed with {how}'
        return ""


def _doubt(proof: Callable[[bytes], Scheme | Wrong], public_key: bytes) -> str:
    found = proof(public_key)
    return found.why if isinstance(found, Wrong) else ""


def _signature_permitted(
    rules: tuple[KeyRule, ...], signed_by: KeyKind, link: ChainLink, issuers: Sequence[ChainLink]
) -> bool:
    """Whether the rules permit how a certificate was signed; without a link its issuer is the anchor."""
    key = issuers[0].key if issuers else KeyFacts(signed_by, signatures.MOST_RSA)
    return permitted(rules, key, link.hash, pss=link.pss)


def presented(payloads: Sequence[Payload]) -> Presented:
    """What a peer shows in its CERT payloads; more than MOST_SHOWN are not looked at."""
    shown = [one for one in payloads if isinstance(one, CertPayload)][:MOST_SHOWN]

    def of(encoding: CertEncoding) -> tuple[bytes, ...]:
        return tuple(one.data for one in shown if one.encoding == encoding)

    return Presented(
        of(CertEncoding.X509_SIGNATURE),
        of(CertEncoding.RAW_PUBLIC_KEY),
        of(CertEncoding.CRL),
        of(CertEncoding.OCSP),
        tuple(announced.hash_and_url(one) for one in of(CertEncoding.HASH_AND_URL_X509)),
        tuple(announced.hash_and_url(one) for one in of(CertEncoding.HASH_AND_URL_BUNDLE)),
        next((one.encoding for one in shown if one.encoding in X509), 0) == CertEncoding.HASH_AND_URL_X509,
    )
