"""IKE_SAs come about: our own (connector), and those that peers begin (admission of IKE_SA_INIT)."""
