"""The ciphers of an IKE_SA, and the keys that later exchanges need (RFC 7296 2.14)."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.crypto.keymat import IkeKeys, IkeSuite
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.negotiation.proposals import ke_group, transform
from ikepy.wire.constants import TransformType
from ikepy.wire.proposal import Proposal


@dataclass(frozen=True, slots=True)
class IkeSaKeys:
    """`sk_p_local` and `sk_p_remote` are SK_pi and SK_pr as this end sees them (RFC 7296 2.15)."""

    suite: IkeSuite
    proposal: Proposal
    sk_d: Secret
    sk_p_local: Secret
    sk_p_remote: Secret
    cipher_in: SkCipher
    cipher_out: SkCipher

    def wipe(self) -> None:
        """Overwrite the keys in memory, as far as Python permits."""
        for secret in (self.sk_d, self.sk_p_local, self.sk_p_remote):
            secret.wipe()


def suite_of(proposal: Proposal) -> IkeSuite:
    """The algorithms of a chosen IKE proposal, which has ENCR, PRF and KE."""
    encr = transform(proposal, TransformType.ENCR)
    prf = transform(proposal, TransformType.PRF)
    integ = transform(proposal, TransformType.INTEG)
    assert encr is not None and prf is not None  # `proposals.select` matches complete proposals of ours
    return IkeSuite(encr.id, encr.key_length, prf.id, None if integ is None else integ.id, ke_group(proposal))


def ike_sa_keys(proposal: Proposal, keys: IkeKeys, initiator: bool) -> IkeSaKeys:
    """The ciphers of both directions; `initiator`: we are the original initiator."""
    suite = suite_of(proposal)
    cipher_i = SkCipher(suite.encr, suite.key_bits, suite.integ, keys.sk_ei, keys.sk_ai)
    cipher_r = SkCipher(suite.encr, suite.key_bits, suite.integ, keys.sk_er, keys.sk_ar)
    if initiator:
        return IkeSaKeys(suite, proposal, keys.sk_d, keys.sk_pi, keys.sk_pr, cipher_r, cipher_i)
    return IkeSaKeys(suite, proposal, keys.sk_d, keys.sk_pr, keys.sk_pi, cipher_i, cipher_r)
