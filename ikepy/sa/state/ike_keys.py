"""The ciphers of an IKE_SA, and the key schedule that later exchanges need (RFC 7296 2.14)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ikepy.crypto.key_schedule import IkeSuite, KeySchedule, Seed
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import LocalMisuse
from ikepy.sa.negotiation.proposals import transform
from ikepy.wire.constants import TransformType
from ikepy.wire.proposal import Proposal


@dataclass(frozen=True, slots=True)
class IkeSaKeys:
    """The keys as this end uses them. `initiator`: we are the original initiator of the IKE_SA."""

    schedule: KeySchedule
    proposal: Proposal
    initiator: bool
    cipher_in: SkCipher
    cipher_out: SkCipher

    @property
    def suite(self) -> IkeSuite:
        return self.schedule.suite

    @property
    def sk_p_local(self) -> Secret:
        """SK_pi or SK_pr, whichever goes into our AUTH (RFC 7296 2.15)."""
        return self.schedule.keys.sk_pi if self.initiator else self.schedule.keys.sk_pr

    @property
    def sk_p_remote(self) -> Secret:
        """The one that goes into the peer's AUTH."""
        return self.schedule.keys.sk_pr if self.initiator else self.schedule.keys.sk_pi

    def extended(self, secret: Secret, seed: Seed) -> IkeSaKeys:
        """The keys after one more key exchange before IKE_AUTH (RFC 9370 2.2.2)."""
        return ike_sa_keys(self.proposal, self.schedule.extended(secret, seed), self.initiator)

    def renewed_by_ppk(self, ppk: Secret, seed: Seed) -> IkeSaKeys:
        """The keys after a PPK was mixed into all of them (RFC 9867 3.1)."""
        return ike_sa_keys(self.proposal, self.schedule.renewed_by_ppk(ppk, seed), self.initiator)

    def with_ppk(self, ppk: Secret) -> IkeSaKeys:
        """The keys with a PPK in what is derived and proven (RFC 8784 3); the ciphers stay."""
        return replace(self, schedule=self.schedule.with_ppk(ppk))

    def wipe(self) -> None:
        """Overwrite the keys in memory, as far as Python permits."""
        self.schedule.wipe()


def suite_of(proposal: Proposal) -> IkeSuite:
    """The algorithms of a chosen IKE proposal. LocalMisuse if it lacks ENCR or PRF, as none of ours does."""
    encr = transform(proposal, TransformType.ENCR)
    prf = transform(proposal, TransformType.PRF)
    integ = transform(proposal, TransformType.INTEG)
    if encr is None or prf is None:
        raise LocalMisuse("an IKE proposal without encryption or PRF was chosen")
    return IkeSuite(encr.id, encr.key_length, prf.id, None if integ is None else integ.id)


def ike_sa_keys(
    proposal: Proposal, schedule: KeySchedule, initiator: bool, *, first_iv: int = 0
) -> IkeSaKeys:
    """The ciphers of both directions; `initiator`: we are the original initiator. `first_iv`: where the IVs
    of what we send begin (`SkCipher`)."""
    suite, keys = schedule.suite, schedule.keys
    algorithms = suite.encr, suite.key_bits, suite.integ
    of_initiator, of_responder = (keys.sk_ei, keys.sk_ai), (keys.sk_er, keys.sk_ar)
    theirs, ours = (of_responder, of_initiator) if initiator else (of_initiator, of_responder)
    cipher_in, cipher_out = SkCipher(*algorithms, *theirs), SkCipher(*algorithms, *ours, first_iv=first_iv)
    return IkeSaKeys(schedule, proposal, initiator, cipher_in, cipher_out)
