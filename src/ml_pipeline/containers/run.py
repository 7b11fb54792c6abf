"""A finished run as an object, for chaining."""

from typing import Annotated

import dagger
from dagger import Doc, field, function, object_type


@object_type
class Run:
    """A run of the whole pipeline: what it came to, and everything it left."""

    evidence: Annotated[
        dagger.Directory,
        Doc("Its folder, named as the run, with report, JUnit and outcome beside it"),
    ] = field()

    @function
    async def outcome(self) -> str:
        """What it came to: promoted, no-improvement, checks-red, rolled-back and so on."""
        return (await self.evidence.file("outcome").contents()).strip()

    @function
    async def summary(self) -> str:
        """The report as Markdown."""
        return await self.evidence.file("report.md").contents()

    @function
    def junit(self) -> dagger.File:
        """Every check as a JUnit test case."""
        return self.evidence.file("junit.xml")

    @function
    def report(self) -> dagger.File:
        """The report as one HTML page."""
        return self.evidence.file("report.html")
