"""What `init` writes about rows, metric and gate."""

import math
from collections.abc import Callable, Sequence

from ml_pipeline.domain.policies.gate import MetricName
from ml_pipeline.settings.consistency import LOWER_IS_BETTER
from ml_pipeline.settings.page import Page
from ml_pipeline.settings.survey import guesses, tools
from ml_pipeline.settings.survey.classes import in_order
from ml_pipeline.settings.survey.guesses import Guess
from ml_pipeline.settings.survey.layout import Layout
from ml_pipeline.settings.survey.project import Survey
from ml_pipeline.settings.survey.scripts import Script, reads_parquet_only
from ml_pipeline.settings.survey.tables import Column, Table, labels, naive_error

_FEW_ROWS = 1000
_OF_CLASSES = frozenset({"accuracy", "f1", "roc_auc", "log_loss"})
_OF_QUANTITIES = frozenset({"mae", "rmse", "mape", "r2"})
_BOUNDS = {"mape": (0, 10), "r2": (-1, 1), "log_loss": (0, 10)}
_MOST_LABELS = 200
#: Artifacts that hold an estimator, which predicts the labels it was given.
_KEEP_LABELS = (".skops", ".joblib", ".pkl", ".pickle", ".cbm")


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
    _classes(page, seen)
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


def model_page(page: Page, seen: Survey) -> None:
    """`[metric]` and `[gate]`."""
    page.section("metric", "computed by the pipeline on rows the model never saw")
    target = seen.target
    script = seen.training[0] if seen.training else None
    reported = script.metrics if script else {}
    name = _metric_name(target, list(reported), classes=seen.predicts_classes)
    why = "" if name in reported else "no metric was found in the training script"
    page.set("name", name, check=why)
    written = script is not None and (script.reports or script.report is not None)
    if script is not None and written and name in reported:
        nested = "; names in names are joined by dots" if "." in reported[name] else ""
        certain = script.report is not None
        told = {"note" if certain else "check": f"its key in the training's own metrics{nested}"}
        page.set("reported_as", reported[name], **told)
    if target is None:
        page.fill_in("min", 0, why="the least value of the metric that is believed")
        page.fill_in("max", 100, why="the greatest value of the metric that is believed")
        page.fill_in("prediction_min", 0, why="the least a prediction may be")
        page.fill_in("prediction_max", 100, why="the greatest a prediction may be")
    else:
        _ranges(page, name, target, classes=seen.predicts_classes)
    page.section("gate", "a challenger may be at most 5 % worse than the champion")
    _limit(page, name, seen)


def _environment(page: Page, seen: Survey) -> None:
    files = tools.requirement_files(seen.source)
    project = tools.pyproject(seen.source).get("project", {})
    loose = files and "requirements.txt" not in files and "dependencies" not in project
    root = seen.layout.launch(seen.training[0]).root if seen.training else ""
    if loose or root:
        page.section("environment", "the project's own environment")
    if loose:
        page.set("requirements", files, check="all of them are installed together")
    if root:
        why = f"the package lies in {root}, and no [build-system] says so: this lets Python find it"
        page.set("variables", {"PYTHONPATH": root}, check=why)


def _classes(page: Page, seen: Survey) -> None:
    """The labels of a target of text, in the order that says which one is positive."""
    table, target = seen.table, seen.target
    if table is None or target is None or target.kind != "text":
        return
    found = in_order(labels(seen.source, table.path, target.name, most=_MOST_LABELS))
    listed = _listed_by_scripts(seen, found)
    if listed and len(found) > 2:
        why = "every label, as the scripts order them: a prediction that is a number is a position"
        page.set("classes", listed, check=why)
    elif not found:
        why = f"every label of {target.name}, in order; it has {target.distinct}"
        page.fill_in("classes", ["a", "b"], why=f"{why}, which is many for classes")
    elif len(found) == 2:
        why = f"in this order {found[1]!r}, the last, is the positive one of f1 and roc_auc"
        page.set("classes", found, check=why)
    else:
        why = "every label; a prediction that is a number is a position in this list"
        named = seen.training and guesses.artifact(seen.training[0]).endswith(_KEEP_LABELS)
        page.set("classes", found, **{"note" if named else "check": why})


def _listed_by_scripts(seen: Survey, found: Sequence[str]) -> Sequence[str]:
    """The labels in the order in which a script lists or numbers them."""
    orders = [*(order for one in seen.training for order in one.flows.orders)]
    orders += [tuple(texts) for one in seen.training for texts in one.lists.values()]
    return next((list(one) for one in orders if sorted(one) == sorted(found)), [])


def _table(page: Page, table: Table) -> None:
    page.set("path", table.path.as_posix(), check="the table that fits the scripts best")
    if table.separator != ",":
        page.set("separator", table.separator, note="what parts the names in its header")


