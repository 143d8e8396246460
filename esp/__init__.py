"""The data plane: ESP (RFC 4303) between TUN devices and sockets, in batches. Knows neither IKE nor `tun`.

Rooms, each of which uses only those before it: `packet`; `sa` and `net`; `ipc`; `datapath`.
"""
