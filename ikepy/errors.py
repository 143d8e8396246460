"""Every error this package raises on purpose, told apart by whose fault it is."""

from pathlib import Path

from ikepy.wire.constants import NotifyType


class IkeError(Exception):
    """The root of all of them."""


class WireError(IkeError):
    """The peer's bytes are malformed. A parser raises nothing else, for any bytes whatever."""


class PeerError(IkeError):
    """Well-formed, but not acceptable: carries the notify that tells the peer.

    `fatal` means that the exchange takes the whole IKE_SA with it (RFC 7296 2.21).
    `data` is the notify's data (the wanted group of INVALID_KE_PAYLOAD, a payload type, ...).
    """

    def __init__(self, notify: NotifyType, message: str, *, fatal: bool = False, data: bytes = b"") -> None:
        super().__init__(message)
        self.notify = notify
        self.fatal = fatal
        self.data = data


class UnheardError(IkeError):
    """A request of one that has failed to authenticate too often: no answer, and its IKE_SA ends."""


class IntegrityError(IkeError):
    """An encrypted payload whose checksum is wrong: the message is dropped without an answer."""


class LocalMisuse(IkeError):  # noqa: N818  the name says whose fault it is
    """Our own caller asked for what makes no sense."""


class ConfigError(IkeError):
    """A mistake in a configuration: file, key path, what is wrong, what is allowed.

    `problems` holds one (key path, text) a mistake, so that all of them can be shown at once. No secret's
    value ever stands in a text.
    """

    def __init__(self, file: Path | str, problems: list[tuple[str, str]]) -> None:
        self.file = str(file)
        self.problems = problems
        super().__init__(
            "\n".join(f"{file}: {key}: {text}" if key else f"{file}: {text}" for key, text in problems)
        )
