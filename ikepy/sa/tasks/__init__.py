"""The jobs of an IKE_SA, one file each, with an initiator and a responder form."""
