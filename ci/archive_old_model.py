"""Move the alias `champion` to the version that has the traffic, and keep few others."""

import sys

from ml_pipeline.cli.programs import archive_old_model

if __name__ == "__main__":
    sys.exit(archive_old_model())
