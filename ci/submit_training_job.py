"""Fetch the data unless this run has them, submit a training, and do not wait for it."""

import sys

from ml_pipeline.cli.programs import submit_training_job

if __name__ == "__main__":
    sys.exit(submit_training_job())
