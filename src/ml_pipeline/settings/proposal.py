"""What `init` writes, section by section."""

from collections.abc import Sequence

from ml_pipeline.settings.page import Page
from ml_pipeline.settings.survey import roles, tools
from ml_pipeline.settings.survey.columns import is_classes
from ml_pipeline.settings.survey.project import Survey
from ml_pipeline.settings.survey.roles import Guess
from ml_pipeline.settings.survey.scripts import Script
from ml_pipeline.settings.survey.tables import Column, Table, naive_error

_FEW_ROWS = 1000
_OF_CLASSES = frozenset({"accuracy", "f1", "roc_auc", "log_loss"})
_OF_QUANTITIES = frozenset({"mae", "rmse", "mape", "r2"})
_BOUNDS = {"mape": (0, 10), "r2": (-1, 1), "log_loss": (0, 10)}
_SUFFIXES_OF_PICKLE = (".pkl", ".pickle", ".joblib")


def rows_page(page: Page, seen: Survey) -> None:
    """`[environment]` where it needs words, and `[data]`."""
    _environment(page, seen)
    page.section("data", "where the rows come from, and which columns are used")
    _source_of_rows(page, seen)
    chosen = seen.choice
    if chosen.target:
        page.set("target", chosen.target, check=chosen.target_doubt)
    else:
        page.fill_in("target", "y", why="the column to predict")
    if chosen.features:
        page.set("features", chosen.features, check=chosen.features_doubt)
    else:
        page.fill_in("features", ["a", "b"], why="the columns the model sees, in its order")
    if chosen.time:
        held = "the newest rows by it are held out and never trained on"
        page.set("time_column", chosen.time, check=chosen.time_doubt, note=held)
    if chosen.keys:
        page.set("key_columns", chosen.keys)
    if seen.table is not None and seen.table.rows:
        _columns(page, seen, seen.table)


def commands_page(page: Page, seen: Survey) -> None:
    """`[checks]`, `[train]`, `[hyperparameters]` and `[staging]`."""
    page.section("checks", "the project's own checks")
    lint = tools.linters(seen.source, seen.dependencies)
    declared = [list(one.argv) for one in lint if one.declared]
    if declared:
        page.set("lint", declared)
    for one in lint:
        if not one.declared:
            missing = f"{one.argv[0]} is configured, but no dependency of the project"
            page.offer("lint", [list(one.argv)], why=missing)
    _guess(page, "unit_test", tools.unit_tests(seen.source, seen.dependencies))
    page.section("train", "trains on {data}; leaves a model and metrics in {output}")
    if seen.training:
        _training(page, seen.training)
    else:
        example = ["python", "train.py", "--data", "{data}", "--output", "{output}"]
        page.fill_in("command", example, why="no script that trains was found")
    test = tools.integration_test(seen.scripts)
    if test is not None:
        page.section("staging", "tests of a served model, before users meet it")
        page.set("integration_test", test.argv)


def model_page(page: Page, seen: Survey) -> None:
    """`[metric]` and `[gate]`."""
    page.section("metric", "computed by the pipeline on rows the model never saw")
    target = seen.target
    reported = seen.training[0].metrics if seen.training else {}
    name = _metric_name(target, list(reported))
    why = "" if name in reported else "no metric was found in the training script"
    page.set("name", name, check=why)
    if name in reported:
        page.set("reported_as", reported[name], check="its key in the training's own metrics")
    if target is None:
        page.fill_in("min", 0, why="the least value of the metric that is believed")
        page.fill_in("max", 100, why="the greatest value of the metric that is believed")
        page.fill_in("prediction_min", 0, why="the least a prediction may be")
        page.fill_in("prediction_max", 100, why="the greatest a prediction may be")
    else:
        _ranges(page, name, target)
    page.section("gate", "a challenger may be at most 5 % worse than the champion")
    _limit(page, name, seen)


def _environment(page: Page, seen: Survey) -> None:
    files = tools.requirement_files(seen.source)
    project = tools.pyproject(seen.source).get("project", {})
    if files and "requirements.txt" not in files and "dependencies" not in project:
        page.section("environment", "the project's own environment")
        page.set("requirements", files, check="all of them are installed together")


