"""Wait for a run's training; a wait that ends early cancels the job and sees it end."""

import sys

from ml_pipeline.cli.programs import wait_for_job

if __name__ == "__main__":
    sys.exit(wait_for_job())
