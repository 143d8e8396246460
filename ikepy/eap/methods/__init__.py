"""EAP methods, one file a method: the authenticator's end and the peer's side by side."""
