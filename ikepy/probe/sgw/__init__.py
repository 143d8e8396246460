"""The IPv6 Ready Logo Phase-2 IKEv2 conformance tests of a security gateway, by their own IDs (2.0.0a)."""
