"""Sets up IKE_SAs: as initiator for demanded children (connector), as responder (init_admission)."""
