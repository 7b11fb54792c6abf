"""What holds for every test."""

from hypothesis import settings

# No test is red because the machine was busy.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