def _source_of_rows(page: Page, seen: Survey) -> None:
    fetch, generate = _of(guesses.fetcher, seen), _of(guesses.generator, seen)
    if seen.table is not None:
        _table(page, seen.table)
        if fetch is not None:
            page.offer("fetch", fetch.argv, why="instead of 'path': fetch the rows anew each time")
    elif fetch is not None:
        page.set("fetch", fetch.argv, check=fetch.doubt)
    else:
        page.fill_in("path", "data.csv", why="a CSV or Parquet file, or a command as 'fetch'")
    if seen.training and reads_parquet_only(seen.training[0].formats):
        page.set("format", "parquet", note="what {data} is; the training script reads no CSV")
    prepare = _of(guesses.preparer, seen)
    if prepare is not None and (seen.choice.absent or seen.table is None):
        page.set("prepare", prepare.argv, check="it makes the features of the raw rows")
    elif seen.choice.absent:
        listed = ", ".join(seen.choice.absent)
        page.note(f"check: {listed}: no column of the table; 'prepare' may name what makes it")
    if generate is not None:
        page.set("generate", generate.argv)


def _of(find: Callable[[Sequence[Script], Layout], Guess | None], seen: Survey) -> Guess | None:
    return find(seen.scripts, seen.layout)


def _columns(page: Page, seen: Survey, table: Table) -> None:
    used = (seen.choice.target, *seen.choice.features, seen.choice.time, *seen.choice.keys)
    if table.rows < _FEW_ROWS:
        page.set("min_rows", max(1, table.rows // 2), note=f"the table has {table.rows} rows now")
    page.section("data.columns", "as measured; 'min' and 'max' bound what is believed")
    for name in dict.fromkeys(used):
        column = table.column(name) if name else None
        if column is not None:
            policy, filled = _column_policy(column), _fill(seen, column)
            if filled is None:
                page.set(name, policy, note=_span(column))
            else:
                why = "the training fills empty cells with it"
                page.set(name, {**policy, "fill": filled}, check=why)


def _span(column: Column) -> str:
    """What was measured, in a comment; empty where the column has no order."""
    if column.low is None:
        return ""
    return " … ".join(
        f"{end:.6g}" if isinstance(end, int | float) else str(end)
        for end in (column.low, column.high)
    )


def _fill(seen: Survey, column: Column) -> str | int | float | None:
    """What the training puts into empty cells of such a column, where it says one thing."""
    if not seen.training or column.name not in seen.choice.features or not column.missing_share:
        return None
    texts = column.kind == "text"
    told = {
        value for value in seen.training[0].flows.filled
        if isinstance(value, str) == texts and not isinstance(value, bool)
    }  # fmt: skip
    return told.pop() if len(told) == 1 and column.kind != "time" else None


def _column_policy(column: Column) -> dict[str, object]:
    policy: dict[str, object] = {"type": column.kind}
    if column.missing_share > 0:
        policy["max_missing_share"] = min(1.0, round(2 * column.missing_share + 0.005, 2))
    return policy


def _metric_name(target: Column | None, reported: Sequence[str], *, classes: bool) -> str:
    fitting = _OF_CLASSES if classes else _OF_QUANTITIES
    named = [name for name in reported if target is None or name in fitting]
    return named[0] if named else ("accuracy" if classes else "mae")


def _ranges(page: Page, name: str, target: Column, *, classes: bool) -> None:
    low, high = _extent(target, classes=classes)
    spread = _outward(high - low)
    bounds = {"mae": (0, spread), "rmse": (0, spread), **_BOUNDS}
    low_metric, high_metric = bounds.get(name, (0, 1))
    page.set("min", low_metric, note="what is believed of the metric, not what is good")
    page.set("max", high_metric)
    if classes:
        page.set("prediction_min", low)
        page.set("prediction_max", high)
        return
    beyond = "half the measured spread beyond what the target was"
    page.set(
        "prediction_min", -_outward((high - low) / 2 - low), check=f"{beyond}, {_span(target)}"
    )
    page.set("prediction_max", _outward(high + (high - low) / 2))


def _extent(target: Column, *, classes: bool) -> tuple[float, float]:
    """The least and the greatest prediction: of labels and truth values, their positions."""
    if target.low is None or target.high is None:
        return 0, max(1, target.distinct - 1)
    return target.low, max(target.high, target.low + 1) if classes else target.high


def _outward(value: float) -> float:
    """A bound with four significant digits, never less than the value; whole where it can be.

    >>> _outward(90.95598), _outward(-45.47799), _outward(19487.0), _outward(0.0)
    (90.96, -45.47, 19490, 0)
    """
    if not math.isfinite(value):
        return value
    digits = 3 - math.floor(math.log10(abs(value))) if value else 0
    rounded = round(math.ceil(round(value * 10.0**digits, 6)) / 10.0**digits, max(digits, 0))
    return int(rounded) if rounded == int(rounded) else rounded


def _limit(page: Page, name: str, seen: Survey) -> None:
    naive = None
    if seen.table is not None and seen.target is not None:
        naive = naive_error(seen.source, seen.table.path, seen.choice.target, name)
    why = "how good the very first model must be, by the metric above"
    if naive is not None:
        side = "below" if MetricName(name) in LOWER_IS_BETTER else "above"
        why += f". Always giving the same answer scores {naive:.4g}: stay {side} it"
    page.fill_in("limit", round(naive, 4) if naive is not None else 1.0, why=why)
    rows = seen.table.rows if seen.table is not None else 0
    if 0 < rows < _FEW_ROWS:
        page.set("min_rows", max(10, rows // 10), note="of held-out rows, to compare two models")
