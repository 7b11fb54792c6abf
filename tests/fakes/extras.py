"""Extras too heavy for every checkout: tests that need one say how to have it."""

from importlib.util import find_spec


def has_script_mode() -> bool:
    """Whether `sagemaker.core` is installed; it is not imported, which takes seconds."""
    try:
        return find_spec("sagemaker.core") is not None
    except ModuleNotFoundError:
        return False
