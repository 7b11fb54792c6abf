"""Print the metrics a run's training reported, checked to be finite numbers."""

import sys

from ml_pipeline.cli.programs import get_job_metrics

if __name__ == "__main__":
    sys.exit(get_job_metrics())
