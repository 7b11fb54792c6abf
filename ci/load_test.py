"""Put the staged version under load."""

import sys

from ml_pipeline.cli.programs import load_test

if __name__ == "__main__":
    sys.exit(load_test())
