"""The impairments in force: those of the whole daemon, and those of single connections beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ikepy.config.model import Config, Connection
from ikepy.impair import packets
from ikepy.impair.catalogue import Chosen, choose
from ikepy.impair.impairment import Stages
from ikepy.sa.auth.authenticator import Authenticator

OF_ALL = "{} concerns the packets of all connections: write it into daemon.impairments"
EVERYWHERE = ""  # in the place of a connection's name
MOST_KNOWN = 4096  # IKE_SAs whose connection is remembered


def asked_for(config: Config, given: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """The impairments by connection, as they are written. `given`: by the command line, EVERYWHERE too."""
    asked = {EVERYWHERE: (*given, *config.daemon.impairments)}
    return asked | {name: one.impairments for name, one in config.connections.items() if one.impairments}


def mistakes(config: Config) -> Iterator[tuple[str, str]]:
    """What a configuration asks for and is no impairment, as (key path, text)."""
    for name, texts in asked_for(config).items():
        key = f"connections.{name}" if name else "daemon"
        for number, text in enumerate(texts):
            try:
                chosen = choose(text)
            except ValueError as error:
                yield f"{key}.impairments[{number}]", str(error)
                continue
            if name and chosen.impairment.name in packets.STAGES:
                yield f"{key}.impairments[{number}]", OF_ALL.format(chosen.impairment.name)


class Active:
    """Stages by connection. ValueError if there is no such impairment."""

    def __init__(self, config: Config, given: Sequence[str] = ()) -> None:
        self._given = tuple(given)
        self._names: dict[bytes, str] = {}  # of connections, by the initiator's SPI
        self._asked: Mapping[str, tuple[str, ...]] = {}
        self._stages: dict[str, tuple[Stages, ...]] = {}
        self.use(config)

    def use(self, config: Config) -> None:
        """Go by this configuration from now on; what is asked for as before keeps its state."""
        asked = asked_for(config, self._given)
        self._stages = {
            name: self._stages[name]
            if self._asked.get(name) == texts
            else tuple(chosen.impairment.make(chosen.value) for chosen in map(choose, texts))
            for name, texts in asked.items()
        }
        self._asked = asked

    @property
    def chosen(self) -> dict[str, list[Chosen]]:
        """What is in force, by connection."""
        return {name: list(map(choose, texts)) for name, texts in self._asked.items() if texts}

    def of(self, connection: str | None) -> Iterator[Stages]:
        """What is in force for a connection; None: it is not known which."""
        yield from self._stages[EVERYWHERE]
        if connection:
            yield from self._stages.get(connection, ())

    def note(self, spi_i: bytes, connection: str) -> None:
        """An IKE_SA is of this connection."""
        self._names.pop(spi_i, None)
        self._names[spi_i] = connection
        if len(self._names) > MOST_KNOWN:
            del self._names[next(iter(self._names))]

    def of_datagram(self, data: bytes) -> Iterable[Stages]:
        """What is in force for an IKE message, by its SPIs."""
        return self.of(self._names.get(data[:8]))

    def authenticator(self, connection: Connection, made: Authenticator) -> Authenticator:
        """The configured one, as the impairments have it."""
        for stages in self.of(connection.name):
            if stages.authenticator is not None:
                made = stages.authenticator(made)
        return made

    def applied(self, config: Config) -> Config:
        """The configuration that the machine gets."""
        daemon = config.daemon
        for stages in self.of(None):
            if stages.daemon is not None:
                daemon = stages.daemon(daemon)
        connections = {name: self._applied(one) for name, one in config.connections.items()}
        return config.model_copy(update={"daemon": daemon, "connections": connections})

    def _applied(self, connection: Connection) -> Connection:
        """With all impairments that it is subject to, for whoever asks what is going on."""
        texts = (*self._asked[EVERYWHERE], *self._asked.get(connection.name, ()))
        connection = connection.model_copy(update={"impairments": texts}) if texts else connection
        for stages in self.of(connection.name):
            if stages.connection is not None:
                connection = stages.connection(connection)
        return connection
