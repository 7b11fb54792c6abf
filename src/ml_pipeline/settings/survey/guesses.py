"""Commands a project would be run by, each with what about it needs eyes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_pipeline.settings.survey import fixed
from ml_pipeline.settings.survey.files import in_tests
from ml_pipeline.settings.survey.layout import Layout
from ml_pipeline.settings.survey.options import Option
from ml_pipeline.settings.survey.roles import (
    made_folder,
    names_model,
    role,
    rows_option,
    tuned,
    with_role,
)
from ml_pipeline.settings.survey.scripts import Script

_TRAINS_ABOVE = 3
_TRAINING = ("train", "fit")
_USING = ("predict", "infer", "serve", "eval", "score", "plot", "report", "export")
_GENERATING = ("generat", "synth", "make", "fake")
_FETCHING = ("fetch", "download", "query", "extract", "get_data", "load_data", "ingest", "dataset")
_PREPARING = ("feature", "prepar", "preprocess", "clean")
_Given = list[tuple[Option, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A command, and what about it needs eyes (empty: nothing)."""

    argv: Sequence[str]
    doubt: str = ""


def training(found: Sequence[Script]) -> Sequence[Script]:
    """Scripts, or commands of them, that may be the training, the likeliest first."""
    entries = [one for script in found if not in_tests(script.path) for one in script.entries]
    scored = [(_training_score(script), script) for script in entries]
    likely = [(score, script) for score, script in scored if score > _TRAINS_ABOVE]
    return [script for _, script in sorted(likely, key=lambda pair: (-pair[0], pair[1].path))]


def _training_score(script: Script) -> int:
    fits = 3 if script.fits else 2 * script.fits_below
    words = "_".join(script.words).lower() or script.path.stem.lower()
    named = any(word in words for word in _TRAINING)
    if not named and (not fits or any(word in words for word in _USING)):
        return 0
    return (
        fits
        + 3 * named
        + 2 * (rows_option(script)[0] is not None)
        + 2 * bool(script.artifacts)
        + bool(script.runs)
        + bool(script.commands)
    )


def training_command(script: Script, layout: Layout) -> Guess:
    """`python SCRIPT --data {data} --output {output}` in the script's own words."""
    launch = layout.launch(script)
    if fixed.is_fixed(script) and launch.argv[-1].endswith(".py"):
        files = [artifact(script), *(fixed.place_of(script, one) for one in script.reports[:1])]
        return Guess(argv=fixed.command(script, launch.argv, files), doubt=fixed.DOUBT)
    data, taken = rows_option(script)
    given = [(data, "{data}")] if data else []
    placed, assumed = _placed_output(script, data)
    given += placed
    doubts = [launch.doubt, taken, assumed, _lacking(given), _still_required(script, given)]
    return Guess(
        argv=[*launch.argv, *script.words, *_words(script, given)],
        doubt="; ".join(doubt for doubt in doubts if doubt),
    )


def _placed_output(script: Script, data: Option | None) -> tuple[_Given, str]:
    """What is told where to write: the folder, else model and metrics by themselves."""
    output, model = with_role(script, "output"), with_role(script, "model")
    metrics = with_role(script, "metrics")
    if output and (_dumped_to(output, script) or names_model(output)):
        model, output = output, None
    if output:
        return [(output, "{output}")], ""
    given = [(model, "{output}/" + artifact(script))] if model else []
    if metrics:
        given.append((metrics, "{output}/" + (script.reports or ["metrics.json"])[0]))
    made = made_folder(script, data)
    if not given and made:
        return [(made, "{output}")], f"{made.name} is taken for the folder to write to: it is made"
    left = [one for one in script.options if one.required and not role(one) and one is not data]
    if not given and data and len(left) == 1 and (left[0].positional or left[0].file):
        why = f"{left[0].name} is taken for the folder to write to: the script requires it"
        return [(left[0], "{output}")], why
    return given, ""


def artifact(script: Script) -> str:
    """The name of the file the model is left in."""
    by_default = [
        str(option.default).rpartition("/")[2]
        for option in script.options
        if isinstance(option.default, str) and _dumped_to(option, script) and "." in option.default
    ]
    usual = [one.usual for one in script.saved if one.usual]
    name = next(iter((*by_default, *script.artifacts, *usual)), "model.joblib")
    return fixed.place_of(script, name) if fixed.is_fixed(script) else name


