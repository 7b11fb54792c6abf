"""Settings of a call, put together again: Dagger's command line parts a list at every comma."""

from collections.abc import Sequence

_PAIRS = {"[": "]", "{": "}"}


def whole_settings(pieces: Sequence[str]) -> list[str]:
    """Settings as they were written.

    A piece belongs to the one before while that is an unfinished list, table or quoted text.

    >>> whole_settings(["load.rate_per_s=80", "rollout.steps=[10", "100]", "a.b={x=1", "y=2}"])
    ['load.rate_per_s=80', 'rollout.steps=[10,100]', 'a.b={x=1,y=2}']
    >>> whole_settings(["a.b='['", "c=don't", "d=1", "e='one", " f=two'"])
    ["a.b='['", "c=don't", 'd=1', "e='one, f=two'"]
    """
    found: list[str] = []
    for piece in pieces:
        if found and ("=" not in piece or _unfinished(found[-1])):
            found[-1] += f",{piece}"
        else:
            found.append(piece)
    return found


def _unfinished(setting: str) -> bool:
    """Whether the value ends within a list, a table or quoted text; plain text never does."""
    value = setting.partition("=")[2].strip()
    if value[:1] not in {"'", '"', *_PAIRS}:
        return False
    quote, depth, skip = "", 0, False
    for character in value:
        if skip:
            skip = False
        elif quote:
            skip = quote == '"' and character == "\\"
            quote = "" if character == quote else quote
        elif character in {"'", '"'}:
            quote = character
        else:
            depth += (character in _PAIRS) - (character in _PAIRS.values())
    return bool(quote) or depth > 0
