#!/usr/bin/env bash
# Writes requirements-*.txt anew: the newest releases of what is named here and all they need, each file with its
# SHA-256, for every Python from 3.11 on. Run it by hand, then run the tests, and commit what it wrote.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uv

lock() { # lock FILE PURPOSE PACKAGE…; more options of uv in $uv_options
  local file=$1 purpose=$2
  shift 2
  {
    echo "# $purpose Written by tools/lock_requirements.sh from: $*"
    printf '%s\n' "$@" | "$folder/venv/bin/uv" pip compile - --universal --python-version 3.11 \
      --generate-hashes --no-header --no-annotate --quiet ${uv_options:+"$uv_options"}
  } >"$folder/locked.txt"
  mv "$folder/locked.txt" "$file"
  echo "$file: $(grep -c '==' "$file") packages"
}

lock requirements-native.txt "What the examples train with and run models in." \
  scikit-learn numpy scipy joblib skl2onnx onnx onnxruntime
lock requirements-test.txt "What the end-to-end tests need." pytest jsonschema ruff nvidia-ml-py
# What it needs itself is in requirements-native.txt already.
uv_options=--no-deps lock requirements-frameworks.txt \
  "What examples/frameworks trains with, on top of requirements-native.txt." lightgbm
uv_options=--no-deps lock requirements-engines.txt \
  "An engine beside onnxruntime, with its C headers; on top of requirements-native.txt." openvino
uv_options=--no-deps lock requirements-data.txt \
  "Libraries and headers for Parquet; on top of requirements-native.txt." pyarrow
# Of the packages that need others only files are read, or what needs none of them.
uv_options=--no-deps lock requirements-models.txt \
  "Real models and pictures that joulery bench is tested with; on top of requirements-native.txt." \
  magika silero-vad scikit-image pillow
lock requirements-peers-codecarbon.txt "A tool that bench/peers compares with." codecarbon
lock requirements-peers-zeus.txt "A tool that bench/peers compares with." zeus
# torch is in it: gigabytes, so that only bench/peers/model_bench.py asks for it. optimum-benchmark 0.6.0 imports what
# newer releases of optimum and torch have no longer.
lock requirements-peers-optimum.txt "A benchmark that bench/peers/model_bench.py compares with." \
  optimum-benchmark 'optimum[onnxruntime]<2' 'torch<2.9' codecarbon
lock requirements-servers-mlserver.txt "A server of the Open Inference Protocol, for ./dev soak." mlserver
lock requirements-servers-llama.txt "A language model's server and what makes a model for it, for ./dev soak." \
  'llama-cpp-python[server]' gguf
