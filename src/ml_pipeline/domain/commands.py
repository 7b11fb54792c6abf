"""Commands as argv lists: placeholders filled in, hyperparameters appended. No shell anywhere."""

import re
from collections.abc import Mapping, Sequence

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.training import Hyperparameter, HyperparameterStyle

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


def placeholders(argv: Sequence[str]) -> set[str]:
    """Names in braces anywhere in a command.

    >>> sorted(placeholders(["python", "a.py", "--out={output}", "{data}"]))
    ['data', 'output']
    """
    return {name for word in argv for name in _PLACEHOLDER.findall(word)}


def fill(argv: Sequence[str], **values: object) -> tuple[str, ...]:
    """The command with its placeholders replaced; a value never becomes more than one word.

    Raises:
        ConfigurationError: the command holds a placeholder that has no value here.

    >>> fill(["run", "--rows={rows}"], rows=500)
    ('run', '--rows=500')
    """
    unknown = placeholders(argv) - values.keys()
    if unknown:
        raise ConfigurationError(
            f"the command {' '.join(argv)!r} holds {{{'}, {'.join(sorted(unknown))}}},"
            " which means nothing here",
            remedy=f"Use only {{{'}, {'.join(sorted(values))}}}.",
        )
    return tuple(_PLACEHOLDER.sub(lambda match: str(values[match[1]]), word) for word in argv)


def hyperparameter_words(
    values: Mapping[str, Hyperparameter], style: HyperparameterStyle
) -> tuple[str, ...]:
    """Hyperparameters as words of a command line, in the order they are written.

    A true flag is its option alone, a false one is left out.

    >>> hyperparameter_words({"max_depth": 3}, HyperparameterStyle.DASHED)
    ('--max-depth', '3')
    >>> hyperparameter_words({"max_depth": 3}, HyperparameterStyle.ASSIGNED)
    ('max_depth=3',)
    """
    words: list[str] = []
    for name, value in values.items():
        if style is HyperparameterStyle.ASSIGNED:
            words.append(f"{name}={value}")
            continue
        option = "--" + (name.replace("_", "-") if style is HyperparameterStyle.DASHED else name)
        if value is True:
            words.append(option)
        elif value is not False:
            words += [option, str(value)]
    return tuple(words)
