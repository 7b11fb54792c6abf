"""Bring the trained model home, score it and the champion on the held-out rows, and judge."""

import sys

from ml_pipeline.cli.programs import compare_models

if __name__ == "__main__":
    sys.exit(compare_models())
