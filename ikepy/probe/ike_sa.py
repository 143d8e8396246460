"""An IKE_SA of the probe, of either role: its keys and the messages that it may send (RFC 7296 1.2 to 1.4).

No state machine stands behind it: every message can be made at any time, and changed before it is sent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from ikepy.crypto.auth import SignedOctets, maced_id, psk_auth
from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Begun
from ikepy.crypto.key_schedule import KeySchedule, Seed
from ikepy.crypto.nat import nat_detection_hash
from ikepy.crypto.secret import Secret
from ikepy.errors import IkeError, LocalMisuse
from ikepy.probe.child import Child, esp_suite
from ikepy.probe.draft import AnyPayload, Draft
from ikepy.probe.received import Received, read
from ikepy.probe.target import Target, esp_proposal, ike_proposal, selector
from ikepy.probe.verdict import Failed, NotApplicable
from ikepy.sa.message import query
from ikepy.sa.message.fragments import Reassembly
from ikepy.sa.message.int_auth import IntAuth
from ikepy.sa.negotiation.proposals import first_key_exchange
from ikepy.sa.state.ike_keys import IkeSaKeys, ike_sa_keys, suite_of
from ikepy.wire.constants import (
    FIRST_EXCHANGES,
    AuthMethod,
    ExchangeType,
    HeaderFlag,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikepy.wire.payloads import (
    AuthPayload,
    DeletePayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    SaPayload,
    TrafficSelector,
    TsPayload,
)
from ikepy.wire.proposal import Proposal

NO_SPI = bytes(8)
NONCE = 32  # octets


def new_spi(size: int) -> bytes:
    """A random SPI; none of ESP's reserved ones (RFC 4303 2.1)."""
    return bytes([os.urandom(1)[0] | 0x10]) + os.urandom(size - 1)


def _responded(ke: KePayload) -> tuple[bytes, Secret]:
    """Our public value and the secret, as the exchange's responder. `Failed` where the peer's is none."""
    try:
        return registry.method(ke.group).respond(os.urandom, ke.data)()
    except IkeError as error:
        raise Failed(f"the peer's KE payload can't be used: {error}") from None


