"""The JSON schema of the evidence: `python -m ml_pipeline.reporting.schema FILE`."""

import json
import sys
from pathlib import Path

from pydantic.json_schema import models_json_schema

from ml_pipeline.domain.evidence import RunRecord, StageResult


def schema() -> str:
    """Either document of the evidence, as JSON Schema 2020-12."""
    references, definitions = models_json_schema(
        [(StageResult, "validation"), (RunRecord, "validation")],
        title="Evidence of a run: result.json of each stage, run.json of the whole",
    )
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "anyOf": [references[StageResult, "validation"], references[RunRecord, "validation"]],
        **definitions,
    }
    return f"{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)}\n"


def main(arguments: list[str]) -> int:
    """Write the schema to the file named, else to standard output."""
    if arguments:
        Path(arguments[0]).write_text(schema(), encoding="utf-8")
    else:
        sys.stdout.write(schema())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
