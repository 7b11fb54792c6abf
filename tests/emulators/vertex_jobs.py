"""JobService: jobs that really run, in states that take time."""

import threading
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.rpc import status_pb2

from tests.emulators.project_image import started
from tests.emulators.vertex_programs import Program, container_env
from tests.emulators.vertex_rules import RefusedError, fits, now

S = types.JobState
FINAL = {S.JOB_STATE_SUCCEEDED, S.JOB_STATE_FAILED, S.JOB_STATE_CANCELLED}


class Jobs:
    """Speaks the part of JobService an adapter needs.

    Args:
        world: gives store, images, faults, times and ids.
    """

    def __init__(self, world: Any) -> None:
        self.world = world
        self.jobs: dict[str, types.CustomJob] = {}
        self.asked_to_stop: dict[str, threading.Event] = {}
        self.threads: list[threading.Thread] = []

    def CreateCustomJob(self, request: Any) -> types.CustomJob:  # noqa: N802
        job = types.CustomJob(request.custom_job)
        pools = job.job_spec.worker_pool_specs
        if not pools or not pools[0].container_spec.image_uri:
            raise RefusedError("INVALID_ARGUMENT", "worker_pool_specs need an image")
        job.name = f"{request.parent}/customJobs/{self.world.number()}"
        job.state = S.JOB_STATE_PENDING
        job.create_time = now()
        self.jobs[job.name] = job
        self.asked_to_stop[job.name] = threading.Event()
        answer = types.CustomJob(job)
        thread = threading.Thread(target=self._run, args=(job,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return answer

    def GetCustomJob(self, request: Any) -> types.CustomJob:  # noqa: N802
        if request.name not in self.jobs:
            raise RefusedError("NOT_FOUND", f"{request.name} not found")
        return self.jobs[request.name]

    def ListCustomJobs(self, request: Any) -> types.ListCustomJobsResponse:  # noqa: N802
        found = [
            job
            for job in reversed(self.jobs.values())
            if fits(request.filter, {f"labels.{k}": v for k, v in job.labels.items()})
        ]
        return types.ListCustomJobsResponse(custom_jobs=found)

    def CancelCustomJob(self, request: Any) -> None:  # noqa: N802
        job = self.GetCustomJob(request)
        if job.state in FINAL:
            raise RefusedError("FAILED_PRECONDITION", f"{job.name} is {job.state.name}")
        job.state = S.JOB_STATE_CANCELLING
        self.asked_to_stop[job.name].set()

    def _run(self, job: types.CustomJob) -> None:
        stop = self.asked_to_stop[job.name]
        fault = self.world.faults.jobs.get(job.labels.get("ml_pipeline_run", ""), "")
        if fault == "stuck":
            stop.wait()
        stop.wait(self.world.latency_s)
        if not stop.is_set():
            job.state, job.start_time = S.JOB_STATE_RUNNING, now()
        if fault == "preempted" and not stop.is_set():
            stop.wait(self.world.latency_s)
            job.state = S.JOB_STATE_PENDING  # spot capacity was taken away: it starts again
            stop.wait(self.world.latency_s)
            job.state = S.JOB_STATE_RUNNING
        if fault == "failed" and not stop.is_set():
            self._failed(job, "the machine of workerpool0-0 was lost")
        elif not stop.is_set():
            self._work(job, stop)
        if stop.is_set() and job.state not in FINAL:
            stop.wait(self.world.latency_s)
            job.state = S.JOB_STATE_CANCELLED
        job.end_time = now()

    def _work(self, job: types.CustomJob, stop: threading.Event) -> None:
        spec = job.job_spec.worker_pool_specs[0].container_spec
        image = self.world.images.get(spec.image_uri)
        if image is None:
            self._failed(job, f"the image {spec.image_uri} cannot be pulled")
            return
        base = job.job_spec.base_output_directory.output_uri_prefix
        env = {
            "ML_PIPELINE_SOURCE": str(image),  # what the image has, unless the job says otherwise
            "ML_PIPELINE_PROJECT_ENV": str(self.world.project_env),
            **{one.name: one.value for one in spec.env},
            "CLOUD_ML_JOB_ID": job.name.rpartition("/")[2],
            "AIP_MODEL_DIR": f"{base}/model/",
            "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
        }
        argv = started([*spec.command, *spec.args])
        program = Program(argv, cwd=self.world.store, env=container_env(self.world.store, env))
        limit_s = job.job_spec.scheduling.timeout.total_seconds()
        begun = self.world.now()
        while program.ended() is None and not stop.is_set():
            stop.wait(0.05)
            if limit_s and (self.world.now() - begun).total_seconds() > limit_s:
                program.stop()
                self._failed(job, f"it ran longer than its timeout of {limit_s:g} s")
                return
        program.stop()
        if stop.is_set():
            return
        code = program.ended()
        if code:
            self._failed(job, f"The replica workerpool0-0 exited with a non-zero status of {code}.")
        else:
            job.state = S.JOB_STATE_SUCCEEDED

    def _failed(self, job: types.CustomJob, why: str) -> None:
        job.error = status_pb2.Status(code=3, message=why)
        job.state = S.JOB_STATE_FAILED

    def stop(self) -> None:
        for one in self.asked_to_stop.values():
            one.set()
        for thread in self.threads:
            thread.join(15)
