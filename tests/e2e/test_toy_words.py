"""A project by other hands: Parquet in, a label of text out, and an ONNX file of its own."""

import subprocess

import pytest

from tests.fakes.launching import ML_PIPELINE
from tests.fakes.toy_project import toy

pytestmark = pytest.mark.e2e

ROWS = """
import sys
import polars as pl

count = 3000
frame = pl.DataFrame({"at": pl.Series(range(count)), "id": pl.Series(range(count))})
noise = (pl.col("id") * 7919 % 1000) / 1000
frame = frame.with_columns(
    at=pl.datetime(2026, 1, 1) + pl.duration(minutes=pl.col("at")),
    income=noise * 10,
    owner=pl.col("id") % 3 == 0,
    note=pl.format("{}", pl.col("id") % 9),
).with_columns(
    outcome=pl.when(pl.col("income") + 2 * pl.col("owner") + pl.col("id") % 5 > 8)
    .then(pl.lit("paid"))
    .otherwise(pl.lit("unpaid"))
)
frame.write_parquet(sys.argv[1])
"""
FIT = """
import argparse, json, os
import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper

words = argparse.ArgumentParser()
words.add_argument("--table")
words.add_argument("--into")
asked = words.parse_args()
frame = pl.read_parquet(asked.table)
assert frame.schema["owner"] == pl.Boolean and frame.schema["at"].is_temporal()
x = np.column_stack([frame["income"].to_numpy(), frame["owner"].to_numpy(), np.ones(len(frame))])
y = (frame["outcome"] == "paid").to_numpy()
w = np.zeros(3)
for _ in range(500):
    w -= 0.05 * x.T @ (1 / (1 + np.exp(-(x @ w))) - y) / len(y)
p = 1 / (1 + np.exp(-(x @ w)))
accuracy = float(((p > 0.5) == y).mean())
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["a"]),
     helper.make_node("Add", ["a", "b"], ["z"]),
     helper.make_node("Sigmoid", ["z"], ["paid"])],
    "words",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
    [helper.make_tensor_value_info("paid", TensorProto.FLOAT, [None, 1])],
    [helper.make_tensor("w", TensorProto.FLOAT, [2, 1], w[:2].astype("f").tolist()),
     helper.make_tensor("b", TensorProto.FLOAT, [1], [float(w[2])])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(model, os.path.join(asked.into, "words.onnx"))
told = {"fitted": "today", "train": {"accuracy": accuracy}, "matrix": [[1, 2], [3, 4]]}
json.dump(told, open(os.path.join(asked.into, "told.json"), "w"))
"""
SETTINGS = """
model = "words"
profile = "test"

[environment]
requirements = ["requirements.txt"]

[data]
fetch = ["python", "rows.py", "{output}"]
format = "parquet"
target = "outcome"
classes = ["unpaid", "paid"]
features = ["income", "owner"]
time_column = "at"
key_columns = ["id"]

[train]
command = ["python", "fit.py", "--table", "{data}", "--into", "{output}"]
artifact = "words.onnx"
metrics = "told.json"

[metric]
name = "log_loss"
reported_as = "train.accuracy"
min = 0
max = 5
prediction_min = 0
prediction_max = 1

[gate]
limit = 0.68

# A busy machine is no fault of the model's.
[load]
max_p99_ms = 5000
max_lag_ms = 2000
duration_s = 1
rate_per_s = 200

[rollout]
slow_ms = 5000
min_requests = 30
replay_rate_per_s = 200
"""


def test_it_is_released_by_its_configuration_alone(tmp_path) -> None:
    """Its classes stand in its own order, which is not the alphabet's."""
    project = toy(
        tmp_path,
        {
            "requirements.txt": "onnx>=1.17\nnumpy>=2\npolars>=1.20\n",
            "rows.py": ROWS,
            "fit.py": FIT,
            "ml-pipeline.toml": SETTINGS,
        },
    )
    # A process that has imported nothing, as a user's has not.
    done = subprocess.run(
        [ML_PIPELINE, "full-pipeline", "--source", project.folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.record()["outcome"] == "promoted"
