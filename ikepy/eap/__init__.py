"""The Extensible Authentication Protocol (RFC 3748), both ends, without I/O."""
