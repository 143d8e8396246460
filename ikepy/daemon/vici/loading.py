"""VICI's commands that load something, or take it back: by name, with what they have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ikepy.daemon.credentials.collection import Collection
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.signer.signer import Signer
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.load_authorities import LoadAuthorities
from ikepy.daemon.vici.load_connections import LoadConnections
from ikepy.daemon.vici.load_credentials import LoadCredentials
from ikepy.daemon.vici.load_keys import LoadKeys
from ikepy.daemon.vici.load_pools import LoadPools, States
from ikepy.daemon.vici.load_secrets import LoadSecrets
from ikepy.daemon.vici.message import Decoded, Pairs
from ikepy.daemon.vici.vici_client import Stream

Command = Callable[[Decoded, Stream], Awaitable[Pairs]]


class Loading:
    """What VICI loads into a daemon. `commands`: by their names. `pool_states`: the pools in use."""

    def __init__(
        self, desired: DesiredConfig, credentials: Collection, signer: Signer, pool_states: States
    ) -> None:
        connections = LoadConnections(desired)
        authorities, pools = LoadAuthorities(credentials), LoadPools(desired, pool_states)
        self._secrets = LoadSecrets(desired)
        self._credentials = LoadCredentials(credentials, signer)
        self._keys = LoadKeys(signer)
        self.commands: dict[str, Command] = {
            "load-conn": connections.load_conn,
            "unload-conn": connections.unload_conn,
            "get-conns": connections.get_conns,
            "load-shared": self._secrets.load_shared,
            "unload-shared": self._secrets.unload_shared,
            "get-shared": self._secrets.get_shared,
            "load-cert": self._credentials.load_cert,
            "load-key": self._keys.load_key,
            "unload-key": self._keys.unload_key,
            "get-keys": self._keys.get_keys,
            "load-token": self._keys.load_token,
            "flush-certs": self._credentials.flush_certs,
            "clear-creds": self._clear_creds,
            "list-certs": self._credentials.list_certs,
            "load-authority": authorities.load_authority,
            "unload-authority": authorities.unload_authority,
            "get-authorities": authorities.get_authorities,
            "list-authorities": authorities.list_authorities,
            "load-pool": pools.load_pool,
            "unload-pool": pools.unload_pool,
            "get-pools": pools.get_pools,
        }

    async def _clear_creds(self, given: Decoded, _: Stream) -> Pairs:
        """Take back all credentials that came by VICI; authorities keep their certificates."""
        arguments.unknown(given, ())
        self._credentials.clear()
        await self._keys.clear()
        return await self._secrets.clear()
