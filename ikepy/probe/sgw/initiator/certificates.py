"""SGW.I.1.1.10.1 to 10.3: certificates: sent, asked for, and proven (RFC 7296 3.6 to 3.8).

The specification has RSA signatures with SHA-1 (method 1); here both ends sign as RFC 7427 has it (method
14), by whatever keys they have.
"""

from __future__ import annotations

from ikepy.probe.credentials import HASHES_NOTIFY, Credentials
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.listen.cases import Function, initiator_case
from ikepy.probe.listen.profile import COMMON, Profile
from ikepy.probe.listen.under_test import UnderTest
from ikepy.probe.received import Received
from ikepy.probe.verdict import NotApplicable
from ikepy.sa.auth.announced import NOTHING
from ikepy.sa.message import query
from ikepy.wire.constants import CertEncoding, ExchangeType, PayloadType
from ikepy.wire.payloads import AuthPayload, CertPayload, CertReqPayload

# By part: the type of an identity, the initiator's, ours. None: the addresses.
_PARTS: dict[str, tuple[str, str | None, str | None]] = {
    "A": ("address", None, None),
    "B": ("FQDN", "nut.example.com", "tn.example.com"),
    "C": ("e-mail address", "nut@example.com", "tn@example.com"),
}


def _credentials(nut: UnderTest) -> Credentials:
    if nut.peer.target.credentials is None:
        raise NotApplicable("we have no certificate (--cert, --key, --ca)")
    return nut.peer.target.credentials


async def _auth(nut: UnderTest, profile: Profile) -> tuple[IkeSa, Received, Received]:
    """The IKE_SA, and the requests of both its exchanges; ours has asked for a certificate."""
    credentials = _credentials(nut)
    sa, init = await nut.begins(profile)
    response = nut.init_response(sa, init)
    await nut.answer_init(sa, init, response.with_payloads(credentials.request_payload, HASHES_NOTIFY))
    auth = await nut.peer.expect_request(ExchangeType.IKE_AUTH, sa=sa, what="an IKE_AUTH request")
    return sa, init, auth


def _sent(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        sa, _, auth = await _auth(nut, profile)
        shown, proof = auth.maybe(CertPayload), auth.maybe(AuthPayload)
        identity = query.identity(auth.payloads, PayloadType.ID_I)
        nut.peer.check(shown is not None, "a CERT payload", auth)
        nut.peer.check(proof is not None and identity is not None, "IDi and AUTH", auth)
        if shown is None or proof is None or identity is None:
            return
        wanted = nut.peer.target.remote_id
        came = identity.id_type, identity.data
        nut.peer.check(came == (wanted.id_type, wanted.data), f"IDi {wanted}", came)
        nut.peer.check(
            shown.encoding == CertEncoding.X509_SIGNATURE, "certificate encoding 4", shown.encoding
        )
        wrong = _credentials(nut).verify(proof, shown.data, sa.signed_octets(identity, ours=False))
        nut.peer.check(not wrong, "AUTH by the key of a certificate that the CA has issued", wrong)

    return function


def _asked_for(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        _, _, auth = await _auth(nut, profile)
        found = [one for one in auth.all(CertReqPayload) if one.encoding == CertEncoding.X509_SIGNATURE]
        nut.peer.check(found, "a CERTREQ payload with encoding 4", auth)
        for one in found:
            nut.peer.check(len(one.data) % 20 == 0, "hashes of 20 octets each", len(one.data))

    return function


def _proven(profile: Profile) -> Function:
    async def function(nut: UnderTest) -> None:
        nut.peer.echo_hosts()
        sa, init, auth = await _auth(nut, profile)
        sa.check_auth(auth)
        credentials, own = _credentials(nut), sa.id_payload()
        proof = credentials.sign(sa.signed_octets(own, ours=True), NOTHING.and_in(init.payloads))
        child = sa.child_response_payloads(auth, with_nonce=False)
        response = sa.response(auth, [own, credentials.cert_payload, proof, *child])
        await nut.answer_auth(sa, auth, response)
        await nut.peer.ping(sa.children[0])

    return function


for _part, (_kind, _theirs, _ours) in _PARTS.items():
    _by_theirs = COMMON.but(f"certificate-{_part}", auth="pubkey", local_id=_theirs)
    _by_ours = COMMON.but(f"our-certificate-{_part}", remote_auth="pubkey", remote_id=_ours)
    initiator_case(
        f"SGW.I.1.1.10.1.{_part}",
        rfc="RFC 7296 3.6",
        level="SHOULD",
        group="ADVANCED",
        title=f"Sending CERT payload, ID of type {_kind}",
    )(_sent(_by_theirs))
    initiator_case(
        f"SGW.I.1.1.10.2.{_part}",
        rfc="RFC 7296 3.7",
        level="MAY",
        group="ADVANCED",
        title=f"Sending CERTREQ payload, ID of type {_kind}",
    )(_asked_for(_by_ours))
    initiator_case(
        f"SGW.I.1.1.10.3.{_part}",
        rfc="RFC 7296 2.15, RFC 7427 3",
        group="ADVANCED",
        title=f"RSA Digital Signature, ID of type {_kind}",
    )(_proven(_by_ours))
