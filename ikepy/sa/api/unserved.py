"""Counters of the IKE messages that are not served; `ikepy counters` shows them."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


class Unserved(StrEnum):
    """Why a message was not served, as `ikepy counters` prints it."""

    MALFORMED = "malformed messages"
    IKEV1 = "IKEv1 messages"
    NEWER_VERSION = "messages of a higher major version"
    WORTHLESS = "messages under SPIs of ours that are forged or repeated"
    UNKNOWN_SPI = "messages for no IKE_SA"
    MALFORMED_INIT = "malformed IKE_SA_INIT requests"
    BAD_INIT_RESPONSE = "unacceptable IKE_SA_INIT responses"
    OTHER_EXCHANGE = "responses of another exchange type"
    COOKIE = "cookies asked for"
    OVER_BUDGET = "IKE_SA_INIT requests beyond the CPU budget"
    SILENCED = "IKE_SA_INIT requests after failed authentications"
    REFUSED_INIT = "refused IKE_SA_INIT requests"
    REDIRECTED = "IKE_SA_INIT requests sent to another gateway"
    NAME = "IKE_SA_INIT requests before peers' names were looked up"
    CROWDED_OUT = "half-open IKE_SAs that made room"
    FAILED_AUTH = "failed authentications"
    UNHEARD_AUTH = "authentications not heard after failed ones"


Tally = Counter[Unserved]
