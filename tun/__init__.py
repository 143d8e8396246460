"""TUN devices, their addresses and routes. Knows neither IKE nor ESP."""
