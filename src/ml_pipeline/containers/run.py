"""A finished run as an object, for chaining."""

import dagger
from dagger import field, function, object_type


@object_type
class Run:
    """A run of the whole pipeline: what it came to, and everything it left."""

    evidence: dagger.Directory = field()
    """Its folder as `runs/<id>`, with report.html, report.md, junit.xml and outcome beside it."""

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
