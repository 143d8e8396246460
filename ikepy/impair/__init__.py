"""Makes the daemon misbehave in named ways on purpose, so that testers of IKEv2 find what they must find."""
