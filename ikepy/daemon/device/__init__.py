"""The connections' TUN devices: their MTU, their routes, and what is left out of these."""
