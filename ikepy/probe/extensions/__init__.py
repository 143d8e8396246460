"""IKEPY.*: our own set of cases, for what the IPv6 Ready specification does not have: extensions of IKEv2
by the number of their RFC, colliding rekeys, and hostile input.
"""
