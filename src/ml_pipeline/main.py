"""The Dagger module: what `dagger functions` lists and `dagger call` calls.

A function builds the container of its stage and runs the command `ml-pipeline` in it, the same
as on the host; how containers are made is in `ml_pipeline.containers`. Whatever has a side effect
or looks at a clock is `@never_cached`, as are the steps inside it; what follows from content alone
is a plain `@function`, which the engine answers from its cache. In descriptions, brackets hold
what is taken where nothing is given: `Id of a run [newest]`.
"""

from typing import Annotated

import dagger
from dagger import Directory, Doc, Secret, check, function, object_type

from ml_pipeline.containers import arguments as given
from ml_pipeline.containers import calls
from ml_pipeline.containers.bench import LEFT_OUT, SECRETS, Bench, Uses
from ml_pipeline.containers.calls import never_cached, options
from ml_pipeline.containers.image import BASE_IMAGE
from ml_pipeline.containers.run import Run
from ml_pipeline.pipeline import spec


@object_type
class MlPipeline:
    """Decides with evidence whether a newly trained model may serve users, and moves traffic.

    Each stage is a function of its own, and `full-pipeline` is all of them. A call ends with
    0 done, 1 bug, 2 no improvement, 3 checks red, 4 configuration, 5 data, 6 refused,
    7 unavailable, 8 time limit, 9 rolled back, 10 inconclusive or 130 interrupted.
    """

    source: Annotated[
        Directory,
        dagger.DefaultPath("examples/freshmart"),
        dagger.Ignore(LEFT_OUT),
        Doc("The project: code, data and [tool.ml-pipeline]; the FreshMart example by default"),
    ]
    data: given.Data = None
    platform: given.Platform = ""
    profile: Annotated[str, Doc("Waits: laptop, production or test [as the project says]")] = ""
    base_image: Annotated[str, Doc("What containers start from; holds Python >= 3.11")] = BASE_IMAGE
    settings: given.Settings = None
    given_state: given.State = None
    commit: Annotated[str, Doc("The project's commit, for the evidence [unknown]")] = ""
    package_index: Annotated[Secret | None, Doc("URL of a package index, for uv and pip")] = None
    aws_access_key_id: Annotated[Secret | None, Doc("AWS: access key")] = None
    aws_secret_access_key: Annotated[Secret | None, Doc("AWS: secret of that key")] = None
    aws_session_token: Annotated[Secret | None, Doc("AWS: token of a temporary key")] = None
    azure_tenant_id: Annotated[Secret | None, Doc("Azure: directory")] = None
    azure_client_id: Annotated[Secret | None, Doc("Azure: application")] = None
    azure_client_secret: Annotated[Secret | None, Doc("Azure: secret of that application")] = None
    azure_token_request: Annotated[Secret | None, Doc("Azure: URL and key of a CI's tokens")] = None
    gcp_credentials: Annotated[Secret | None, Doc("Google: text of a credentials file")] = None
    slack_webhook: Annotated[Secret | None, Doc("Slack: where `notify` posts to")] = None
    mlflow_tracking_uri: given.TrackingUri = None
    mlflow_tracking_token: Annotated[Secret | None, Doc("MLflow: token for that server")] = None

    @never_cached
    async def full_pipeline(
        self,
        force: given.Force = False,
        force_promote: given.ForcePromote = False,
        reason: given.Reason = "",
        chaos: given.Chaos = "",
        cutoff_date: given.Cutoff = "",
        run_id: given.RunId = "",
        trigger: given.Trigger = "manual",
        wait: given.Wait = False,
    ) -> str:
        """Everything: data, checks, training, verdict, staging, load test, rollout, report."""
        flags = options(
            force=force, force_promote=force_promote, reason=reason, chaos=chaos,
            cutoff_date=cutoff_date, run_id=run_id, trigger=trigger, wait=wait,
        )  # fmt: skip
        return await calls.told(self._bench(), "full-pipeline", *flags)

    @never_cached
    async def run(
        self,
        force: given.Force = False,
        force_promote: given.ForcePromote = False,
        reason: given.Reason = "",
        chaos: given.Chaos = "",
        cutoff_date: given.Cutoff = "",
        run_id: given.RunId = "",
        trigger: given.Trigger = "manual",
        wait: given.Wait = False,
    ) -> Run:
        """Everything, as an object to chain; what it came to is in its `outcome`."""
        flags = options(
            force=force, force_promote=force_promote, reason=reason, chaos=chaos,
            cutoff_date=cutoff_date, trigger=trigger, wait=wait,
        )  # fmt: skip
        return await calls.whole(self._bench(), run_id, *flags)

    @never_cached
    async def ci(self, run_id: given.RunId = "", trigger: given.Trigger = "pull-request") -> str:
        """The checks of a pull request: lint, unit tests, data, smoke training, report."""
        words = ("ci", *options(run_id=run_id, trigger=trigger))
        return await calls.told(self._bench(), *words, extra="models", uses=Uses.CHECKS)

    @never_cached
    async def resume(
        self,
        run: Annotated[str, Doc("Id of the run")],
        approve: Annotated[bool, Doc("Approve a run that waits for a person")] = False,
        reason: given.Reason = "",
        wait: given.Wait = False,
    ) -> str:
        """Continue a run that was interrupted or waits for approval."""
        flags = options(approve=approve, reason=reason, wait=wait)
        return await calls.told(self._bench(), "resume", *flags, run=run)

    @never_cached
    async def abort(self, run: given.Newest = "", wait: given.Wait = False) -> str:
        """Cancel what a run left running and give the champion its traffic back."""
        return await calls.told(self._bench(), "abort", *options(wait=wait), run=run)

    @never_cached
    async def rollback(self, reason: given.Reason = "", wait: given.Wait = False) -> str:
        """Give traffic and the champion's name back to the version that served before."""
        return await calls.told(self._bench(), "rollback", *options(reason=reason, wait=wait))

    @never_cached
    async def fetch_data(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Fetch the data with the project's own command and hold rows out."""
        return await self._stage("fetch-data", run, evidence)

    @function
    @check
    async def lint(self) -> str:
        """The project's own linters; unchanged content that passed is not linted again."""
        return await self._stage("lint")

    @function
    @check
    async def unit_test(self) -> str:
        """The project's own unit tests; unchanged content that passed is not tested again."""
        return await self._stage("unit-test")

    @never_cached
    @check
    async def validate_data(self, run: given.OwnRun = "", evidence: given.Evidence = None) -> str:
        """Schema, ranges and completeness, of a run's data or else of data fetched now."""
        return await self._stage("validate-data", run, evidence)

    @never_cached
    @check
    async def smoke_train(self, run: given.OwnRun = "", evidence: given.Evidence = None) -> str:
        """Train a small model on 500 rows and judge artifact, predictions and metrics."""
        return await self._stage("smoke-train", run, evidence)

    @never_cached
    async def drift(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """How far the data has moved from what the champion was accepted on."""
        return await self._stage("drift", run, evidence)

    @never_cached
    async def decide(
        self,
        run: given.OnRun = "",
        evidence: given.Evidence = None,
        force: given.Force = False,
        reason: given.Reason = "",
    ) -> str:
        """Whether training is due: reason, force, 12-hour cost guard."""
        return await self._stage("decide", run, evidence, *options(force=force, reason=reason))

    @never_cached
    async def train(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Train on the platform: submit, poll, time out, cancel."""
        return await self._stage("train", run, evidence)

    @never_cached
    async def evaluate(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Score challenger and champion on the same held-out rows."""
        return await self._stage("evaluate", run, evidence)

    @never_cached
    async def compare(
        self,
        run: given.OnRun = "",
        evidence: given.Evidence = None,
        force_promote: given.ForcePromote = False,
    ) -> str:
        """The verdict: promote, no improvement or inconclusive."""
        flags = options(force_promote=force_promote)
        return await self._stage("compare", run, evidence, *flags)

    @never_cached
    async def package(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Package the model as ONNX or skops and prove that it predicts the same."""
        return await self._stage("package", run, evidence)

    @never_cached
    async def register(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Register the version as challenger."""
        return await self._stage("register", run, evidence)

    @never_cached
    async def deploy_staging(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Deploy to staging: health, the project's integration tests, equal predictions."""
        return await self._stage("deploy-staging", run, evidence)

    @never_cached
    async def load_test(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Requests on a schedule against staging, 50/s for 30 s unless the settings say else."""
        return await self._stage("load-test", run, evidence)

    @never_cached
    async def approve(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Whether a person must approve; `resume --approve` is how one does."""
        return await self._stage("approve", run, evidence)

    @never_cached
    async def deploy_production(
        self, run: given.OnRun = "", evidence: given.Evidence = None, chaos: given.Chaos = ""
    ) -> str:
        """Deploy the challenger beside the champion at 0 % and verify its health."""
        return await self._stage("deploy-production", run, evidence, *options(chaos=chaos))

    @never_cached
    async def shift_traffic(
        self, run: given.OnRun = "", evidence: given.Evidence = None, chaos: given.Chaos = ""
    ) -> str:
        """Shift traffic in steps, watched, and back again on harm."""
        return await self._stage("shift-traffic", run, evidence, *options(chaos=chaos))

    @never_cached
    async def archive(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Move the champion's name to the new version and keep few."""
        return await self._stage("archive", run, evidence)

    @never_cached
    async def report(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Write a run's report: HTML, Markdown, JUnit, JSON."""
        return await self._stage("report", run, evidence)

    @never_cached
    async def notify(self, run: given.OnRun = "", evidence: given.Evidence = None) -> str:
        """Tell Slack what a run came to."""
        return await self._stage("notify", run, evidence)

    @never_cached
    async def evidence(self, run: given.Newest = "") -> Directory:
        """A run's evidence, whatever it came to, with report, JUnit and `outcome` on top.

        What `ci` and the checks leave is found by its id, the newest where there are no others.
        """
        return await calls.evidence_of(self._bench(), run)

    @never_cached
    async def state(self) -> Directory:
        """Registry, platform and runs, without tokens, for `--state` of a later call."""
        return await calls.state_of(self._bench())

    @never_cached
    async def serve(
        self, port: Annotated[int, Doc("Port of the service; `up --ports` maps it")] = 8080
    ) -> dagger.Service:
        """The embedded platform with the champion, as a service: `serve up --ports=8080:8080`."""
        return await calls.platform(self._bench(), port)

    @function
    async def build_image(self) -> dagger.Container:
        """The project's image that a cloud trains and serves with, its environment made."""
        return await calls.built(self._bench())

    @never_cached
    async def publish_image(
        self,
        address: Annotated[str, Doc("Such as registry.example.org/team/model:1.2")],
        username: Annotated[str, Doc("For the registry; none for an open one")] = "",
        password: Annotated[Secret | None, Doc("For the registry")] = None,
    ) -> str:
        """Build the project's image and push it; its address with digest."""
        return await calls.published(self._bench(), address, username, password)

    def _bench(self) -> Bench:
        return Bench(
            source=self.source, data=self.data, state=self.given_state, commit=self.commit,
            platform=self.platform, profile=self.profile, settings=self.settings or [],
            base_image=self.base_image, index=self.package_index,
            secrets={variable: getattr(self, name) for name, variable in SECRETS.items()},
        )  # fmt: skip

    async def _stage(
        self, stage: str, run: str = "", evidence: Directory | None = None, *flags: str
    ) -> str:
        return await calls.stage(self._bench(), spec(stage), run, evidence, flags)


#: The name Python readers look for; the engine asks for the class by its own spelling.
MLPipeline = MlPipeline