class IkeSa:
    """An IKE_SA between the probe and the peer. `initiator`: the probe is its original initiator.

    Draft-makers take what is to differ from the usual; what they don't take, `Draft.but` changes. A request
    takes the next message ID when it is made. `courteous`: while it is set, liveness checks and deletes of
    the peer that nobody waits for are answered as they should be.
    """

    def __init__(self, target: Target, *, initiator: bool, spi_i: bytes | None = None) -> None:
        self.target = target
        self.initiator = initiator
        self.spi_i = spi_i or new_spi(8)
        self.spi_r = NO_SPI if initiator else new_spi(8)
        self.nonce_i = os.urandom(NONCE) if initiator else b""
        self.nonce_r = b"" if initiator else os.urandom(NONCE)
        self.init_request_octets = b""  # as sent or received; AUTH covers them
        self.init_response_octets = b""
        self.init_answer: Received | None = None  # the last one that came and refuses nothing
        self.keys: IkeSaKeys | None = None
        self.next_id = 0  # of our next request
        self.port = target.local_port  # from which our messages go
        self.children: list[Child] = []
        self.all_children: list[Child] = []  # that were ever made here, for the report
        self.established = False
        self.courteous = True
        self.begun: Begun | None = None
        self._fragments: Reassembly | None = None
        self.int_auth = IntAuth()  # what IKE_INTERMEDIATE adds to AUTH (RFC 9242 3.3.2)

    @property
    def child(self) -> Child:
        """The first child. `NotApplicable` in a childless run, LocalMisuse where there should be one."""
        self._need_children()
        if not self.children:
            raise LocalMisuse("the IKE_SA has no child")
        return self.children[0]

    @property
    def fragments(self) -> Reassembly | None:
        """What puts the peer's fragments together; None unless both ends announced that they take some (RFC
        7383 2.3)."""
        both = (self.init_request_octets, self.init_response_octets)
        if self._fragments is None and all(_takes_fragments(one) for one in both):
            self._fragments = Reassembly()
        return self._fragments

    def _need_children(self) -> None:
        if self.target.childless:
            raise NotApplicable("the run is childless: the peer installs no CHILD_SA here")

    # -- any message ---------------------------------------------------------------------------------

    def request(
        self, exchange: int, payloads: Sequence[AnyPayload] = (), *, message_id: int | None = None
    ) -> Draft:
        """A request of any exchange, protected if there are keys. Without `message_id`: the next one."""
        if message_id is None:
            message_id = self.next_id
            self.next_id += 1
        return self._draft(exchange, payloads, message_id, response=False)

    def response(self, request: Received, payloads: Sequence[AnyPayload] = ()) -> Draft:
        """A response to a request of the peer, protected if there are keys."""
        return self._draft(request.header.exchange, payloads, request.header.message_id, response=True)

    def _draft(
        self, exchange: int, payloads: Sequence[AnyPayload], message_id: int, *, response: bool
    ) -> Draft:
        flags = HeaderFlag.RESPONSE if response else HeaderFlag(0)
        flags |= HeaderFlag.INITIATOR if self.initiator else HeaderFlag(0)
        cipher = None if self.keys is None or exchange in FIRST_EXCHANGES else self.keys.cipher_out
        return Draft(exchange, tuple(payloads), message_id, int(flags), self.spi_i, self.spi_r, cipher)

    def informational(self, *payloads: AnyPayload) -> Draft:
        """An INFORMATIONAL request; empty, a liveness check (RFC 7296 1.4)."""
        return self.request(ExchangeType.INFORMATIONAL, payloads)

    def delete(self, *children: Child) -> Draft:
        """An INFORMATIONAL request that deletes children, or without any the IKE_SA (RFC 7296 1.4.1)."""
        return self.informational(self.delete_payload(*children))

    @staticmethod
    def delete_payload(*children: Child) -> DeletePayload:
        """A Delete payload for our SPIs of these children, or without any for the IKE_SA (RFC 7296 3.11)."""
        if not children:
            return DeletePayload(ProtocolId.IKE, ())
        return DeletePayload(ProtocolId.ESP, tuple(child.spi_in for child in children))

    # -- IKE_SA_INIT ---------------------------------------------------------------------------------

    def init_request(
        self,
        *,
        proposals: Sequence[Proposal] = (),
        group: int | None = None,
        extra: Sequence[AnyPayload] = (),
        before: Sequence[AnyPayload] = (),
    ) -> Draft:
        """HDR, `before`, SAi1, KEi, Ni, NAT detection where it is wanted, `extra`. `group`: KE's, where it
        is not that of the first proposal. The key exchange is begun anew only where the group changes."""
        offered = tuple(proposals) or (ike_proposal(self.target.ike),)
        chosen = group or first_key_exchange(offered[0])
        if chosen is None:
            raise LocalMisuse("no proposal has a key exchange")
        if self.begun is None or self.begun.method.id != chosen:
            self.begun = registry.method(chosen).begin(os.urandom)()
        payloads = [
            *before,
            SaPayload(offered),
            KePayload(chosen, self.begun.public),
            NoncePayload(self.nonce_i),
            *self._nat_detection(),
            *extra,
        ]
        self.next_id = 1
        return self.request(ExchangeType.IKE_SA_INIT, payloads, message_id=0)

    def _nat_detection(self) -> list[AnyPayload]:
        """With encapsulation: NAT detection that feigns a NAT at our end (RFC 7296 2.23)."""
        if self.target.encapsulation == "native":
            return []
        destination = nat_detection_hash(self.spi_i, self.spi_r, self.target.host, self.target.port)
        return [
            NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, os.urandom(20)),
            NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
        ]

    def take_init_response(self, answer: Received) -> None:
        """Derive the keys from the peer's IKE_SA_INIT response. `Failed` if it can't be used."""
        chosen, ke, nonce = answer.maybe(SaPayload), answer.maybe(KePayload), answer.maybe(NoncePayload)
        if answer.error is not None or chosen is None or ke is None or nonce is None or self.begun is None:
            raise Failed(f"expected an IKE_SA_INIT response with SA, KE and nonce; came {answer}")
        proposal = _only(chosen, answer)
        if ke.group != self.begun.method.id:
            raise Failed(f"expected a KE payload of group {self.begun.method.id}; came group {ke.group}")
        self.spi_r, self.nonce_r = answer.header.spi_r, nonce.data
        self.init_response_octets = answer.octets
        try:
            self._derive(proposal, self.begun.finish(ke.data))
        except IkeError as error:
            raise Failed(f"the peer's IKE_SA_INIT response can't be used: {error}") from None
        if self.target.encapsulation == "udp" and answer.notify(NotifyType.NAT_DETECTION_SOURCE_IP):
            self.port = self.target.local_nat_port

    def init_response(
        self, request: Received, *, proposal: Proposal | None = None, extra: Sequence[AnyPayload] = ()
    ) -> Draft:
        """As responder: HDR, SAr1, KEr, Nr to a request of the peer, and the keys. `Failed` where the peer's
        request has not what it needs. Without `proposal`: the target's."""
        sa, ke, nonce = request.maybe(SaPayload), request.maybe(KePayload), request.maybe(NoncePayload)
        if sa is None or ke is None or nonce is None:
            raise Failed(f"expected an IKE_SA_INIT request with SA, KE and nonce; came {request}")
        chosen = proposal or ike_proposal(self.target.ike)
        chosen = replace(chosen, number=_offer_of(sa, chosen).number)
        group = first_key_exchange(chosen)
        if group != ke.group:
            raise Failed(f"expected a KE payload of group {group}; came group {ke.group}")
        public, secret = _responded(ke)
        self.nonce_i, self.init_request_octets = nonce.data, request.octets
        payloads: list[AnyPayload] = [SaPayload((chosen,)), KePayload(ke.group, public)]
        payloads.append(NoncePayload(self.nonce_r))
        draft = self.response(request, [*payloads, *self._nat_detection(), *extra])
        self._derive(chosen, secret)
        return draft

    def _derive(self, chosen: Proposal, secret: Secret) -> None:
        seed = Seed(self.nonce_i, self.nonce_r, self.spi_i, self.spi_r)
        schedule = KeySchedule.initial(suite_of(chosen), secret, seed)
        self.keys = ike_sa_keys(chosen, schedule, self.initiator)

    @property
    def must_keys(self) -> IkeSaKeys:
        """The keys. LocalMisuse before IKE_SA_INIT."""
        if self.keys is None:
            raise LocalMisuse("there are no keys before IKE_SA_INIT")
        return self.keys

    # -- IKE_AUTH ------------------------------------------------------------------------------------

    def id_payload(self, *, reserved: bytes = bytes(3)) -> IdPayload:
        """IDi, or as responder IDr: ours."""
        type = PayloadType.ID_I if self.initiator else PayloadType.ID_R
        return IdPayload(type, self.target.local_id.id_type, self.target.local_id.data, reserved)

    def auth_payload(self, own: IdPayload | None = None, psk: Secret | None = None) -> AuthPayload:
        """AUTH by the shared key over what we sent (RFC 7296 2.15)."""
        mic = self._mic(own or self.id_payload(), psk or self.target.psk, ours=True)
        return AuthPayload(AuthMethod.SHARED_KEY_MIC, mic)

    def _mic(self, identity: IdPayload, psk: Secret, *, ours: bool) -> bytes:
        return psk_auth(self.must_keys.suite.prf, psk, self._covered(identity, ours=ours))

    def signed_octets(self, identity: IdPayload, *, ours: bool) -> bytes:
        """What AUTH of us, or of the peer, is a signature of (RFC 7296 2.15)."""
        return b"".join(self._covered(identity, ours=ours).parts)

    def _covered(self, identity: IdPayload, *, ours: bool) -> SignedOctets:
        keys, of_initiator = self.must_keys, ours == self.initiator
        sent = self.init_request_octets if of_initiator else self.init_response_octets
        nonce = self.nonce_r if of_initiator else self.nonce_i
        sk_p = keys.sk_p_local if ours else keys.sk_p_remote
        maced = maced_id(keys.suite.prf, sk_p, identity.encode())
        return SignedOctets(sent, nonce, maced, self.int_auth.octets)

    def auth_request(
        self,
        *,
        spi: bytes | None = None,
        child: Sequence[AnyPayload] | None = None,
        extra: Sequence[AnyPayload] = (),
    ) -> Draft:
        """HDR, SK {IDi, AUTH, `extra`, SAi2, TSi, TSr}. `child`: other payloads of the child."""
        if self.target.childless and child is None:
            wanted: Sequence[AnyPayload] = ()
        else:
            wanted = self.child_payloads(spi) if child is None else child
        return self.request(ExchangeType.IKE_AUTH, [self.id_payload(), self.auth_payload(), *extra, *wanted])

    def auth_response(
        self,
        request: Received,
        *,
        own: IdPayload | None = None,
        ts_r: Sequence[TrafficSelector] = (),
        extra: Sequence[AnyPayload] = (),
    ) -> Draft:
        """As responder: HDR, SK {IDr, AUTH, `extra`, SAr2, TSi, TSr} with the target's ESP suite and the
        selectors that the peer asked for, unless `ts_r` narrows ours; the child is in `children` then."""
        child = self.child_response_payloads(request, with_nonce=False, ts_r=ts_r)
        own = own or self.id_payload()
        return self.response(request, [own, self.auth_payload(own), *extra, *child])

    def check_auth(self, message: Received) -> None:
        """`Failed` unless the peer's IKE_AUTH message proves that it is whom the target says."""
        type = PayloadType.ID_R if self.initiator else PayloadType.ID_I
        identity, auth = query.identity(message.payloads, type), message.maybe(AuthPayload)
        if identity is None or auth is None:
            raise Failed(f"expected {type.name} and AUTH in IKE_AUTH; came {message}")
        wanted = self.target.remote_id
        if (identity.id_type, identity.data) != (wanted.id_type, wanted.data):
            raise Failed(f"expected {type.name} {wanted}; came type {identity.id_type}, {identity.data!r}")
        if auth.method != AuthMethod.SHARED_KEY_MIC:
            raise Failed(f"expected AUTH by a shared key (2); came method {auth.method}")
        if auth.data != self._mic(identity, self.target.psk, ours=False):
            raise Failed("the peer's AUTH payload is wrong")

    def take_auth_response(self, answer: Received, request: Draft) -> Child:
        """Check the peer's AUTH and install the child. `Failed` where something is missing or wrong."""
        self.check_auth(answer)
        self.established = True
        self._need_children()
        return self.take_child(answer, request, (self.nonce_i, self.nonce_r), None)

    # -- CREATE_CHILD_SA -----------------------------------------------------------------------------

    def child_payloads(
        self,
        spi: bytes | None = None,
        *,
        proposals: Sequence[Proposal] = (),
        ts_i: Sequence[TrafficSelector] = (),
        ts_r: Sequence[TrafficSelector] = (),
    ) -> list[AnyPayload]:
        """SA, TSi, TSr as we ask for a child, with our SPI. `NotApplicable` in a childless run."""
        self._need_children()
        offered = tuple(proposals) or (esp_proposal(self.target.esp, spi or new_spi(4)),)
        return [
            SaPayload(offered),
            TsPayload(PayloadType.TS_I, tuple(ts_i) or (selector(self.target.local_net),)),
            TsPayload(PayloadType.TS_R, tuple(ts_r) or (selector(self.target.remote_net),)),
        ]

    def create_child_request(
        self,
        *,
        rekey: Child | None = None,
        child: Sequence[AnyPayload] | None = None,
        group: int | None = None,
        nonce: bytes | None = None,
        extra: Sequence[AnyPayload] = (),
    ) -> Draft:
        """HDR, SK {[N(REKEY_SA)], `extra`, SA, Ni, [KEi], TSi, TSr}. `group`: with PFS by this group, which
        the proposals in `child` have to name."""
        sa, *selectors = self.child_payloads() if child is None else child
        notify = [] if rekey is None else [rekey_notify(rekey)]
        ke: list[AnyPayload] = []
        self.begun = None
        if group is not None:
            self.begun = registry.method(group).begin(os.urandom)()
            ke = [KePayload(group, self.begun.public)]
        ni = NoncePayload(os.urandom(NONCE) if nonce is None else nonce)
        return self.request(ExchangeType.CREATE_CHILD_SA, [*notify, *extra, sa, ni, *ke, *selectors])

    def take_create_child(self, answer: Received, request: Draft) -> Child:
        """Install the child of a CREATE_CHILD_SA response. `Failed` where something is missing or wrong."""
        nonce, ke = answer.maybe(NoncePayload), answer.maybe(KePayload)
        ours = query.maybe(request.payloads, NoncePayload)  # type: ignore[arg-type]
        if answer.error is not None or nonce is None or ours is None:
            raise Failed(f"expected a CREATE_CHILD_SA response with SA, nonce and selectors; came {answer}")
        if (ke is None) != (self.begun is None):
            raise Failed(f"expected {'no' if ke else 'a'} KE payload; came {answer}")
        try:
            secret = None if ke is None or self.begun is None else self.begun.finish(ke.data)
        except IkeError as error:
            raise Failed(f"the peer's KE payload can't be used: {error}") from None
        return self.take_child(answer, request, (ours.data, nonce.data), secret)

    def take_child(
        self, answer: Received, request: Draft, nonces: tuple[bytes, bytes], secret: Secret | None
    ) -> Child:
        """Install a child that the peer agreed to. `Failed` where the answer is not one that it may give."""
        chosen, offered = answer.maybe(SaPayload), query.maybe(request.payloads, SaPayload)  # type: ignore[arg-type]
        if answer.error is not None or chosen is None or offered is None:
            raise Failed(f"expected a child; came {answer}")
        ts_i, ts_r = (_selectors(answer, type) for type in (PayloadType.TS_I, PayloadType.TS_R))
        proposal = _only(chosen, answer)
        ours = next((one for one in offered.proposals if one.number == proposal.number), None)
        if ours is None:
            raise Failed(f"the peer chose proposal {proposal.number}, which was not offered")
        child = self._child(proposal, (ours.spi, proposal.spi), (ts_i, ts_r), nonces, secret)
        self.children.append(child)
        return child

    def child_response_payloads(
        self,
        request: Received,
        *,
        with_nonce: bool = True,
        nonce: bytes | None = None,
        ts_r: Sequence[TrafficSelector] = (),
    ) -> list[AnyPayload]:
        """As the exchange's responder: SA, [Nr, [KEr]], TSi, TSr to what the peer asked for, with our ESP
        suite, and our selectors narrowed if there is `ts_r`; the child is the last one in `children` then."""
        offered = request.maybe(SaPayload)
        ts_i = query.selectors(request.payloads, PayloadType.TS_I)
        ours = (
            TsPayload(PayloadType.TS_R, tuple(ts_r))
            if ts_r
            else query.selectors(request.payloads, PayloadType.TS_R)
        )
        if offered is None:
            raise Failed(f"expected a request for a child; came {request}")
        chosen = esp_proposal(self.target.esp, new_spi(4))
        theirs = _offer_of(offered, chosen)
        chosen = replace(chosen, number=theirs.number)
        payloads: list[AnyPayload] = []
        nonces, secret = (self.nonce_i, self.nonce_r), None
        if with_nonce:
            ni, ke = request.maybe(NoncePayload), request.maybe(KePayload)
            if ni is None:
                raise Failed(f"expected a nonce; came {request}")
            nr = nonce or os.urandom(NONCE)
            nonces = ni.data, nr
            payloads = [NoncePayload(nr)]
            if ke is not None:
                kex = tuple(one for one in theirs.transforms if one.type == 4 and one.id == ke.group)
                chosen = replace(chosen, transforms=(*chosen.transforms, *kex))
                public, secret = _responded(ke)
                payloads.append(KePayload(ke.group, public))
        # The peer is the exchange's initiator here: TSr is what is behind us.
        spis, ts = (chosen.spi, theirs.spi), (ours.selectors, ts_i.selectors)
        self.children.append(self._child(chosen, spis, ts, nonces, secret, by_us=False))
        return [SaPayload((chosen,)), *payloads, ts_i, ours]

    def _child(
        self,
        chosen: Proposal,
        spis: tuple[bytes, bytes],
        ts: tuple[tuple[TrafficSelector, ...], tuple[TrafficSelector, ...]],
        nonces: tuple[bytes, bytes],
        secret: Secret | None,
        *,
        by_us: bool = True,
    ) -> Child:
        """`spis`, `ts`: ours, then the peer's; `nonces`: of the exchange's initiator, us if `by_us`."""
        try:
            suite = esp_suite(chosen)
        except KeyError:
            raise Failed(f"the peer chose an ESP suite that is none: {chosen}") from None
        secrets = [] if secret is None else [secret]
        keys = self.must_keys.schedule.child_keys(*nonces, secrets, suite.key_length)
        key_out, key_in = keys if by_us else reversed(keys)
        child = Child(*spis, chosen, *ts, key_in, key_out)
        self.all_children.append(child)
        return child

    def rekey_request(
        self, *, proposals: Sequence[Proposal] = (), group: int | None = None, nonce: bytes | None = None
    ) -> tuple[Draft, IkeSa]:
        """HDR, SK {SA, Ni, KEi} that replaces this IKE_SA (RFC 7296 1.3.2), and the new one, without keys."""
        new = IkeSa(self.target, initiator=True)
        if nonce is not None:
            new.nonce_i = nonce
        offered = tuple(proposals) or (ike_proposal(self.target.ike),)
        offered = tuple(replace(one, spi=new.spi_i) for one in offered)
        chosen = group or first_key_exchange(offered[0])
        if chosen is None:
            raise LocalMisuse("no proposal has a key exchange")
        new.begun = registry.method(chosen).begin(os.urandom)()
        payloads: list[AnyPayload] = [
            SaPayload(offered),
            NoncePayload(new.nonce_i),
            KePayload(chosen, new.begun.public),
        ]
        new.port = self.port
        return self.request(ExchangeType.CREATE_CHILD_SA, payloads), new

    def take_rekey(self, answer: Received, new: IkeSa) -> None:
        """Give the new IKE_SA its keys and this one's children. `Failed` where the answer can't be used."""
        chosen, ke, nonce = answer.maybe(SaPayload), answer.maybe(KePayload), answer.maybe(NoncePayload)
        if answer.error is not None or chosen is None or ke is None or nonce is None or new.begun is None:
            raise Failed(f"expected a CREATE_CHILD_SA response with SA, nonce and KE; came {answer}")
        proposal = _only(chosen, answer)
        new.nonce_r, new.spi_r = nonce.data, proposal.spi
        if ke.group != new.begun.method.id or len(proposal.spi) != len(NO_SPI):
            raise Failed(f"expected an SPI of 8 octets and group {new.begun.method.id}; came {answer}")
        try:
            self._rekeyed(new, proposal, new.begun.finish(ke.data))
        except IkeError as error:
            raise Failed(f"the peer's CREATE_CHILD_SA response can't be used: {error}") from None

    def rekey_response(self, request: Received, *, nonce: bytes | None = None) -> tuple[Draft, IkeSa]:
        """As the exchange's responder: HDR, SK {SA, Nr, KEr}, and the new IKE_SA, which has this one's
        children."""
        sa, ke, ni = request.maybe(SaPayload), request.maybe(KePayload), request.maybe(NoncePayload)
        if sa is None or ke is None or ni is None:
            raise Failed(f"expected a request to rekey the IKE_SA; came {request}")
        chosen = ike_proposal(self.target.ike)
        theirs = _offer_of(sa, chosen)
        new = IkeSa(self.target, initiator=False, spi_i=theirs.spi)
        new.nonce_i, new.port = ni.data, self.port
        if nonce is not None:
            new.nonce_r = nonce
        chosen = replace(chosen, number=theirs.number, spi=new.spi_r)
        public, secret = _responded(ke)
        payloads: list[AnyPayload] = [SaPayload((chosen,)), NoncePayload(new.nonce_r)]
        payloads.append(KePayload(ke.group, public))
        draft = self.response(request, payloads)
        self._rekeyed(new, chosen, secret)
        return draft, new

    def _rekeyed(self, new: IkeSa, chosen: Proposal, secret: Secret) -> None:
        seed = Seed(new.nonce_i, new.nonce_r, new.spi_i, new.spi_r)
        schedule = self.must_keys.schedule.rekeyed(suite_of(chosen), [secret], seed)
        new.keys = ike_sa_keys(chosen, schedule, new.initiator)
        new.established, new.children, self.children = True, self.children, []
        new._fragments = None if self.fragments is None else Reassembly()


