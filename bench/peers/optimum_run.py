#!/usr/bin/env python3
"""Runs optimum-benchmark on an ONNX model for model_bench.py: optimum_run.py FOLDER SECONDS ENERGY DEFAULTS|TUNED.

Writes its report to stdout as JSON. FOLDER holds model.onnx and the config.json that its library wants.
"""

import contextlib
import json
import logging
import sys

from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, InlineConfig, ORTConfig

logging.disable(logging.CRITICAL)
folder, seconds, energy, settings = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "energy", sys.argv[4]
options = {"intra_op_num_threads": 1} if settings == "tuned" else {}
config = BenchmarkConfig(
    name="model_bench",
    backend=ORTConfig(
        device="cpu", model=folder, task="image-classification", library="transformers", session_options=options
    ),
    scenario=InferenceConfig(
        latency=True, energy=energy, duration=seconds, input_shapes={"batch_size": 1, "height": 64, "width": 64}
    ),
    launcher=InlineConfig(),
)
with contextlib.redirect_stdout(sys.stderr):
    report = Benchmark.launch(config)
json.dump(report.to_dict(), sys.stdout)
