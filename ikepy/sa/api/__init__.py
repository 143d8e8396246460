"""What goes into the IKE machine and what comes out: commands, effects, snapshots. Values only."""
