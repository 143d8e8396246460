"""RADIUS (RFC 2865, 2866, 3579): EAP is handed on to a server, and it is told what users carry.

pyrad codes packets and checks authenticators; sockets, retransmissions and bounds are ours, as its client
takes datagrams from anywhere.
"""
