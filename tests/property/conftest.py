"""Hypothesis without deadlines: the machine may be busy, and no test here is about speed."""

from hypothesis import settings

settings.register_profile("ikepy", deadline=None, print_blob=True)
settings.load_profile("ikepy")
