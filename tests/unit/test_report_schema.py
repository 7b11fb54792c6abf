"""The published schema is the one the code writes by."""

import json
from pathlib import Path

from ml_pipeline.domain.evidence import RunRecord, StageResult
from ml_pipeline.reporting.schema import main, schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "result.schema.json"


def test_the_published_schema_is_current():
    """When this fails: `python -m ml_pipeline.reporting.schema docs/result.schema.json`."""
    assert PUBLISHED.read_text(encoding="utf-8") == schema()


def test_it_knows_every_field_of_both_documents():
    definitions = json.loads(schema())["$defs"]
    for model in (StageResult, RunRecord):
        assert set(definitions[model.__name__]["properties"]) == set(model.model_fields)
        assert definitions[model.__name__]["additionalProperties"] is False


def test_either_document_is_accepted_at_the_top():
    document = json.loads(schema())
    assert {choice["$ref"] for choice in document["anyOf"]} == {
        "#/$defs/StageResult", "#/$defs/RunRecord"}  # fmt: skip


def test_the_generator_writes_the_file_it_is_told(tmp_path):
    assert main([str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text(encoding="utf-8") == schema()
