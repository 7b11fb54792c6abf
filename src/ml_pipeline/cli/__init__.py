"""The pipeline on the host: `ml-pipeline`. Everything heavy is imported inside a command."""

import sys


def main() -> None:
    """Run the command line and end with a documented exit code."""
    from ml_pipeline.cli.app import app
    from ml_pipeline.cli.ending import ended

    sys.exit(ended(app))
