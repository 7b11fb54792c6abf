"""One look at a whole project."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.settings.survey import guesses, tools
from ml_pipeline.settings.survey.columns import Choice, choose, is_classes
from ml_pipeline.settings.survey.layout import Layout, layout_of
from ml_pipeline.settings.survey.scripts import Script, scripts
from ml_pipeline.settings.survey.tables import Column, Table, tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was seen of a project; `training` are candidates, the likeliest first."""

    source: Path
    layout: Layout
    scripts: Sequence[Script]
    training: Sequence[Script]
    dependencies: frozenset[str]
    table: Table | None
    choice: Choice

    @property
    def predicts_classes(self) -> bool:
        """Whether the target looks like classes, to the eye and to the training."""
        regresses = bool(self.training) and self.training[0].regresses
        return self.target is not None and is_classes(self.target, regresses=regresses)

    @property
    def target(self) -> Column | None:
        """The target's column as measured."""
        return self.table.column(self.choice.target) if self.table else None


def survey(source: Path) -> Survey:
    """Look at scripts, tables and tools; nothing of the project runs."""
    found = scripts(source)
    training = guesses.training(found)
    choice, table = choose(source, tables(source), [*training, *found])
    return Survey(
        source=source,
        layout=layout_of(source, tools.pyproject(source)),
        scripts=found,
        training=training,
        dependencies=tools.dependencies(source),
        table=table,
        choice=choice,
    )
