"""One file a job; each has an initiator and a responder form."""
