"""What a script's options are for, judged by their names and by what is done with them."""

import re
from collections.abc import Mapping, Sequence

from ml_pipeline.settings.survey.options import Option
from ml_pipeline.settings.survey.scripts import Script
from ml_pipeline.settings.survey.writes import MODEL_ENDINGS

_NAMES: Mapping[str, frozenset[str]] = {
    role: frozenset(names.split())
    for role, names in {
        "data": "data data-path data-file data-csv input input-path input-file input-data in csv"
        " csv-path dataset dataset-path train train-data train-path train-file train-csv"
        " training-data training-file training-csv table file source infile in-file in-path"
        " in-csv rows-file parquet parquet-path parquet-file",
        "output": "output output-dir output-path output-folder output-file out out-dir out-path"
        " out-file outdir outfile outpath model-dir artifact-dir artifacts artifacts-dir save-dir"
        " dest target-dir results-dir output-directory",
        "model": "model model-path model-file model-out model-output output-model save-model"
        " out-model save-path save-to",
        "metrics": "metrics metrics-path metrics-file metrics-out metrics-output scores"
        " scores-file report report-path report-file",
        "rows": "rows n-rows num-rows n size count n-samples samples num-samples",
        "seed": "seed random-state random-seed",
        "endpoint": "endpoint url base-url host service-url",
        "cutoff": "cutoff cutoff-date until end end-date before",
    }.items()
}
#: A folder by its name is where the model goes, unless its name says it holds something else.
_FOLDER = re.compile(r"(.*-)?(work-?dir|dir|folder|directory)")
_OTHER_FOLDER = re.compile(
    r"(^|-)(data|input|in|src|source|log|logs|tensorboard|cache|conf|config)-"
)
#: What of these roles is worth a path; a number or a choice of theirs is something else.
_PATHS = frozenset({"data", "output", "model", "metrics"})
_TABLES = (".csv", ".parquet")
#: Endings of files nobody tunes.
_FILES = (*MODEL_ENDINGS, *_TABLES, ".json", ".yaml", ".yml", ".toml", ".txt", ".log", ".ini")


def role(option: Option) -> str:
    """What an option is for; empty when its name does not say."""
    found = next((name for name, words in _NAMES.items() if option.words in words), "")
    if not found and _FOLDER.fullmatch(option.words) and not _OTHER_FOLDER.search(option.words):
        found = "output"
    return "" if found in _PATHS and not _may_be_path(option, found) else found


def with_role(script: Script, wanted: str) -> Option | None:
    """The first option with a role."""
    return next((option for option in script.options if role(option) == wanted), None)


def rows_option(script: Script) -> tuple[Option | None, str]:
    """The option that takes the training rows, and why that needs eyes (empty: it does not)."""
    named = with_role(script, "data")
    if named is not None:
        return named, ""
    free = [option for option in script.options if not role(option) and not option.flag]
    read = script.flows.read
    reading = [one for one in free if one.reads or _is_table(one.default) or one.variable in read]
    if reading:
        return reading[0], f"{reading[0].name} is taken for the rows: the script reads it"
    asked = [option for option in free if option.required]
    if len(asked) == 1 or (asked and asked[0].positional):
        why = "is required" if len(asked) > 1 else "is the only one that is required"
        return asked[0], f"{asked[0].name} is taken for the rows: no other says so, and it {why}"
    return None, ""


def made_folder(script: Script, data: Option | None) -> Option | None:
    """The option that, by what is done with it and not by its name, is a folder to write to."""
    free = [one for one in script.options if not role(one) and not one.flag and one is not data]
    return next((one for one in free if one.variable in script.flows.made), None)


def names_model(option: Option) -> bool:
    """Whether an option's default is a model's file."""
    return isinstance(option.default, str) and option.default.endswith(MODEL_ENDINGS)


def tuned(script: Script) -> Sequence[Option]:
    """Options with a constant default that are no files and have no role."""
    return [
        option
        for option in script.options
        if not (option.positional or option.flag or option.file or role(option))
        and _is_setting(option.default)
    ]


def _may_be_path(option: Option, wanted: str) -> bool:
    if option.flag or option.closed:
        return False
    if option.default is None or option.file:
        return True
    text = option.default if isinstance(option.default, str) else None
    if wanted == "model":  # `--model rf` chooses a kind of model
        return text is not None and (names_model(option) or "/" in text or "." in text)
    return text is not None


def _is_table(default: object) -> bool:
    return isinstance(default, str) and default.endswith(_TABLES)


def _is_setting(default: object) -> bool:
    """Whether a default may be a hyperparameter's, and is no file's name."""
    if not isinstance(default, bool | int | float | str):
        return False
    return not str(default).endswith(_FILES) and "/" not in str(default)
