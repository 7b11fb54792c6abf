"""Printing to whoever called; text from outside commands no terminal."""

import sys


def say(line: str) -> None:
    """A line on the user's terminal."""
    print(clean(line), flush=True)  # noqa: T201 - this is the user's terminal


def warn(line: str) -> None:
    """A line on the user's terminal that is no answer."""
    print(clean(line), file=sys.stderr, flush=True)  # noqa: T201 - this is the user's terminal


def clean(text: str) -> str:
    """Text without terminal sequences and secrets; its line breaks stay."""
    from ml_pipeline.reporting.cleaning import masked, visible

    return masked(visible(text))
