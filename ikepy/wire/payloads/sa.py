"""The Security Association payload (RFC 7296 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import PayloadType
from ikepy.wire.proposal import MAX_PROPOSALS, Proposal
from ikepy.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class SaPayload:
    """One or more proposals, in the sender's order of preference."""

    type: ClassVar[PayloadType] = PayloadType.SA
    proposals: tuple[Proposal, ...]

    @classmethod
    def decode(cls, reader: Reader) -> SaPayload:
        proposals: list[Proposal] = []
        more = True
        while more:
            if len(proposals) == MAX_PROPOSALS:
                raise WireError(f"more than {MAX_PROPOSALS} proposals")
            proposal, more = Proposal.decode(reader)
            proposals.append(proposal)
        return cls(tuple(proposals))

    def encode(self) -> bytes:
        if not 1 <= len(self.proposals) <= MAX_PROPOSALS:
            raise LocalMisuse(f"{len(self.proposals)} proposals")
        *others, last = self.proposals
        return b"".join([one.encode(more=True) for one in others]) + last.encode(more=False)