def artifact_doubt(script: Script) -> str:
    """Why the model's name needs eyes; empty when it does not."""
    name = artifact(script)
    if name.endswith((".bst", ".model")):
        return f"no loader is known for {name}: write .ubj, .json (XGBoost) or .txt (LightGBM)"
    shows = bool(script.artifacts) or any(
        isinstance(option.default, str) and option.default.endswith(name)
        for option in script.options
    )
    return "" if shows else "the script shows no name of a model file"


def generator(found: Sequence[Script], layout: Layout) -> Guess | None:
    """The command that makes synthetic rows."""
    for script in _entries(found):
        rows, output = with_role(script, "rows"), with_role(script, "output")
        if _is_named(script, _GENERATING) and rows and output:
            seed = with_role(script, "seed")
            given = [(rows, "{rows}"), *([(seed, "{seed}")] if seed else ()), (output, "{output}")]
            return _command(script, layout, given)
    return None


def fetcher(found: Sequence[Script], layout: Layout) -> Guess | None:
    """The command that brings the data."""
    for script in _entries(found):
        output = with_role(script, "output")
        if output and not in_tests(script.path) and _is_named(script, _FETCHING):
            cutoff = with_role(script, "cutoff")
            doubt = f"it has {cutoff.name}: it may take {{cutoff}}" if cutoff else ""
            return _command(script, layout, [(output, "{output}")], doubt)
    return None


def preparer(found: Sequence[Script], layout: Layout) -> Guess | None:
    """The command that makes features of raw rows."""
    for script in _entries(found):
        data, output = with_role(script, "data"), with_role(script, "output")
        if _is_named(script, _PREPARING) and data and output and not in_tests(script.path):
            return _command(script, layout, [(data, "{input}"), (output, "{output}")])
    return None


def hyperparameters(script: Script) -> Mapping[str, bool | float | str]:
    """Options with a constant default that are neither data nor output nor seed.

    Names keep their case. Their hyphens become underscores where the style gives them back.
    """
    dashed = style(script) != "underscored"
    return {
        option.name.lstrip("-").replace("-", "_") if dashed else option.name.lstrip("-"): default
        for option in tuned(script)
        if isinstance(default := option.default, bool | int | float | str)
    }


def style(script: Script) -> str:
    """How the script takes hyperparameters; empty when the default way fits."""
    if any("=" in option.metavar for option in script.options):
        return "assigned"
    return "underscored" if any("_" in option.name for option in tuned(script)) else ""


def integration_test(found: Sequence[Script]) -> Guess | None:
    """The command that tests a running service: a test that takes its address."""
    for script in found:
        endpoint, samples = with_role(script, "endpoint"), with_role(script, "rows")
        if endpoint is None or endpoint.positional:
            continue
        if script.path.name == "conftest.py":
            argv = ["python", "-m", "pytest", script.path.parent.as_posix()]
        elif "test" in script.path.as_posix():
            argv = ["python", script.path.as_posix()]
        else:
            continue
        argv += [endpoint.name, "{endpoint}"]
        return Guess(argv=argv + ([samples.name, "{samples}"] if samples else []))
    return None


def _entries(found: Sequence[Script]) -> Sequence[Script]:
    return [entry for script in found for entry in script.entries]


def _is_named(script: Script, words: Sequence[str]) -> bool:
    return any(word in script.name for word in words)


def _command(script: Script, layout: Layout, given: _Given, doubt: str = "") -> Guess:
    launch = layout.launch(script)
    doubts = "; ".join(one for one in (launch.doubt, doubt) if one)
    return Guess(argv=[*launch.argv, *script.words, *_words(script, given)], doubt=doubts)


def _dumped_to(option: Option, script: Script) -> bool:
    names = {option.words, option.variable.replace("_", "-").lower()}
    return bool(names & {name.lower() for name in script.dump_targets})


def _lacking(given: _Given) -> str:
    values = " ".join(value for _, value in given)
    absent = [name for name in ("{data}", "{output}") if name not in values]
    return f"the script shows no option for {' and '.join(absent)}: give it one" if absent else ""


def _still_required(script: Script, given: _Given) -> str:
    used = [option for option, _ in given]
    left = [one.name for one in script.options if one.required and one not in used]
    return f"the script also requires {', '.join(left)}: add what it takes" if left else ""


def _words(script: Script, given: _Given) -> Sequence[str]:
    """Options with their values; those without a name in the order the script takes them."""
    placed = iter(
        sorted(
            (pair for pair in given if pair[0].positional),
            key=lambda pair: script.options.index(pair[0]),
        )
    )
    ordered = [next(placed) if option.positional else (option, value) for option, value in given]
    return [
        word
        for option, value in ordered
        for word in ([value] if option.positional else [option.name, value])
    ]
