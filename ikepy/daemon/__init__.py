"""The daemon: all I/O of the gateway's control process, around the IKE machine, which has none."""
