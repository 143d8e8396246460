"""Every error this package raises on purpose, told apart by whose fault it is."""

from collections.abc import Mapping
from pathlib import Path

from ikepy.wire.constants import NotifyType


class IkeError(Exception):
    """Base class of this package's errors."""


class WireError(IkeError):
    """The peer's bytes are malformed. A parser raises nothing else, whatever the input."""


class PeerError(IkeError):
    """Well-formed, but not acceptable: carries the notify that tells the peer.

    `fatal` means that a response takes the whole IKE_SA with it (RFC 7296 2.21), as IKE_AUTH has it always.
    `data` is the notify's data (the wanted group of INVALID_KE_PAYLOAD, a payload type, ...). `cause` says
    in detail what is not acceptable, for events: a value of `ikepy.sa.api.ends`. `eap`: an EAP packet that
    says so, too (EAP-Failure, RFC 7296 2.16). `spi`: of the ESP SA that the notify is about (2.25).
    """

    def __init__(
        self,
        notify: NotifyType,
        message: str,
        *,
        fatal: bool = False,
        data: bytes = b"",
        cause: object = None,
        eap: bytes = b"",
        spi: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.eap = eap
        self.spi = spi
        self.notify = notify
        self.fatal = fatal
        self.data = data


class UnheardError(IkeError):
    """A request of a peer that failed to authenticate too often: unanswered, and its IKE_SA is deleted.

    `cause`: as `PeerError` has it.
    """

    def __init__(self, message: str, cause: object = None) -> None:
        super().__init__(message)
        self.cause = cause


class IntegrityError(IkeError):
    """An encrypted payload whose ICV is wrong: the message is dropped without an answer."""


class LocalMisuse(IkeError):  # noqa: N818  the name says whose fault it is
    """The caller within this package passed invalid arguments."""


class ExportRefusedError(IkeError):
    """An IKE_SA that can't be handed to another machine now: something of it is under way."""


class ExportFormatError(IkeError):
    """Bytes that are no export of an IKE_SA, are of another version, or are sealed by another key."""


class RestoreRefusedError(IkeError):
    """An exported IKE_SA that this machine can't go on with. Nothing of it was changed or installed."""


class ConfigError(IkeError):
    """A mistake in a configuration: file, key path, what is wrong, what is allowed.

    `problems` holds one (key path, text) a mistake, so that all of them can be shown at once. No secret's
    value ever stands in a text. `places`: key path -> "file:line", where the source counts lines.
    """

    def __init__(
        self, file: Path | str, problems: list[tuple[str, str]], places: Mapping[str, str] | None = None
    ) -> None:
        self.file = str(file)
        self.problems = problems
        self.places = places or {}
        super().__init__(
            "\n".join(
                ": ".join(part for part in (self.places.get(key, self.file), key, text) if part)
                for key, text in problems
            )
        )
