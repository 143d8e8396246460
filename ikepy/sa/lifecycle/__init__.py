"""IKE_SAs beside each other and at their end: reauthentication, uniqueness, teardown, roaming."""
