"""Deploy the version beside the champion and shift traffic to it; back again on harm."""

import sys

from ml_pipeline.cli.programs import gradual_promote

if __name__ == "__main__":
    sys.exit(gradual_promote())
