"""The IKE machine, impaired: what it sends, hears and does passes through the stages of the impairments."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from ikepy.config.model import Config
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import IntegrityError, WireError
from ikepy.impair.active import Active
from ikepy.impair.draft import Draft, decode
from ikepy.impair.encoder import ImpairedEncoder
from ikepy.impair.impairment import Deliver, Deliveries
from ikepy.sa.api.capacity import CapacityOf, boundless
from ikepy.sa.api.commands import Command
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Effect,
    InstallInbound,
    InstallOutbound,
    RemoveChild,
    RemoveOutbound,
    Send,
    UpdatePath,
)
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.api.key_log import NOBODY, KeyLog
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.restart_keys import RestartKeys
from ikepy.sa.auth import choice
from ikepy.sa.auth.authenticator import AuthenticatorOf
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Credentials
from ikepy.sa.auth.relay import Relay
from ikepy.sa.manager import IkeManager
from ikepy.sa.setup.address_turns import Resolve
from ikepy.sa.state.exchange_plan import PlanOf
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.registry import EspHeard, LeadsOut
from ikepy.sa.takeover.values import ExportedIkeSa
from ikepy.sa.tasks import additional_ke
from ikepy.wire.constants import PayloadType
from ikepy.wire.message import HEADER_SIZE, PAYLOAD_HEADER_SIZE, decode_header

MOST_HELD = 1024  # datagrams that wait
NO_SPI = bytes(8)
SPIS = 16  # octets of both SPIs
CHILD_EFFECTS = (
    InstallInbound,
    InstallOutbound,
    ActivateOutbound,
    RemoveOutbound,
    RemoveChild,
    UpdatePath,
)


@dataclass(order=True, slots=True)
class _Held:
    """A datagram that leaves, or is taken, late."""

    at: float
    number: int
    outbound: bool = field(compare=False)
    path: Path = field(compare=False)
    data: bytes = field(compare=False)


class ImpairedMachine(IkeManager):
    """Misbehaves. Each call gives effects that have passed the stages once: `start` is made of `request`."""

    def __init__(
        self,
        active: Active,
        config: Config,
        entropy: Entropy,
        *,
        resolve: Resolve,
        leads_out: LeadsOut = lambda path: True,
        esp_heard: EspHeard = lambda child_id: None,
        capacity_of: CapacityOf = boundless,
        authenticator_of: AuthenticatorOf = choice.authenticator_of,
        credentials: Credentials = NO_CREDENTIALS,
        relay: Relay | None = None,
        plan_of: PlanOf[IkeSa] = additional_ke.plan,
        names: NameTable | None = None,
        restart_keys: RestartKeys | None = None,
        key_log: KeyLog = NOBODY,
    ) -> None:
        """`active`: what it does wrong, by the same configuration; the others as `IkeManager` has them."""
        self._active = active
        self._encoder = ImpairedEncoder(active)
        self._held: list[_Held] = []  # a heap
        self._numbers = count()
        self._children: dict[int, str] = {}  # the connections of installed children
        super().__init__(
            active.applied(config),
            entropy,
            encode=self._encoder,
            authenticator_of=lambda connection: active.authenticator(
                connection, authenticator_of(connection)
            ),
            plan_of=plan_of,
            resolve=resolve,
            leads_out=leads_out,
            esp_heard=esp_heard,
            capacity_of=capacity_of,
            credentials=credentials,
            relay=relay,
            names=names,
            restart_keys=restart_keys,
            key_log=key_log,
        )

    # -- datagrams ---------------------------------------------------------------------------------

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        stages = [one.receiving for one in self._active.of_datagram(datagram) if one.receiving is not None]
        effects: list[Effect] = []
        for delay, data in through(stages, datagram):
            if delay > 0:
                self._hold(now + delay, False, path, data)
            else:
                effects += self._take(data, path, now)
                self._sign(datagram)
        return effects

    def _take(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        heard = self._heard(datagram)
        return [] if heard is None else self._out(super().receive(heard, path, now), now)

    def _sign(self, datagram: bytes) -> None:
        """Let AUTH cover a peer's first request as it was, not as it was heard (RFC 7296 2.15)."""
        for sa in self._registry.sas.values():
            begun = sa.phase is Phase.CONNECTING and not sa.initiator
            if begun and datagram[:SPIS] == sa.spi_i + NO_SPI:
                sa.connecting.init.request = datagram

    def _heard(self, datagram: bytes) -> bytes | None:
        """What the machine gets in the place of a message; None: nothing."""
        changes = [one.heard for one in self._active.of_datagram(datagram) if one.heard is not None]
        if not changes:
            return datagram
        try:
            draft, cipher = self._opened(datagram)
        except (WireError, IntegrityError):
            return datagram
        before = draft.header, draft.chain()
        for change in changes:
            change(draft)
        if draft.lost:
            return None
        if (draft.header, draft.chain()) == before:
            return datagram
        (changed,) = draft.encode(cipher, self._registry.entropy.random, None)
        return changed

    def _opened(self, datagram: bytes) -> tuple[Draft, SkCipher | None]:
        """A message with the cipher that opened it. Fragments count as malformed: they stay as they are.

        Raises WireError or IntegrityError.
        """
        header, first, _ = decode_header(datagram)
        if first not in (PayloadType.SK, PayloadType.SKF):
            return Draft(header, decode(first, datagram[HEADER_SIZE:])), None
        sa = self._registry.by_spi.get(header.spi_r if header.from_initiator else header.spi_i)
        if sa is None or not sa.has_keys:
            raise WireError("no keys")
        if first == PayloadType.SKF:
            raise WireError("a fragment")
        cipher, body = sa.keys.cipher_in, HEADER_SIZE + PAYLOAD_HEADER_SIZE
        plaintext = cipher.open(datagram, body)
        return Draft(header, decode(datagram[HEADER_SIZE], plaintext), protected=True), cipher

    def _hold(self, at: float, outbound: bool, path: Path, data: bytes) -> None:
        if len(self._held) < MOST_HELD:
            heapq.heappush(self._held, _Held(at, next(self._numbers), outbound, path, data))

    # -- effects -----------------------------------------------------------------------------------

    def _out(self, effects: Iterable[Effect], now: float) -> list[Effect]:
        passed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Send):
                passed += self._sent(effect, now)
            else:
                passed += self._done(effect)
        return passed

    def _sent(self, effect: Send, now: float) -> Iterable[Effect]:
        stages = [one.sending for one in self._active.of_datagram(effect.data) if one.sending is not None]
        whole = self._encoder.stateless(effect.data, self._registry.entropy.random)
        for delay, data in through(stages, whole):
            if delay > 0:
                self._hold(now + delay, True, effect.path, data)
            else:
                yield Send(effect.path, data)

    def _done(self, effect: Effect) -> list[Effect]:
        if isinstance(effect, InstallInbound | InstallOutbound):
            self._children[effect.child_id] = effect.connection
        connection = None
        if isinstance(effect, CHILD_EFFECTS):
            connection = self._children.get(effect.child_id)
        if isinstance(effect, RemoveChild):
            self._children.pop(effect.child_id, None)
        passed = [effect]
        for stages in self._active.of(connection):
            if stages.effect is not None:
                passed = [one for each in passed for one in stages.effect(each)]
        return passed

    # -- time --------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        times = [super().deadline, self._held[0].at if self._held else None]
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Effect]:
        if not self._held or self._held[0].at > now:
            return self._out(super().tick(now), now)
        held = heapq.heappop(self._held)
        if held.outbound:
            return [Send(held.path, held.data)]
        return self._take(held.data, held.path, now)

    # -- the same for all other calls ----------------------------------------------------------------

    def replace_config(self, config: Config, now: float) -> list[Effect]:
        self._active.use(config)
        return self._out(super().replace_config(self._active.applied(config), now), now)

    def request(self, command: Command, now: float) -> list[Effect]:
        return self._out(super().request(command, now), now)

    def proceed(self, sa: IkeSa, now: float) -> list[Effect]:
        return self._out(super().proceed(sa, now), now)

    def restore(self, exported: ExportedIkeSa, now: float) -> list[Effect]:
        return self._out(super().restore(exported, now), now)

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        return self._out(super().complete(ticket, result, now), now)

    def unknown_spi(self, spi: int, path: Path, now: float) -> list[Effect]:
        return self._out(super().unknown_spi(spi, path, now), now)

    def not_permitted(self, child_id: int, start: bytes, now: float) -> list[Effect]:
        return self._out(super().not_permitted(child_id, start, now), now)

    def peer_moved(self, child_id: int, remote: Endpoint, now: float) -> list[Effect]:
        return self._out(super().peer_moved(child_id, remote, now), now)

    def usage(self, child_id: int, octets: int, packets: int, now: float) -> list[Effect]:
        return self._out(super().usage(child_id, octets, packets, now), now)


def through(stages: Sequence[Deliver], datagram: bytes) -> Deliveries:
    """What becomes of a datagram that passes the stages in order; they multiply it within bounds."""
    passed: list[tuple[float, bytes]] = [(0.0, datagram)]
    for stage in stages:
        made = ((delay + more, data) for delay, one in passed for more, data in stage(one))
        passed = list(islice(made, MOST_HELD))
    return passed
