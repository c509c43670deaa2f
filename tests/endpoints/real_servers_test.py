"""`joulery bench URL` on real servers: MLServer and llama.cpp's. For ./dev soak, which installs them."""

import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "end_to_end"))
from conftest import PROJECT, Joulery, check_schema  # noqa: E402

SERVERS = PROJECT / ".deps/servers"

RUNTIME = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Dense(MLModel):
    async def load(self):
        self.weights = np.random.default_rng(0).normal(size=(16, 10)).astype(np.float32)
        return True

    async def predict(self, payload):
        x = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        y = np.maximum(x.astype(np.float32) @ self.weights, 0)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", y)])
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(url, process):
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlserver")
    http, grpc, metrics = free_ports(3)
    (folder / "runtime.py").write_text(RUNTIME)
    (folder / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "dense",
                "implementation": "runtime.Dense",
                "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}],
            }
        )
    )
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "http_port": http,
                "grpc_port": grpc,
                "metrics_port": metrics,
                "host": "127.0.0.1",
                "parallel_workers": 0,
            }
        )
    )
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [SERVERS / "mlserver/bin/mlserver", "start", "."], cwd=folder, stdout=log, stderr=log
        )
        try:
            wait_for(f"http://127.0.0.1:{http}/v2/health/ready", process)
            yield f"http://127.0.0.1:{http}/v2/models/dense"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    python = SERVERS / "llama/bin/python"
    subprocess.run([python, HERE / "tiny_gguf.py", folder / "tiny.gguf"], check=True)
    (port,) = free_ports(1)
    command = [python, "-m", "llama_cpp.server", "--model", folder / "tiny.gguf", "--port", str(port)]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--n_ctx", "2048", "--chat_format", "chatml"],
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/v1/models", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def joulery(tmp_path):
    return Joulery(tmp_path)


def bench(joulery, url, *flags):
    document = json.loads(joulery("bench", url, "--json", *flags, timeout=300).stdout)
    check_schema(document, "bench_endpoint")
    for load in document["loads"]:
        assert load["requests_failed"] == 0, load["errors"]
        assert load["server_cpu_seconds"] > 0
    return document


def test_mlserver(joulery, mlserver):
    assert "open shape" in joulery("bench", mlserver, code=2).stderr
    document = bench(joulery, mlserver, "--shape", "x:4,16", "--concurrency", "1,8", "--requests", "400")
    assert [load["requests_completed"] for load in document["loads"]] == [400, 400]
    assert document["metered_by"].startswith("pid ")
    assert "extension" in joulery("bench", mlserver, "--shape", "x:4,16", "--binary", code=2).stderr
    wrong = mlserver.replace("dense", "none")
    assert "not found" in joulery("bench", wrong, "--shape", "x:4,16", code=3).stderr


def test_llama(joulery, llama):
    flags = ("--requests", "40", "--prompt-tokens", "32", "--max-tokens", "24")
    load = bench(joulery, llama + "/chat/completions", *flags)["loads"][0]
    assert load["time_to_first_token_seconds"]["count"] == 40
    assert 1 < load["output_tokens"]["max"] <= 24
    assert load["time_to_first_token_seconds"]["max"] < load["request_latency_seconds"]["max"]
    open_loop = bench(joulery, llama + "/completions", *flags, "--rate", "5")["loads"][0]
    assert open_loop["requests_completed"] == 40
    whole = bench(joulery, llama, *flags, "--no-stream")["loads"][0]
    assert whole["output_tokens_counted_by"] == "usage"
    assert whole["total_tokens_per_second"]["value"] > whole["output_tokens_per_second"]["value"]
