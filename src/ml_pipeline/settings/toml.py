"""TOML of any origin: what the parser cannot hold is said, never a traceback."""

import sys
import tomllib

#: No setting has more tables and lists around it; parsers of JSON give up at 200.
_DEEPEST = 32


class OutsizeError(Exception):
    """The text may be TOML, but nests or counts further than a value can; says how."""


def parsed(text: str) -> dict[str, object]:
    """The table a text holds.

    Raises:
        TOMLDecodeError: it is no TOML.
        OutsizeError: it is nested too deeply, or holds too long a number.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        table = None
    except ValueError:  # the interpreter refuses to read such a number
        digits = sys.get_int_max_str_digits()
        raise OutsizeError(f"holds a number of more than {digits} digits") from None
    if table is None or _depth_exceeds(table, _DEEPEST):
        raise OutsizeError("is nested too deeply")
    return table


def _depth_exceeds(value: object, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [below for one in level for below in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []
