"""`ikepy probe HOST`: what an IKEv2 responder accepts, announces and answers, without credentials."""
