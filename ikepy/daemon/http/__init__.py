"""The HTTP server: metrics for Prometheus, health, readiness, the SAs as JSON. It changes nothing."""
