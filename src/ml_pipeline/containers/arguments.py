"""Arguments that several functions share, each documented once, and long ones of the module."""

from typing import Annotated

from dagger import Directory, Doc, Name, Secret

Data = Annotated[
    Directory | None,
    Doc("Files laid over the project, such as rows that its .gitignore leaves out"),
]
Platform = Annotated[
    str, Doc("Trains and serves: local, sagemaker, azureml or vertex [as the project says]")
]
Settings = Annotated[
    list[str] | None,
    Doc("For this call, as load.rate_per_s=80; `resume` keeps those its run began with"),
]
State = Annotated[
    Directory | None,
    Name("state"),
    Doc("State to begin with, as the function `state` returned it, on an engine without any"),
]
TrackingUri = Annotated[
    Secret | None,
    Doc("MLflow: server for commands of the project that get it by environment.pass_variables"),
]

OnRun = Annotated[str, Doc("Id of the run whose evidence is used and added to [newest]")]
OwnRun = Annotated[
    str, Doc("Id of the run whose data is used and which is added to [data is fetched now]")
]
Evidence = Annotated[
    Directory | None,
    Doc("A run's evidence to work on instead, such as ./runs/20260301-093005-1f2e"),
]
Newest = Annotated[str, Doc("Id of the run [newest]")]
RunId = Annotated[str, Doc("Id of the new run, up to 63 of a-z, 0-9 and hyphens [a fresh one]")]
Force = Annotated[bool, Doc("Train although nothing changed or the 12-hour guard holds")]
ForcePromote = Annotated[bool, Doc('Pass the verdict "no improvement"; a fault is never passed')]
Reason = Annotated[str, Doc("Why; stands in the evidence")]
Chaos = Annotated[str, Doc("A drill in production: errors=0.2, slow_ms=800 or crash_after=50")]
Cutoff = Annotated[str, Doc("Hold out the rows at or after this date, such as 2026-01-26")]
Trigger = Annotated[str, Doc("What started it; stands in the evidence")]
Wait = Annotated[bool, Doc("Wait for another run to end instead of stopping with exit code 7")]
