"""What a machine tells of its keys (`ikepy.sa.api.key_log`, effects), as an onlooker's values."""

from __future__ import annotations

from ikepy.crypto.captured import ENCRYPTION_BY_ID, INTEGRITY_BY_ID
from ikepy.crypto.key_schedule import KeySchedule
from ikepy.dissect.keys import EspKeys, IkeKeys
from ikepy.sa.api.effects import InstallInbound, InstallOutbound


def of_schedule(spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> IkeKeys:
    """The keys of an IKE SA, copied. KeyError for an algorithm that nobody captures."""
    suite, keys = schedule.suite, schedule.keys
    integrity = None if suite.integ is None else INTEGRITY_BY_ID[suite.integ]
    return IkeKeys(
        spi_i,
        spi_r,
        ENCRYPTION_BY_ID[suite.encr],
        keys.sk_ei.expose(),
        keys.sk_er.expose(),
        integrity,
        keys.sk_ai.expose(),
        keys.sk_ar.expose(),
        suite.prf,
        keys.sk_d.expose(),
        keys.sk_pi.expose(),
        keys.sk_pr.expose(),
    )


def of_effect(effect: InstallInbound | InstallOutbound) -> EspKeys:
    """The keys of an ESP SA, copied, for packets between any addresses: NATs and MOBIKE change them."""
    suite, keys = effect.suite, effect.keys.expose()
    return EspKeys(
        effect.spi,
        ENCRYPTION_BY_ID[suite.encr],
        keys[: suite.encr_key_length],
        None if suite.integ is None else INTEGRITY_BY_ID[suite.integ],
        keys[suite.encr_key_length :],
        version=effect.path.remote.address.version,
        esn=effect.esn,
    )
