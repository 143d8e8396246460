"""IPv6 router advertisements (RFC 4861, RFC 4191, RFC 8106) on interfaces of ours, while tunnels are up."""
