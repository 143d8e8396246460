"""ikepy's own VICI command `log-levels`: shows the level of each subsystem of the log, and changes some.

A change holds until the configuration is read again or the daemon is started anew; what comes by VICI leaves
it.
"""

from __future__ import annotations

from ikepy.config.fields import subsystem_level
from ikepy.daemon import log
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.message import Decoded, Pairs, ViciError
from ikepy.daemon.vici.vici_client import Stream

EVERY = "all"


async def log_levels(given: Decoded, _: Stream) -> Pairs:
    """`set`: a list of "ike=debug", or "all=info" for all subsystems.

    Raises ViciError, with nothing changed.
    """
    arguments.unknown(given, ("set",))
    levels = log.levels()
    for text in arguments.texts(given, "set"):
        name, level = text.partition("=")[::2]
        try:
            if name == EVERY:
                levels = {each: subsystem_level(f"{each}={level}")[1] for each in levels}
            else:
                subsystem, chosen = subsystem_level(text)
                levels[subsystem] = chosen
        except ValueError as error:
            raise ViciError(f"{text[:60]!r}: {error}; or all=LEVEL") from None
    if "set" in given:
        log.change_levels(levels)
    return [("success", "yes"), ("levels", {str(name): level for name, level in levels.items()})]
