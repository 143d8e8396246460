"""SGW.R.1.1.10.1 to 10.3: certificates: sent, asked for, and proven (RFC 7296 3.6 to 3.8).

The specification has RSA signatures with SHA-1 (method 1); here both ends sign as RFC 7427 has it (method
14), by whatever keys they have. The peer tells the parts apart by the identity that we ask for (IDr).
"""

from __future__ import annotations

from ikepy.config.identity import Identity
from ikepy.probe.credentials import HASHES_NOTIFY, Credentials
from ikepy.probe.draft import AnyPayload
from ikepy.probe.ike_sa import IkeSa
from ikepy.probe.peer import Peer
from ikepy.probe.received import Received
from ikepy.probe.registry import case
from ikepy.probe.sgw.authenticated import Exchanged
from ikepy.probe.sgw.authenticated import identity as check_identity
from ikepy.probe.target import Target
from ikepy.probe.verdict import NotApplicable
from ikepy.sa.auth.announced import NOTHING
from ikepy.wire.constants import CertEncoding, ExchangeType, NotifyType, PayloadType
from ikepy.wire.payloads import AuthPayload, CertPayload, CertReqPayload, IdPayload

FQDN, MAIL = "nut.example.com", "nut@example.com"
PARTS = {"A": ("address", ""), "B": ("FQDN", FQDN), "C": ("e-mail address", MAIL)}


def _credentials(peer: Peer) -> tuple[Credentials, Target]:
    if peer.target.credentials is None:
        raise NotApplicable("we have no certificate (--cert, --key, --ca)")
    return peer.target.credentials, peer.as_identity("certificate")


async def _ask(peer: Peer, name: str) -> tuple[IkeSa, Exchanged]:
    """IKE_SA_INIT, and IKE_AUTH by our certificate that asks for the peer's identity `name`."""
    credentials, target = _credentials(peer)
    remote = Identity.of_address(target.host) if not name else Identity.parse(name)
    assert remote is not None
    sa = peer.new_sa(target.but(remote_id=remote))
    _, init = await peer.ask_init(sa.init_request(extra=[HASHES_NOTIFY]))
    sa.take_init_response(init)
    own = sa.id_payload()
    auth = credentials.sign(sa.signed_octets(own, ours=True), NOTHING.and_in(init.payloads))
    wanted = IdPayload(PayloadType.ID_R, remote.id_type, remote.data)
    front: list[AnyPayload] = [own, credentials.cert_payload, credentials.request_payload, wanted, auth]
    child = [] if target.childless else sa.child_payloads()
    request = sa.request(ExchangeType.IKE_AUTH, [*front, *child])
    got = await peer.ask(request, what="an IKE_AUTH response")
    sa.established = got.notify(NotifyType.AUTHENTICATION_FAILED) is None
    peer.lacking(got, "our certificate", NotifyType.AUTHENTICATION_FAILED)
    return sa, Exchanged(sa, request, got)


def _check_certificate(peer: Peer, sa: IkeSa, got: Received) -> None:
    """CERT is an X.509 certificate of the CA, and AUTH is by its key."""
    credentials, _ = _credentials(peer)
    shown, auth = got.maybe(CertPayload), got.maybe(AuthPayload)
    identity = next((one for one in got.all(IdPayload) if one.type == PayloadType.ID_R), None)
    peer.check(shown is not None, "a CERT payload", got)
    peer.check(auth is not None and identity is not None, "IDr and AUTH", got)
    if shown is None or auth is None or identity is None:
        return
    peer.check(shown.encoding == CertEncoding.X509_SIGNATURE, "certificate encoding 4", shown.encoding)
    wrong = credentials.verify(auth, shown.data, sa.signed_octets(identity, ours=False))
    peer.check(not wrong, "AUTH by the key of a certificate that the CA has issued", wrong)


def _parts(part: str, kind: str, name: str) -> None:
    @case(
        f"SGW.R.1.1.10.1.{part}",
        rfc="RFC 7296 3.6",
        level="SHOULD",
        group="ADVANCED",
        title=f"Sending Certificate payload, ID of type {kind}",
    )
    async def certificate_is_sent(peer: Peer) -> None:
        sa, exchanged = await _ask(peer, name)

        async def asked(_: Peer) -> Exchanged:
            return exchanged

        await check_identity(peer, asked, sa.target)
        _check_certificate(peer, sa, exchanged.got)

    @case(
        f"SGW.R.1.1.10.2.{part}",
        rfc="RFC 7296 3.7",
        level="MAY",
        group="ADVANCED",
        title=f"Sending Certificate Request payload, ID of type {kind}",
    )
    async def certificate_is_asked_for(peer: Peer) -> None:
        _credentials(peer)
        _, got = await peer.ask_init(peer.new_sa().init_request(extra=[HASHES_NOTIFY]))
        found = [one for one in got.all(CertReqPayload) if one.encoding == CertEncoding.X509_SIGNATURE]
        peer.check(found, "a CERTREQ payload with encoding 4", got)
        for one in found:
            peer.check(len(one.data) % 20 == 0, "hashes of 20 octets each", len(one.data))

    @case(
        f"SGW.R.1.1.10.3.{part}",
        rfc="RFC 7296 2.15, RFC 7427 3",
        group="ADVANCED",
        title=f"RSA Digital Signature, ID of type {kind}",
    )
    async def signature(peer: Peer) -> None:
        peer.echo_hosts()
        sa, exchanged = await _ask(peer, name)
        _check_certificate(peer, sa, exchanged.got)
        nonces = sa.nonce_i, sa.nonce_r
        await peer.ping(sa.take_child(exchanged.got, exchanged.request, nonces, None))


for _part, (_kind, _name) in PARTS.items():
    _parts(_part, _kind, _name)
