"""The tests. Properties are tried on the same examples in every run; ``tests.fuzz`` looks for new ones."""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
