"""What a script's options are for, judged by their names, and the command that follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_pipeline.settings.survey.files import in_tests
from ml_pipeline.settings.survey.scripts import MODEL_ENDINGS, Option, Script

_NAMES: Mapping[str, frozenset[str]] = {
    role: frozenset(names.split())
    for role, names in {
        "data": "data data-path data-file data-csv input input-path input-file input-data in csv"
        " csv-path dataset dataset-path train train-data train-path train-file train-csv"
        " training-data table file source",
        "output": "output output-dir output-path output-folder output-file out out-dir out-path"
        " out-file outdir model-dir artifact-dir artifacts artifacts-dir save-dir dest target-dir"
        " results-dir",
        "model": "model model-path model-file model-out model-output output-model save-model"
        " out-model save-path",
        "metrics": "metrics metrics-path metrics-file metrics-out metrics-output scores"
        " scores-file report",
        "rows": "rows n-rows num-rows n size count n-samples samples num-samples",
        "seed": "seed random-state random-seed",
        "endpoint": "endpoint url base-url host service-url",
        "cutoff": "cutoff cutoff-date until end end-date before",
    }.items()
}
_TRAINS_ABOVE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A command, and what about it needs eyes (empty: nothing)."""

    argv: Sequence[str]
    doubt: str = ""


def role(option: Option) -> str:
    """What an option is for; empty when its name does not say."""
    return next((name for name, words in _NAMES.items() if option.words in words), "")


def with_role(script: Script, wanted: str) -> Option | None:
    """The first option with a role."""
    return next((option for option in script.options if role(option) == wanted), None)


def training(found: Sequence[Script]) -> Sequence[Script]:
    """Scripts that may be the training, the likeliest first."""
    scored = [(_training_score(script), script) for script in found if not in_tests(script.path)]
    likely = [(score, script) for score, script in scored if score > _TRAINS_ABOVE]
    return [script for _, script in sorted(likely, key=lambda pair: (-pair[0], pair[1].path))]


def _training_score(script: Script) -> int:
    named = any(word in script.path.stem.lower() for word in ("train", "fit"))
    return (
        3 * script.fits
        + 3 * named
        + 2 * bool(with_role(script, "data"))
        + 2 * bool(script.artifacts)
        + script.runs
    )


def training_command(script: Script) -> Guess:
    """`python SCRIPT --data {data} --output {output}` in the script's own words."""
    argv = ["python", script.path.as_posix()]
    data, output = with_role(script, "data"), with_role(script, "output")
    model, metrics = with_role(script, "model"), with_role(script, "metrics")
    if output and (output.words in script.dump_targets or _names_model(output)):
        model, output = output, None
    argv += _given(data, "{data}") + _given(output, "{output}")
    if output is None:
        argv += _given(model, "{output}/" + artifact(script))
        argv += _given(metrics, "{output}/" + (script.reports or ["metrics.json"])[0])
    lacking = [name for name in ("{data}", "{output}") if name not in " ".join(argv)]
    if lacking:
        doubt = f"the script shows no option for {' and '.join(lacking)}: give it one"
        return Guess(argv=argv, doubt=doubt)
    return Guess(argv=argv)


def artifact(script: Script) -> str:
    """The name of the file the model is left in."""
    return script.artifacts[0] if script.artifacts else "model.joblib"


def generator(found: Sequence[Script]) -> Guess | None:
    """The command that makes synthetic rows."""
    for script in found:
        rows, output = with_role(script, "rows"), with_role(script, "output")
        made = any(word in script.path.stem for word in ("generat", "synth", "make", "fake"))
        if made and rows and output:
            argv = ["python", script.path.as_posix(), *_given(rows, "{rows}")]
            argv += _given(with_role(script, "seed"), "{seed}") + _given(output, "{output}")
            return Guess(argv=argv)
    return None


def fetcher(found: Sequence[Script]) -> Guess | None:
    """The command that brings the data."""
    for script in found:
        output = with_role(script, "output")
        words = ("fetch", "download", "query", "extract", "get_data", "load_data", "ingest")
        if output and not in_tests(script.path) and any(w in script.path.stem for w in words):
            argv = ["python", script.path.as_posix(), *_given(output, "{output}")]
            cutoff = with_role(script, "cutoff")
            doubt = f"it has {cutoff.name}: it may take {{cutoff}}" if cutoff else ""
            return Guess(argv=argv, doubt=doubt)
    return None


def preparer(found: Sequence[Script]) -> Guess | None:
    """The command that makes features of raw rows."""
    for script in found:
        data, output = with_role(script, "data"), with_role(script, "output")
        named = any(w in script.path.stem for w in ("feature", "prepar", "preprocess", "clean"))
        if named and data and output and not in_tests(script.path):
            argv = [*_given(data, "{input}"), *_given(output, "{output}")]
            return Guess(argv=["python", script.path.as_posix(), *argv])
    return None


def hyperparameters(script: Script) -> Mapping[str, bool | float | str]:
    """Options with a constant default that are neither data nor output nor seed."""
    return {
        option.words.replace("-", "_"): option.default
        for option in _tuned(script)
        if isinstance(option.default, bool | int | float | str)
    }


def style(script: Script) -> str:
    """How the script takes hyperparameters; empty when the default way fits."""
    if any("=" in option.metavar for option in script.options):
        return "assigned"
    return "underscored" if any("_" in option.name for option in _tuned(script)) else ""


def _tuned(script: Script) -> Sequence[Option]:
    return [
        option
        for option in script.options
        if option.name.startswith("--") and not role(option) and _is_setting(option.default)
    ]


def _is_setting(default: object) -> bool:
    """Whether a default may be a hyperparameter's, and is no file's name."""
    endings = (*MODEL_ENDINGS, ".csv", ".parquet", ".json")
    return default is not None and not str(default).endswith(endings) and "/" not in str(default)


def _names_model(option: Option) -> bool:
    return isinstance(option.default, str) and option.default.endswith(MODEL_ENDINGS)


def _given(option: Option | None, value: str) -> list[str]:
    if option is None:
        return []
    return [option.name, value] if option.name.startswith("-") else [value]
