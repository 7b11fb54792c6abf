"""Every adapter of a port, for its contract."""

import pytest


@pytest.fixture(params=["polars"])
def tables(request):
    """Every table store."""
    from ml_pipeline.adapters.local.tables import PolarsTables

    return {"polars": PolarsTables}[request.param]()


@pytest.fixture
def file(tmp_path):
    """Writes a table's text and gives its path."""

    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
