"""Strangers: cookies, CPU budget, failed authentications, stateless answers, connection match."""
