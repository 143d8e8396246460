"""What IKE_SA_INIT says about authentication (RFC 7427 4, 7296 3.7, 4806 3.1, 4739 3.1, 9593 3.1).

The responder does not know yet which connection the peer means: it speaks for all that its address permits.
"""

from __future__ import annotations

from ikepy.crypto.schemes import Scheme
from ikepy.sa.admission.connection_match import Wanted
from ikepy.sa.auth import announced, signed_auth
from ikepy.sa.auth.rounds import SUPPORTED
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import NotifyPayload, Payload


def in_request(sa: IkeSa) -> list[Payload]:
    """As initiator."""
    return [announced.hashes_payload(signed_auth.HASHES)] if "pubkey" in sa.connection.methods else []


def in_response(sa: IkeSa) -> list[Payload]:
    """As responder: nothing about public keys where no connection has to do with them."""
    wanted = sa.connecting.candidates.wanted
    payloads: list[Payload] = [SUPPORTED] if wanted.several else []
    if not wanted.by_key:
        return payloads
    payloads.append(announced.hashes_payload(signed_auth.HASHES))
    if wanted.ask:
        each = {(one.cacerts, one.ca_id): one for one in wanted.remotes}.values()
        cas = [ca for one in each for ca in sa.registry.credentials.cas(one)]
        raw_keys = any(one.pubkeys for one in wanted.remotes)
        unique = tuple(dict.fromkeys(cas))
        if unique and any(one.hash_and_url for one in wanted.remotes):
            payloads.append(announced.LOOK_UP)
        payloads += announced.certreqs(unique, announced.MOST_IN_INIT, raw_keys=raw_keys)
        if wanted.ask_ocsp and unique:
            payloads.append(announced.ocsp_request(sa.registry.credentials.responders()))
    return [*payloads, *_methods(wanted)]


def _methods(wanted: Wanted) -> tuple[NotifyPayload, ...]:
    ways: dict[tuple[int, Scheme], None] = {}
    for rules in dict.fromkeys(one.auth.ike for one in wanted.remotes):  # strangers wait for this
        ways |= dict.fromkeys(signed_auth.verified(rules, experimental=wanted.experimental))
    secret = (AuthMethod.SHARED_KEY_MIC,) if wanted.by_secret else ()
    return announced.methods_payload(ways, secret) if ways else ()
