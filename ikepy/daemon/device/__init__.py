"""The connections' TUN devices: their creation, addresses, routes, MTU and carrier."""
