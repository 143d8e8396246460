"""What an onlooker concludes from opened messages: who proved what, and the keys that follow from known ones.

It knows secrets of key exchanges, or SK_d, from a key log, and has the rest derived: so the keys of IKE alone
open ESP, and each derivation can be shown. AUTH by a preshared key is verified where that is given
(RFC 7296 2.15).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from ikepy.crypto.algorithms import PRF
from ikepy.crypto.key_schedule import Seed
from ikepy.crypto.secret import Secret
from ikepy.dissect.auth_check import NOTHING, AuthCheck, Conclusions, who
from ikepy.dissect.derivation import Step
from ikepy.dissect.deriving import Deriving
from ikepy.dissect.keys import IkeKeys, Keys
from ikepy.dissect.seen import (
    Created,
    Payloads,
    Seen,
    decoded,
    first,
    link,
    publics,
    remember,
    suite_of,
    uses_ppk,
)
from ikepy.sa.message.fragments import OpenedMessage
from ikepy.sa.message.int_auth import of_received
from ikepy.wire.constants import ExchangeType, PayloadType, ProtocolId
from ikepy.wire.message import IkeHeader, Message
from ikepy.wire.payloads import (
    AuthPayload,
    CertPayload,
    EapPayload,
    IdPayload,
    NoncePayload,
    SaPayload,
)

MAX_SAS = 512
MAX_REQUESTS = 32  # of one IKE SA that wait for a response
MAX_EXCHANGES = 16  # key exchanges before IKE_AUTH
MAX_UNFINISHED = 256  # exchanges that wait for a secret
MAX_COVERED = 16  # messages of IKE_INTERMEDIATE


class Witness:
    """Listens to all IKE SAs. What it derives, it adds to `keys`."""

    def __init__(self, keys: Keys, psks: Sequence[bytes] = ()) -> None:
        self._keys = keys
        self._deriving = Deriving(keys)
        self._auth_check = AuthCheck(keys, psks)
        self._begun: OrderedDict[bytes, bytes] = OrderedDict()  # initiator's SPI -> its last request
        self._sas: OrderedDict[tuple[bytes, bytes], Seen] = OrderedDict()
        self._unfinished: list[tuple[Seen, Created]] = []

    def steps(self, spi_i: bytes, spi_r: bytes) -> tuple[Step, ...]:
        """How the keys of this IKE SA and of its children came about, as far as that is known."""
        seen = self._sas.get((spi_i, spi_r))
        return () if seen is None else tuple(seen.steps)

    @property
    def sas(self) -> tuple[tuple[bytes, bytes], ...]:
        """The SPIs of the IKE SAs that were seen."""
        return tuple(self._sas)

    def look_again(self) -> None:
        """Derive what was not possible before, after secrets were added."""
        for seen in self._sas.values():
            if seen.keys is None and seen.publics:
                self._deriving.ike_sa(seen)
        waiting, self._unfinished = self._unfinished, []
        for seen, created in waiting:
            self._created(seen, created)

    # -- in the clear ------------------------------------------------------------------------------

    def plain(self, octets: bytes, message: Message) -> None:
        """An unprotected message: IKE_SA_INIT, IKE_SESSION_RESUME."""
        header = message.header
        if header.exchange not in (ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME):
            return
        if not header.is_response:
            remember(self._begun, header.spi_i, octets, MAX_SAS)
            return
        request = self._begun.get(header.spi_i)
        if request is None or header.spi_r == bytes(8) or (header.spi_i, header.spi_r) in self._sas:
            return
        self._begin(header, request, octets, message.payloads)

    def _begin(self, header: IkeHeader, request: bytes, response: bytes, payloads: Payloads) -> None:
        asked = decoded(request)
        nonce_i, nonce_r = first(asked, NoncePayload), first(payloads, NoncePayload)
        chosen = first(payloads, SaPayload)
        if nonce_i is None or nonce_r is None:
            return  # COOKIE, INVALID_KE_PAYLOAD: the request comes again
        suite = None if chosen is None else suite_of(chosen.proposals[0])
        seed = Seed(nonce_i.data, nonce_r.data, header.spi_i, header.spi_r)
        resumed = header.exchange == ExchangeType.IKE_SESSION_RESUME
        seen = Seen(request, response, seed, suite, resumed=resumed)
        remember(self._sas, (header.spi_i, header.spi_r), seen, MAX_SAS)
        if (pair := publics(asked, payloads)) is not None:
            seen.publics.append(pair)
            self._deriving.ike_sa(seen)

    # -- protected ---------------------------------------------------------------------------------

    def opened(
        self, header: IkeHeader, opened: OpenedMessage, by: IkeKeys, payloads: Payloads
    ) -> Conclusions:
        """A message that was decrypted by these keys."""
        seen = self._sas.get((header.spi_i, header.spi_r))
        if seen is None:
            return NOTHING
        if header.exchange == ExchangeType.IKE_INTERMEDIATE:
            self._cover(seen, header, opened, by)
        told = NOTHING
        if header.exchange == ExchangeType.IKE_AUTH:
            told = self._authenticate(seen, header, payloads)
        if header.is_response:
            asked = seen.requests.pop((not header.from_initiator, header.message_id), None)
            if asked is not None:
                self._conclude(seen, header, asked, payloads)
        else:
            remember(seen.requests, (header.from_initiator, header.message_id), payloads, MAX_REQUESTS)
        return told

    def _conclude(self, seen: Seen, header: IkeHeader, asked: Payloads, payloads: Payloads) -> None:
        """What a finished exchange agreed on."""
        match header.exchange:
            case ExchangeType.IKE_INTERMEDIATE:
                self._further(seen, asked, payloads)
            case ExchangeType.IKE_AUTH:
                nonces = seen.seed.nonce_i, seen.seed.nonce_r
                if not uses_ppk(payloads) or self._is_mixed(seen):
                    self._deriving.child(seen, Created(asked, payloads), [], *nonces)
            case ExchangeType.CREATE_CHILD_SA:
                self._go_on(seen, Created(asked, payloads), asked, payloads)
            case ExchangeType.IKE_FOLLOWUP_KE:
                by = link(asked)
                created = None if by is None else seen.followed.pop(by, None)
                if created is not None:
                    self._go_on(seen, created, asked, payloads)

    def _is_mixed(self, seen: Seen) -> bool:
        """Whether the keys with a PPK are known, beside those without (RFC 8784 3)."""
        told = self._keys.of_ike(seen.seed.spi_i, seen.seed.spi_r)
        return len({one.sk_d for one in told if one.sk_d}) > 1

    def _go_on(self, seen: Seen, created: Created, asked: Payloads, payloads: Payloads) -> None:
        """One more exchange of an SA that is being created; the last one has no link (RFC 9370 2.2.4)."""
        if (pair := publics(asked, payloads)) is not None:
            created = replace(created, publics=(*created.publics, pair))
        if (by := link(payloads)) is not None:
            remember(seen.followed, by, created, MAX_REQUESTS)
        else:
            self._created(seen, created)

    def _further(self, seen: Seen, asked: Payloads, payloads: Payloads) -> None:
        if uses_ppk(payloads):
            seen.ppk, seen.keys = True, None
        elif (pair := publics(asked, payloads)) is not None and len(seen.publics) < MAX_EXCHANGES:
            seen.keys = None  # outdated, whatever made the next ones
            seen.publics.append(pair)
            self._deriving.ike_sa(seen)

    def _created(self, seen: Seen, created: Created) -> None:
        """An IKE SA or a child was created; it waits if a secret is not known yet."""
        nonce_i, nonce_r = first(created.asked, NoncePayload), first(created.payloads, NoncePayload)
        chosen = first(created.payloads, SaPayload)
        if nonce_i is None or nonce_r is None or chosen is None:
            return
        secrets = self._deriving.secrets(created.publics)
        if secrets is None:
            self._unfinished = [*self._unfinished[1 - MAX_UNFINISHED :], (seen, created)]
            return
        arguments = (seen, created, secrets, nonce_i.data, nonce_r.data)
        if chosen.proposals[0].protocol != ProtocolId.IKE:
            self._deriving.child(*arguments)
        elif (new := self._deriving.rekeyed(*arguments)) is not None:
            remember(self._sas, (new.seed.spi_i, new.seed.spi_r), new, MAX_SAS)

    # -- AUTH --------------------------------------------------------------------------------------

    def _cover(self, seen: Seen, header: IkeHeader, opened: OpenedMessage, by: IkeKeys) -> None:
        """What AUTH covers of IKE_INTERMEDIATE (RFC 9242 3.3.2)."""
        sk_p = by.sk_pi if header.from_initiator else by.sk_pr
        which = (header.from_initiator, header.message_id)
        if by.prf not in PRF or not sk_p or which in seen.covered or len(seen.covered) == MAX_COVERED:
            return
        seen.covered.add(which)
        covered = of_received(opened)
        seen.int_auth = seen.int_auth.after(by.prf, Secret(sk_p), covered, initiator=header.from_initiator)

    def _authenticate(self, seen: Seen, header: IkeHeader, payloads: Payloads) -> Conclusions:
        initiator = header.from_initiator
        wanted = PayloadType.ID_I if initiator else PayloadType.ID_R
        for payload in payloads:
            if isinstance(payload, IdPayload) and payload.type == wanted:
                seen.ids[initiator] = payload.encode()  # another one in a further round (RFC 4739)
        seen.eap = seen.eap or first(payloads, EapPayload) is not None
        if header.is_response and uses_ppk(payloads):
            seen.ppk, seen.keys = True, None  # SK_d and SK_p are others from now on (RFC 8784 3)
        cert = first(payloads, CertPayload)  # the end entity's is the first (RFC 7296 3.6)
        if cert is not None:
            seen.certs[initiator] = cert
        proof = first(payloads, AuthPayload)
        if proof is None:
            return NOTHING
        told = self._auth_check.judge(seen, proof, initiator)
        if told.problems and uses_ppk(payloads) and not self._is_mixed(seen):
            text = "can't be verified: it covers a postquantum preshared key"
            return Conclusions((f"AUTH of the {who(initiator)} {text}",))
        return told