def _source_of_rows(page: Page, seen: Survey) -> None:
    fetch, generate = roles.fetcher(seen.scripts), roles.generator(seen.scripts)
    if seen.table is not None:
        page.set("path", seen.table.path.as_posix(), check="the table that fits the scripts best")
        if fetch is not None:
            page.offer("fetch", fetch.argv, why="instead of 'path': fetch the rows anew each time")
    elif fetch is not None:
        page.set("fetch", fetch.argv, check=fetch.doubt)
    else:
        page.fill_in("path", "data.csv", why="a CSV or Parquet file, or a command as 'fetch'")
    prepare = roles.preparer(seen.scripts)
    if prepare is not None and (seen.choice.absent or seen.table is None):
        page.set("prepare", prepare.argv, check="it makes the features of the raw rows")
    elif seen.choice.absent:
        listed = ", ".join(seen.choice.absent)
        page.note(f"check: {listed}: no column of the table; 'prepare' may name what makes it")
    if generate is not None:
        page.set("generate", generate.argv)


def _columns(page: Page, seen: Survey, table: Table) -> None:
    used = (seen.choice.target, *seen.choice.features, seen.choice.time, *seen.choice.keys)
    if table.rows < _FEW_ROWS:
        page.set("min_rows", max(1, table.rows // 2), note=f"the table has {table.rows} rows now")
    page.section("data.columns", "as measured; 'min' and 'max' bound what is believed")
    for name in dict.fromkeys(used):
        column = table.column(name) if name else None
        if column is not None:
            span = f"{column.low} … {column.high}" if column.low is not None else ""
            page.set(name, _column_policy(column), note=span)


def _column_policy(column: Column) -> dict[str, object]:
    policy: dict[str, object] = {"type": column.kind}
    if column.missing_share > 0:
        policy["max_missing_share"] = min(1.0, round(2 * column.missing_share + 0.005, 2))
    return policy


def _guess(page: Page, key: str, guess: Guess | None) -> None:
    if guess is not None:
        page.set(key, guess.argv, check=guess.doubt)


def _training(page: Page, candidates: Sequence[Script]) -> None:
    script = candidates[0]
    guess = roles.training_command(script)
    others = ", ".join(other.path.as_posix() for other in candidates[1:])
    doubts = [guess.doubt, f"other scripts that may train: {others}" if others else ""]
    page.set("command", guess.argv, check="; ".join(doubt for doubt in doubts if doubt))
    if roles.style(script):
        page.set("hyperparameter_style", roles.style(script))
    artifact = roles.artifact(script)
    unseen = "" if script.artifacts else "the script shows no name of a model file"
    page.set("artifact", artifact, check=unseen)
    page.set(
        "metrics",
        (script.reports or ["metrics.json"])[0],
        check="" if script.reports else "the script shows no JSON file: it must write one",
    )
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
    values = roles.hyperparameters(script)
    if values:
        page.section("hyperparameters", "appended to the command; these are the script's defaults")
        for name, value in values.items():
            page.offer(name, value, why="")


def _metric_name(target: Column | None, reported: Sequence[str]) -> str:
    classes = target is not None and is_classes(target)
    fitting = (
        {"accuracy", "f1", "roc_auc", "log_loss"} if classes else {"mae", "rmse", "mape", "r2"}
    )
    named = [name for name in reported if target is None or name in fitting]
    return named[0] if named else ("accuracy" if classes else "mae")


def _ranges(page: Page, name: str, target: Column) -> None:
    classes = is_classes(target)
    low, high = (0, target.distinct - 1) if classes else (target.low, target.high)
    spread = high - low
    bounds = {"mae": (0, spread), "rmse": (0, spread), **_BOUNDS}
    low_metric, high_metric = bounds.get(name, (0, 1))
    page.set("min", low_metric, note="what is believed of the metric, not what is good")
    page.set("max", high_metric)
    if classes:
        page.set("prediction_min", low)
        page.set("prediction_max", high)
        return
    beyond = "half the measured spread beyond what the target was"
    page.set("prediction_min", low - spread / 2, check=f"{beyond}, {low} … {high}")
    page.set("prediction_max", high + spread / 2)


def _limit(page: Page, name: str, seen: Survey) -> None:
    naive = None
    if seen.table is not None and seen.target is not None:
        naive = naive_error(seen.source, seen.table.path, seen.choice.target, name)
    why = "how good the very first model must be, by the metric above"
    if naive is not None:
        side = "above" if name == "accuracy" else "below"
        why += f". Always giving the same answer scores {naive:.4g}: stay {side} it"
    page.fill_in("limit", round(naive, 4) if naive is not None else 1.0, why=why)
    rows = seen.table.rows if seen.table is not None else 0
    if 0 < rows < _FEW_ROWS:
        page.set("min_rows", max(10, rows // 10), note="of held-out rows, to compare two models")