def _takes_fragments(init: bytes) -> bool:
    """Whether an IKE_SA_INIT message announces it; False where there is none."""
    got = read(0.0, init, 0, 0)
    return got is not None and got.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None


def _only(chosen: SaPayload, answer: Received) -> Proposal:
    """The proposal that a response chooses. `Failed` if it has none, or several."""
    if len(chosen.proposals) != 1:
        raise Failed(f"expected one proposal; came {len(chosen.proposals)} in {answer}")
    return chosen.proposals[0]


def _selectors(answer: Received, type: PayloadType) -> tuple[TrafficSelector, ...]:
    """TSi or TSr of a response. `Failed` if it has none."""
    found = next((one for one in answer.all(TsPayload) if one.type == type), None)
    if found is None:
        raise Failed(f"expected {type.name}; came {answer}")
    return found.selectors


def _offer_of(sa: SaPayload, chosen: Proposal) -> Proposal:
    """The proposal of those offered that has what we choose; the first one where none has: cases choose also
    what was not offered. `Failed` if nothing was offered."""
    if not sa.proposals:
        raise Failed("expected a proposal in the SA payload; came none")
    fits = (one for one in sa.proposals if set(chosen.transforms) <= set(one.transforms))
    return next(fits, sa.proposals[0])


def rekey_notify(child: Child) -> NotifyPayload:
    """N(REKEY_SA) for a child: the SPI that we receive by (RFC 7296 1.3.3)."""
    return NotifyPayload(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=child.spi_in)
