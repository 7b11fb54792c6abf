"""Deploy the registered version to staging, and question it there."""

import sys

from ml_pipeline.cli.programs import deploy_to_staging

if __name__ == "__main__":
    sys.exit(deploy_to_staging())
