"""Training jobs that run the container's own program in SageMaker's folders."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from pathlib import Path

from sagemaker_state import AwsError, arn, child_environment, invalid, log, now, objects, put_object

_GRACE_S = 120


class Jobs:
    """The operations on training jobs."""

    def __init__(self, account) -> None:
        self.account = account

    def create_training_job(self, asked):
        name = asked["TrainingJobName"]
        with self.account.lock:
            if name in self.account.jobs:
                raise AwsError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region.",
                )
            limits = asked["StoppingCondition"]
            if asked.get("EnableManagedSpotTraining"):
                if limits.get("MaxWaitTimeInSeconds", 0) < limits["MaxRuntimeInSeconds"]:
                    raise invalid("MaxWaitTimeInSeconds must be at least MaxRuntimeInSeconds.")
            elif "MaxWaitTimeInSeconds" in limits:
                raise invalid("MaxWaitTimeInSeconds needs EnableManagedSpotTraining.")
            job = Job(self.account, asked)
            self.account.jobs[name] = job
            self.account.tags[job.told["TrainingJobArn"]] = list(asked.get("Tags", []))
        job.start()
        return {"TrainingJobArn": job.told["TrainingJobArn"]}

    def describe_training_job(self, asked):
        return dict(self._job(asked["TrainingJobName"]).told)

    def stop_training_job(self, asked):
        job = self._job(asked["TrainingJobName"])
        with self.account.lock:
            if job.told["TrainingJobStatus"] != "InProgress":
                raise invalid(
                    "The request was rejected because the training job is in status "
                    f"{job.told['TrainingJobStatus']}."
                )
            job.became("Stopping", "Stopping")
        job.stopped.set()
        return {}

    def list_training_jobs(self, asked):
        with self.account.lock:
            found = [job.told for job in self.account.jobs.values()]
        if asked.get("NameContains"):
            found = [one for one in found if asked["NameContains"] in one["TrainingJobName"]]
        if asked.get("StatusEquals"):
            found = [one for one in found if one["TrainingJobStatus"] == asked["StatusEquals"]]
        found.sort(
            key=lambda one: one["CreationTime"], reverse=asked.get("SortOrder") == "Descending"
        )
        # pages of two: whoever forgets to ask for the next one is found out
        start = int(asked.get("NextToken", "0"))
        size = min(asked.get("MaxResults", 10), 2 if "NextToken" in asked or len(found) > 2 else 10)
        kept = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus")
        answer = {
            "TrainingJobSummaries": [
                {key: one[key] for key in kept} for one in found[start : start + size]
            ]
        }
        if start + size < len(found):
            answer["NextToken"] = str(start + size)
        return answer

    def _job(self, name):
        try:
            return self.account.jobs[name]
        except KeyError:
            raise AwsError("ValidationException", "Requested resource not found.") from None


class Job(threading.Thread):
    """One job from Starting to its end."""

    def __init__(self, account, asked) -> None:
        super().__init__(daemon=True)
        self.account, self.asked = account, asked
        self.stopped = threading.Event()
        name = asked["TrainingJobName"]
        kept = {key: value for key, value in asked.items() if key != "Tags"}
        self.told = {
            **kept,
            "TrainingJobArn": arn("training-job", name),
            "ModelArtifacts": {"S3ModelArtifacts": self._uri(asked)},
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }

    def became(self, status, secondary, **more) -> None:
        with self.account.lock:
            self.told.update(
                TrainingJobStatus=status, SecondaryStatus=secondary, LastModifiedTime=now(), **more
            )

    def run(self) -> None:
        try:
            self._steps()
        except Exception as error:  # noqa: BLE001 - AWS calls it an internal error too
            self.became("Failed", "Failed", FailureReason=f"InternalServerError: {error!r}")

    def _steps(self) -> None:
        self.account.wait()
        if self.account.fault("job-stuck"):
            self.became("InProgress", "Pending")
            self.stopped.wait()
        if self.stopped.is_set():
            self.became("Stopped", "Stopped", TrainingEndTime=now())
            return
        self.became("InProgress", "Downloading")
        if self.account.fault("job-preempted"):
            self._interrupted()
        self._trained()

    def _interrupted(self) -> None:
        """Run until its first checkpoint, or for a while; checkpoints are what is left of it."""
        root = self._root()
        if self._inputs(root):
            return
        self.became("InProgress", "Training")
        kept = self.asked.get("CheckpointConfig")
        begun = time.monotonic()

        def over() -> bool:
            there = any((root / "checkpoints").glob("*"))
            return there or time.monotonic() - begun > (10 if kept else self.account.delay_s)

        self._container(root, over)
        for path in (root / "checkpoints").glob("*") if kept else ():
            put_object(f"{kept['S3Uri'].rstrip('/')}/{path.name}", path.read_bytes())
        self.became("InProgress", "Interrupted")
        self.account.wait()
        self.became("InProgress", "Restarting")

    def _root(self) -> Path:
        return Path(self.account.root) / "jobs" / uuid.uuid4().hex

    def _trained(self) -> None:
        root = self._root()
        missing = self._inputs(root)
        if missing:
            self._failed(f"ClientError: Data download failed: no S3 objects under {missing}")
            return
        self.became("InProgress", "Training", TrainingStartTime=now())
        code, text, over = self._container(root)
        name = self.told["TrainingJobName"]
        log("/aws/sagemaker/TrainingJobs", f"{name}/algo-1-1", text)
        if over:
            self.became("Stopped", over, TrainingEndTime=now())
        elif self.stopped.is_set():
            self.became("Stopped", "Stopped", TrainingEndTime=now())
        elif code or self.account.fault("job-failed"):
            failure = root / "output" / "failure"
            said = failure.read_text() if failure.exists() else ""
            self._failed(f"AlgorithmError: {said}, exit code: {code or 1}")
        else:
            self._uploaded(root)

    def _inputs(self, root: Path) -> str:
        for channel in self.asked.get("InputDataConfig", ()):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            found = objects(uri)
            if not found:
                return uri
            for name, content in found.items():
                target = root / "input" / "data" / channel["ChannelName"] / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        config = root / "input" / "config"
        config.mkdir(parents=True)
        given = json.dumps(self.asked.get("HyperParameters", {}))
        (config / "hyperparameters.json").write_text(given)
        for folder in ("model", "output", "checkpoints"):
            (root / folder).mkdir()
        kept = self.asked.get("CheckpointConfig")
        for name, content in objects(kept["S3Uri"]).items() if kept else ():
            (root / "checkpoints" / name).write_bytes(content)
        return ""

    def _container(self, root: Path, taken_away=lambda: False):
        """Its exit code, what it printed, and the limit that ended it."""
        command, more = self._image(root)
        process = subprocess.Popen(
            command,
            env=child_environment(
                TRAINING_JOB_NAME=self.told["TrainingJobName"],
                ML_PIPELINE_ROOT=str(root),
                **more,
                **self.asked.get("Environment", {}),
            ),
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed: list[str] = []
        reader = threading.Thread(target=lambda: printed.extend(process.stdout), daemon=True)
        reader.start()
        limit_s = self.asked["StoppingCondition"].get("MaxRuntimeInSeconds", 86400)
        waited, over = 0.0, ""
        while process.poll() is None and not over:
            if self.stopped.wait(0.05) or self.account.stopping.is_set() or taken_away():
                break
            waited += 0.05
            over = "MaxRuntimeExceeded" if waited > limit_s else ""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        reader.join(5)
        return process.returncode, "".join(printed), over

    def _image(self, root: Path):
        """What the job's image starts, and what it has in its environment.

        Without an entry point of the job's own it is the project's image. With one it is an image
        AWS publishes: a Python with nothing of the pipeline, and `/opt/ml` is this job's folder.
        """
        asked = self.asked["AlgorithmSpecification"]
        if "ContainerEntrypoint" not in asked:
            command = [sys.executable, "-m", "ml_pipeline.entry", "train"]
            return command, {"ML_PIPELINE_PROJECT_ENV": self.account.project_env}
        programs = Path(self.account.framework_env or root / "image") / "bin"
        if not self.account.framework_env and not programs.exists():
            programs.mkdir(parents=True)
            for name in ("python", "python3"):
                (programs / name).symlink_to(sys._base_executable)
        words = [*asked["ContainerEntrypoint"], *asked.get("ContainerArguments", ())]
        command = [word.replace("/opt/ml", str(root)) for word in words]
        return command, {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def _failed(self, why: str) -> None:
        self.became("Failed", "Failed", FailureReason=why[:1024], TrainingEndTime=now())

    def _uploaded(self, root: Path) -> None:
        self.became("InProgress", "Uploading")
        metrics = root / "model" / "metrics.json"
        if self.account.fault("metrics-missing"):
            metrics.unlink()
        if self.account.fault("metrics-nan"):
            metrics.write_text('{"mae": NaN}')
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.add(root / "model", ".")
        uri = self._uri(self.asked)
        if not self.account.fault("artifact-missing"):
            put_object(uri, packed.getvalue())
        self.account.wait()
        self.became("Completed", "Completed", TrainingEndTime=now())

    @staticmethod
    def _uri(asked) -> str:
        place = asked["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        return f"{place}/{asked['TrainingJobName']}/output/model.tar.gz"
