"""What every section of the settings has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

#: One command as an argv list: no shell, at least a program.
Argv = Annotated[tuple[str, ...], Field(min_length=1)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
#: A name that may become part of a path, a label or a URL.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Policy(BaseModel):
    """A frozen section; unknown keys are errors, numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
