"""The daemon: asyncio, sockets, effects runner, workers, control socket."""
