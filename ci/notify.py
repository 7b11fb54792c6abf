"""Write the run's report and tell people what it came to."""

import sys

from ml_pipeline.cli.programs import notify

if __name__ == "__main__":
    sys.exit(notify())
