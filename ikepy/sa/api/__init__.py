"""The IKE machine's interface: commands go in, effects and snapshots come out. Values only."""
