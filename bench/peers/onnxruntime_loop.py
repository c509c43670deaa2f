#!/usr/bin/env python3
"""The bare loop that people write: onnxruntime_loop.py MODEL SECONDS default|tuned. JSON to stdout."""

import json
import sys
import time

import numpy
import onnxruntime

model, seconds, settings = sys.argv[1], float(sys.argv[2]), sys.argv[3]
options = onnxruntime.SessionOptions()
if settings == "tuned":
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {"pixel_values": numpy.random.default_rng(1).random((1, 3, 64, 64), "f4")}
for _ in range(10):
    session.run(None, feed)
latencies = []
end = time.perf_counter() + seconds
while True:
    start = time.perf_counter()
    if start >= end:
        break
    session.run(None, feed)
    latencies.append(time.perf_counter() - start)
json.dump({"calls": len(latencies), "mean": sum(latencies) / len(latencies)}, sys.stdout)
