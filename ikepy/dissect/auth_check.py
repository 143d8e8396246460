"""Verifies AUTH as an onlooker: by preshared keys, certificates that came with it, and tickets' keys.

RFC 7296 2.15 and 2.16, RFC 7427 3, RFC 5723 4.3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ikepy.crypto.algorithms import PRF
from ikepy.crypto.schemes import Scheme
from ikepy.dissect import derivation, signature
from ikepy.dissect.derivation import Covered
from ikepy.dissect.keys import Keys
from ikepy.dissect.seen import Seen
from ikepy.dissect.words import certificate, public_key
from ikepy.sa.auth.signed_auth import METHODS
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import AuthPayload

MAX_PSKS = 64


@dataclass(frozen=True, slots=True)
class Conclusions:
    """What one message showed."""

    findings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


NOTHING = Conclusions()


class AuthCheck:
    """Judges proofs by what `keys` has at the moment, and by these preshared keys."""

    def __init__(self, keys: Keys, psks: Sequence[bytes]) -> None:
        self._keys = keys
        self._psks = psks[:MAX_PSKS]

    def judge(self, seen: Seen, proof: AuthPayload, initiator: bool) -> Conclusions:
        """What an AUTH payload of this end proves; nothing where it can't be told."""
        if proof.method in METHODS:
            return self._verify_signature(seen, proof, initiator) if initiator in seen.certs else NOTHING
        if proof.method != AuthMethod.SHARED_KEY_MIC:
            return NOTHING
        asked = self._psks or seen.resumed or seen.eap
        return self._verify(seen, proof.data, initiator) if asked else NOTHING

    def _verify(self, seen: Seen, proof: bytes, initiator: bool) -> Conclusions:
        name = who(initiator)
        covered = self._covered(seen, initiator)
        if isinstance(covered, Conclusions):
            return covered
        for one in covered:
            if seen.resumed and derivation.resumption_auth(one) == proof:
                return Conclusions((f"AUTH of the {name} is right: by the ticket's keys",))
            # After EAP that makes no key, SK_p is the key (RFC 7296 2.16).
            keys = [(psk, "the preshared key that was given") for psk in self._psks]
            for key, what in [*keys, *([(one.sk_p, "SK_p, as EAP made no key")] if seen.eap else [])]:
                steps = derivation.auth(key, one, initiator=initiator)
                if steps[-1].output == proof:
                    seen.add_steps(steps)
                    return Conclusions((f"AUTH of the {name} is right: by {what}",))
        if seen.eap or not self._psks:
            return NOTHING  # its key is the method's
        text = f"AUTH of the {name} was not made with the preshared key that was given"
        return Conclusions(problems=(text,))

    def _verify_signature(self, seen: Seen, proof: AuthPayload, initiator: bool) -> Conclusions:
        """By the key of the certificate that came with it, whoever issued that."""
        name, cert = who(initiator), seen.certs[initiator]
        covered = self._covered(seen, initiator)
        if isinstance(covered, Conclusions):
            return covered
        try:
            key = public_key(cert)
        except ValueError:
            return NOTHING
        why = ""
        for one in covered:
            try:
                found = signature.check(proof, key, derivation.signed_octets(one))
            except ValueError as error:
                return Conclusions((f"AUTH of the {name} can't be verified: {error}",))
            if isinstance(found, Scheme):
                named = certificate(cert.encoding, cert.data).partition(", issued")[0]
                text = f"AUTH of the {name} is right: {found.value} by the key of {named}"
                return Conclusions((f"{text}; who issued that is not looked at",))
            why = found
        return Conclusions(problems=(f"AUTH of the {name} is wrong: {why}",))

    def _covered(self, seen: Seen, initiator: bool) -> list[Covered] | Conclusions:
        """What AUTH covers, by each SK_p that is known; or why nobody can tell."""
        name, candidates = who(initiator), self._candidates(seen, initiator)
        if initiator not in seen.ids or not seen.request:
            return Conclusions((f"AUTH of the {name} can't be verified: its IKE_SA_INIT or ID was not seen",))
        if not candidates:
            return Conclusions((f"AUTH of the {name} can't be verified: SK_p is not among the keys",))
        message, nonce = (
            (seen.request, seen.seed.nonce_r) if initiator else (seen.response, seen.seed.nonce_i)
        )
        return [
            Covered(prf_id, message, nonce, sk_p, seen.ids[initiator], seen.int_auth.octets)
            for prf_id, sk_p in candidates
        ]

    def _candidates(self, seen: Seen, initiator: bool) -> list[tuple[int, bytes]]:
        """PRF and SK_pi or SK_pr, the most likely first: a PPK may have changed them."""
        told = self._keys.of_ike(seen.seed.spi_i, seen.seed.spi_r)
        found = [(one.prf, one.sk_pi if initiator else one.sk_pr) for one in told if one.prf in PRF]
        if seen.keys is not None and seen.suite is not None:
            found.append((seen.suite.prf, seen.keys.sk_pi if initiator else seen.keys.sk_pr))
        return [(prf_id, sk_p) for prf_id, sk_p in dict.fromkeys(found) if sk_p]


def who(initiator: bool) -> str:
    """The end's name in words."""
    return "initiator" if initiator else "responder"
