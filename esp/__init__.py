"""The data plane: ESP (RFC 4303) over sockets, in batches. Knows neither IKE nor devices."""
