"""What `init` writes about commands: checks, training, tests of a served model."""

from collections.abc import Sequence

from ml_pipeline.settings.page import Page
from ml_pipeline.settings.survey import fixed, guesses, linters, tools
from ml_pipeline.settings.survey.guesses import Guess
from ml_pipeline.settings.survey.linters import Lint
from ml_pipeline.settings.survey.project import Survey
from ml_pipeline.settings.survey.scripts import Script

_SUFFIXES_OF_PICKLE = (".pkl", ".pickle", ".joblib")


def commands_page(page: Page, seen: Survey) -> None:
    """`[checks]`, `[train]`, `[hyperparameters]` and `[staging]`."""
    page.section("checks", "the project's own checks; the linters keep out of the pipeline's files")
    _lint(page, linters.linters(seen.source, seen.dependencies))
    _guess(page, "unit_test", tools.unit_tests(seen.source, seen.dependencies, seen.scripts))
    page.section("train", "trains on {data}; leaves a model and metrics in {output}")
    if seen.training:
        _training(page, seen)
    else:
        example = ["python", "train.py", "--data", "{data}", "--output", "{output}"]
        page.fill_in("command", example, why="no script that trains was found")
    test = guesses.integration_test(seen.scripts)
    if test is not None:
        page.section("staging", "tests of a served model, before users meet it")
        page.set("integration_test", test.argv)


def _lint(page: Page, found: Sequence[Lint]) -> None:
    """Linters that are both configured and installed; others stand ready as comments."""
    taken = [one for one in found if one.declared and one.file]
    run = [f"{one.argv[0]} ({one.file})" for one in taken if one.runs]
    if run:
        page.note(f"check: the project's files run with arguments of their own: {', '.join(run)}")
    offered = []
    for one in found:
        if one in taken:
            continue
        why = f"{one.file} names {one.argv[0]}, but it is no dependency of the project"
        if one.declared:
            why = f"{one.argv[0]} is a dependency, but nothing configures it"
        offered.append((list(one.argv), f"check: {why}"))
    if found:
        page.listing("lint", [list(one.argv) for one in taken], offered)


def _guess(page: Page, key: str, guess: Guess | None) -> None:
    if guess is not None:
        page.set(key, guess.argv, check=guess.doubt)


def _training(page: Page, seen: Survey) -> None:
    script = seen.training[0]
    guess = guesses.training_command(script, seen.layout)
    others = [_shown(other) for other in seen.training[1:] if other.runs]
    listed = ", ".join(dict.fromkeys(others))
    doubts = [guess.doubt, f"other scripts that may train: {listed}" if listed else ""]
    page.set("command", guess.argv, check="; ".join(doubt for doubt in doubts if doubt))
    if guesses.style(script):
        page.set("hyperparameter_style", guesses.style(script))
    _left_behind(page, script)
    values = guesses.hyperparameters(script)
    if values:
        page.section("hyperparameters", "appended to the command; these are the script's defaults")
        for name, value in values.items():
            page.offer(name, value, why="")


def _left_behind(page: Page, script: Script) -> None:
    """The model and the metrics a training writes."""
    artifact = guesses.artifact(script)
    page.set("artifact", artifact, check=guesses.artifact_doubt(script))
    lacking = not script.reports and script.report is None
    doubt = "the script shows no JSON file: it must write one" if lacking else ""
    if lacking and fixed.is_fixed(script):
        doubt = "the script shows no JSON file; the command leaves one that says how it ended"
    report = (script.reports or ["metrics.json"])[0]
    at = fixed.place_of(script, report) if fixed.is_fixed(script) else report
    page.set("metrics", at, check=doubt)
    for key, pattern in (
        ("model_key", "model|estim|pipe|clf|regress|classif"),
        ("features_key", "feature|column|cols"),
    ):
        found = script.dumped_key(pattern)
        if found:
            page.set(key, found)
    if artifact.endswith(_SUFFIXES_OF_PICKLE):
        why = "check: a pickle runs code when it is loaded. Better write skops; or opt in:"
        page.offer("allow_pickle", value=True, why=why)


def _shown(script: Script) -> str:
    return " ".join((script.path.as_posix(), *script.words))
