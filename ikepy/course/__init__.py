"""The course: ten labs about IKEv2 and ESP, read and run by `ikepy lab course`."""
