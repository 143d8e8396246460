"""The connections' TUN devices: their addresses, routes, MTU and carrier."""
