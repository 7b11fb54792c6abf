"""Package the model and register it as a new version, under the alias `challenger`."""

import sys

from ml_pipeline.cli.programs import register_model

if __name__ == "__main__":
    sys.exit(register_model())
