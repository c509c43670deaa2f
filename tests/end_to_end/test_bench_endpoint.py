"""`joulery bench URL` on servers whose behaviour is known (tests/endpoints/doubles.py)."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import PROJECT, check_schema

DOUBLES = PROJECT / "tests/endpoints/doubles.py"


@pytest.fixture
def serve():
    """Starts a double and returns its address; all end with the test."""
    processes = []

    def start(scheme="http", **options):
        process = subprocess.Popen(
            [sys.executable, DOUBLES, json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        processes.append(process)
        return f"{scheme}://127.0.0.1:{int(process.stdout.readline())}"

    start.processes = processes
    yield start
    for process in processes:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def bench(joulery, url, *flags, code=0, **options):
    result = joulery("bench", url, "--json", *map(str, flags), code=code, **options)
    if not result.stdout:
        return result.stderr
    document = json.loads(result.stdout)
    check_schema(document, "bench_endpoint")
    for load in document["loads"]:
        check_identities(load)
    return document


def check_identities(load):
    """What holds between figures, however long anything took."""
    assert load["requests"] == sum(load["requests_" + end] for end in ("completed", "failed", "cancelled"))
    assert load["requests_failed"] == sum(error["count"] for error in load["errors"])
    seconds = load["duration_seconds"]
    assert load["requests_per_second"]["value"] == pytest.approx(load["requests_completed"] / seconds)
    for name, found in load.items():
        if not isinstance(found, dict) or "p50" not in found:
            continue
        ordered = [found[key] for key in ("min", "p50", "p90", "p95", "p99", "max")]
        assert ordered == sorted(ordered), name
        assert found["min"] <= found["mean"] + 1e-12 and found["mean"] <= found["max"] + 1e-12, name
        for key in ("p50", "p90", "p95", "p99"):
            low, high = found[key + "_low"], found[key + "_high"]
            assert low is None or low <= found[key] + 1e-12, name
            assert high is None or high >= found[key] - 1e-12, name
    tokens = load["total_output_tokens"]
    if tokens is not None:
        assert load["output_tokens_per_second"]["value"] == pytest.approx(tokens / seconds)
        assert load["output_tokens"]["mean"] * load["output_tokens"]["count"] == pytest.approx(tokens)
    energy = load["energy"]
    if energy is None:
        return
    joules = energy["energy_joules"]["value"]
    per_request = energy["energy_per_request_joules"]["gross"]
    assert per_request["value"] == pytest.approx(joules / load["requests_completed"])
    assert per_request["provenance"] == energy["energy_joules"]["provenance"]
    assert energy["mean_watts"] == pytest.approx(joules / energy["metered_seconds"])
    if tokens:
        per_token = energy["energy_per_output_token_joules"]
        assert per_token["gross"]["value"] == pytest.approx(joules / tokens)
        assert energy["output_tokens_per_joule"] == pytest.approx(tokens / joules)
        hours = energy["energy_per_1k_output_tokens_watt_hours"]["value"]
        assert hours == pytest.approx(per_token["gross"]["value"] * 1000 / 3600)
        if per_token["idle_subtracted"]:
            assert per_token["idle_subtracted"]["value"] <= per_token["gross"]["value"] * (1 + 1e-9)
    edp = energy["energy_delay_product_joule_seconds"]
    assert edp == pytest.approx(per_request["value"] * load["request_latency_seconds"]["mean"])


def test_known_delays_are_found(joulery, serve):
    url = serve(first_ms=50, gap_ms=10, chunks=11, tokens_a_chunk=2, split=5, keep_alives=3, reasoning=2)
    document = bench(joulery, url + "/v1/chat/completions", "--requests", 20, "--no-energy")
    assert document["protocol"] == "openai_chat"
    assert document["model"] == "double"
    load = document["loads"][0]
    assert load["requests_completed"] == 20
    assert load["output_tokens_counted_by"] == "usage"
    assert load["output_tokens"]["min"] == load["output_tokens"]["max"] == 22
    assert load["prompt_tokens"]["mean"] == 7
    # The server never sends earlier than told; how much later depends on how busy the machine is.
    first = load["time_to_first_token_seconds"]
    assert first["min"] >= 0.05 and first["p50"] < 0.1
    output = load["time_to_first_output_seconds"]
    assert output["min"] >= 0.07, "the first two chunks are reasoning"
    assert load["inter_chunk_latency_seconds"]["count"] == 20 * 10
    # Ten gaps of 10 ms over 21 further tokens.
    assert load["time_per_output_token_seconds"]["p50"] == pytest.approx(0.1 / 21, rel=0.4)
    assert load["request_latency_seconds"]["min"] >= 0.15
    # In a request: latency = first token + the rest, and so in the means.
    rest = load["request_latency_seconds"]["mean"] - first["mean"]
    assert load["time_per_output_token_seconds"]["mean"] * 21 == pytest.approx(rest)
    chunks = load["inter_chunk_latency_seconds"]
    assert chunks["mean"] * 10 <= rest + 1e-9
    assert document["metered_by"] is None and load["energy"] is None


def test_a_sweep_is_stored_as_a_run_of_each_load(joulery, serve):
    url = serve(first_ms=5, gap_ms=1, burn_ms=5)
    document = bench(
        joulery, url, "--concurrency", "1,4", "--rate", "20", "--requests", 12, "--slo", "e2e:10s", "--name", "sweep"
    )
    loads = document["loads"]
    assert [load["load"]["mode"] for load in loads] == ["closed", "closed", "open"]
    assert [load["load"]["concurrency"] for load in loads] == [1, 4, None]
    assert loads[2]["load"]["arrivals"] == "poisson"
    for load in loads:
        assert load["slo_share"] == 1
        assert load["goodput_per_second"]["value"] == pytest.approx(load["requests_per_second"]["value"])
        assert load["server_cpu_seconds"] > 0.04, "12 requests of 5 ms, by the kernel's clock ticks"
        if load["energy"]:
            assert load["run_id"]
    assert document["metered_by"].startswith(f"pid {serve.processes[0].pid} ")
    if all(load["energy"] for load in loads):
        cheapest = min(loads, key=lambda load: load["energy"]["energy_per_output_token_joules"]["gross"]["value"])
        assert document["cheapest_within_slo"] == cheapest["run_id"]
    for load in loads:
        shown = joulery.json("show", load["run_id"], schema="show")
        assert shown["run"]["name"] == "sweep"
        metrics = shown["run"]["metrics"]
        assert metrics["joulery/p99_request_latency_seconds"] == load["request_latency_seconds"]["p99"]
        assert metrics["joulery/mean_time_to_first_token_seconds"] == load["time_to_first_token_seconds"]["mean"]
        assert shown["run"]["tags"]["joulery.bench"] == document["bench_id"]
        kept = [entry for entry in shown["evidence"] if entry["type"] == "joulery/bench-endpoint"]
        assert len(kept) == 1
    found = joulery("runs", "metrics.requests_completed = 12").stdout
    assert found.count("sweep") == 3


def test_an_open_loop_shows_that_a_server_is_too_slow(joulery, serve):
    """A closed loop waits with the server, and so never sees the queue that it would make."""
    options = {"first_ms": 40, "gap_ms": 0, "chunks": 1, "serial": True}
    flags = ("--requests", 25, "--no-energy", "--warmup", 1)
    closed = bench(joulery, serve(**options), "--concurrency", 1, *flags)["loads"][0]
    opened = bench(joulery, serve(**options), "--rate", 100, "--arrivals", "constant", *flags)["loads"][0]
    # 25 requests, due within 240 ms, take a second: the last waits for 24 others.
    assert opened["request_latency_seconds"]["max"] > 0.6
    assert opened["request_latency_seconds"]["p50"] > 5 * 0.04
    assert closed["request_latency_seconds"]["p50"] < opened["request_latency_seconds"]["p50"]
    assert opened["time_to_first_token_seconds"]["max"] > 0.6


@pytest.mark.parametrize(
    "failure, kind",
    [
        ("429", "http_429"),
        ("503", "http_503"),
        ("error_event", "stream_error"),
        ("cut", "closed"),
        ("garbage", "bad_answer"),
    ],
)
def test_failures_are_counted_by_kind(joulery, serve, failure, kind):
    url = serve(fail_every=3, failure=failure)
    document = bench(joulery, url, "--requests", 12, "--warmup", 0, "--no-energy")
    load = document["loads"][0]
    # One request before the load, then each third: 3, 6, 9 and 12 of 13.
    assert load["requests_failed"] == 4
    assert [(error["kind"], error["count"]) for error in load["errors"]] == [(kind, 4)]
    assert load["requests_completed"] == 8
    assert load["requests_held_back"] >= 3


def test_a_request_that_hangs_is_a_timeout(joulery, serve):
    url = serve(fail_every=3, failure="hang")
    load = bench(joulery, url, "--requests", 3, "--warmup", 0, "--timeout", "500ms", "--no-energy")["loads"][0]
    assert [(error["kind"], error["count"]) for error in load["errors"]] == [("timeout", 1)]


def test_servers_that_do_not_count_tokens(joulery, serve):
    for usage in (False, "silent"):
        document = bench(joulery, serve(usage=usage, chunks=4), "--requests", 3, "--no-energy")
        load = document["loads"][0]
        assert load["output_tokens_counted_by"] == "chunks"
        assert load["output_tokens"]["mean"] == 4
        assert load["total_prompt_tokens"] is None and load["total_tokens_per_second"] is None
        assert any("does not count tokens" in warning["text"] for warning in document["warnings"])


def test_completions_without_streaming(joulery, serve):
    url = serve(chunks=6, first_ms=20)
    document = bench(joulery, url + "/v1/completions", "--no-stream", "--requests", 5, "--no-energy")
    assert document["protocol"] == "openai_completions" and not document["streaming"]
    load = document["loads"][0]
    assert load["time_to_first_token_seconds"] is None and load["time_per_output_token_seconds"] is None
    assert load["output_tokens"]["mean"] == 6
    assert load["request_latency_seconds"]["min"] >= 0.02
    streamed = bench(joulery, url + "/v1/completions", "--requests", 5, "--no-energy")["loads"][0]
    assert streamed["time_to_first_token_seconds"]["count"] == 5


def test_prompts_and_traces_from_files(joulery, serve, tmp_path):
    (tmp_path / "prompts.jsonl").write_text(
        '{"prompt": "a"}\n{"messages": [{"role": "user", "content": "b"}], "max_tokens": 3}\n'
    )
    (tmp_path / "trace.txt").write_text("# seconds\n0.2\n0\n0.1\n")
    document = bench(joulery, serve(), "--prompts", "prompts.jsonl", "--arrivals", "trace:trace.txt", "--no-energy")
    assert document["settings"]["different_requests"] == 2
    load = document["loads"][0]
    assert load["load"] == {"mode": "open", "concurrency": None, "rate_per_second": None, "arrivals": "trace"}
    assert load["requests"] == 3 and load["duration_seconds"] >= 0.2
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n{"text": "b"}\n')
    error = joulery("bench", "http://127.0.0.1:1/v1", "--prompts", "bad.jsonl", code=2).stderr
    assert "bad.jsonl, line 2" in error


def test_an_open_inference_server(joulery, serve):
    url = serve(first_ms=2, shape=[-1, 4]) + "/v2/models/double"
    error = joulery("bench", url, code=2).stderr
    assert "open shape -1,4" in error and "--shape x:" in error
    document = bench(joulery, url, "--shape", "x:3,4", "--requests", 20, "--concurrency", 2, "--no-energy")
    assert document["protocol"] == "oip_rest" and document["model"] == "double"
    load = document["loads"][0]
    assert load["requests_completed"] == 20
    assert load["time_to_first_token_seconds"] is None and load["total_output_tokens"] is None
    error = joulery("bench", url, "--shape", "x:3,4", "--binary", code=2).stderr
    assert "binary_tensor_data" in error
    for model, what in (("none", "no metadata"), ("late", "still loading")):
        assert what in joulery("bench", url.replace("/double", "/" + model), "--shape", "x:1,4", code=3).stderr


def test_binary_tensors_and_inputs_that_are_not_listed(joulery, serve):
    url = serve(shape=[2, 4], datatype="FP16", extensions=["binary_tensor_data"]) + "/v2/models/double/infer"
    assert "--binary" in joulery("bench", url, code=2).stderr
    assert bench(joulery, url, "--binary", "--requests", 5, "--no-energy")["loads"][0]["requests_completed"] == 5
    unlisted = serve(datatype="none") + "/v2/models/double"
    assert "lists no inputs" in joulery("bench", unlisted, code=2).stderr
    document = bench(joulery, unlisted, "--shape", "x:FP32:2,2", "--requests", 5, "--no-energy")
    assert document["loads"][0]["requests_completed"] == 5


def test_energy_that_is_stated_is_assumed(joulery, serve):
    document = bench(joulery, serve(), "--requests", 5, "--server-watts", "200-300")
    energy = document["loads"][0]["energy"]
    assert document["metered_by"] == "stated power"
    assert energy["mean_watts"] == pytest.approx(250)
    assert energy["energy_joules"]["provenance"] == "assumed"
    assert energy["energy_joules"]["low"] == pytest.approx(200 * energy["metered_seconds"], rel=0.01)
    assert energy["energy_joules"]["high"] == pytest.approx(300 * energy["metered_seconds"], rel=0.01)
    assert energy["energy_active_joules"] is None
    assert energy["carbon_gco2e"]["value"] > 0


def test_a_server_named_by_its_pid(joulery, serve):
    url = serve(burn_ms=10)
    pid = serve.processes[0].pid
    document = bench(joulery, url, "--requests", 20, "--pid", pid)
    load = document["loads"][0]
    assert document["metered_by"] == f"pid {pid}"
    assert load["server_cpu_seconds"] >= 0.15, "20 requests of 10 ms, less the kernel's rounding"
    assert load["client_cpu_seconds"] < load["server_cpu_seconds"]
    assert "no process" in joulery("bench", url, "--pid", 4194000, code=2).stderr


def test_a_key_is_sent_and_never_shown(joulery, serve, tmp_path):
    url = serve(key="s3cret-key") + "/v1"
    error = joulery("bench", url, code=3).stderr
    assert "401" in error and "--api-key-file" in error
    (tmp_path / "key").write_text("s3cret-key\n")
    result = joulery("bench", url, "--json", "--api-key-file", "key", "--header", "X-Tenant: te7ant", "--requests", 2)
    document = json.loads(result.stdout)
    assert document["settings"]["headers"] == ["X-Tenant", "Authorization"]
    shown = joulery("show", "last", "--json").stdout
    for text in (result.stdout, result.stderr, shown):
        assert "s3cret" not in text and "te7ant" not in text
    (tmp_path / "wrong").write_text("0ther-key")
    error = joulery("bench", url, "--api-key-file", "wrong", code=3).stderr
    assert "0ther" not in error
    refused = joulery("bench", url, "--header", "Authorization: Bearer s3cret-key", code=2).stderr
    assert "s3cret" not in refused and "--api-key-file" in refused
    refused = joulery("bench", url.replace("//", "//me:s3cret@"), code=2).stderr
    assert "s3cret" not in refused


def test_an_interruption_shows_what_there_is(joulery, serve):
    url = serve(first_ms=20, gap_ms=1)
    process = joulery.start("bench", url, "--json", "--duration", "5min", "--no-energy")
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    document = json.loads(out)
    check_schema(document, "bench_endpoint")
    load = document["loads"][0]
    check_identities(load)
    assert load["interrupted"] and load["requests_completed"] > 1
    assert load["duration_seconds"] < 10
    run = joulery.json("show", load["run_id"], schema="show")["run"]
    assert run["status"] == "KILLED"


def test_tls_checks_the_certificate(joulery, serve, tmp_path):
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=double"
        " -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out certificate.pem",
        shell=True,
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    url = serve("https", tls=str(tmp_path))
    error = joulery("bench", url, code=3).stderr
    assert "certificate" in error and "not trusted" in error
    trusting = {"SSL_CERT_FILE": str(tmp_path / "certificate.pem")}
    document = bench(joulery, url, "--requests", 5, "--no-energy", env=trusting)
    assert document["loads"][0]["requests_completed"] == 5
    # The certificate is for the address, not for the name.
    error = joulery("bench", url.replace("127.0.0.1", "localhost"), code=3, env=trusting).stderr
    assert "not trusted" in error or "certificate" in error


def test_errors_before_the_load(joulery, serve):
    url = serve()
    for address, text in (
        (url + "/v1/embeddings", "no address of a model"),
        ("http://127.0.0.1:99999/v1", "no port"),
        ("http://", "no host"),
    ):
        assert text in joulery("bench", address, code=2).stderr
    assert "refused" in joulery("bench", "http://127.0.0.1:9/v1", code=3).stderr.lower()
    for flags, text in (
        (("--concurrency", "0"), "--concurrency"),
        (("--rate", "x"), "--rate"),
        (("--arrivals", "constant"), "--rate"),
        (("--slo", "itl:1s"), "--slo"),
        (("--slo", "ttft:1s", "--no-stream"), "streaming"),
        (("--duration", "x"), "--duration"),
        (("--server-watts", "-1"), "--server-watts"),
        (("--pid", "1", "--no-energy"), "exclude"),
        (("--prompts", "missing.jsonl"), "missing.jsonl"),
    ):
        assert text in joulery("bench", url, *flags, code=2).stderr, flags
    several = bench(joulery, serve(models=["a", "b"]), "--requests", 2, "--no-energy")
    assert several["model"] == "a"
    assert any("2 models" in warning["text"] for warning in several["warnings"])


PAGE = "<!DOCTYPE html><html><title>Welcome</title></html>"


@pytest.mark.parametrize(
    ("path", "flags", "asked"),
    [
        ("", (), "GET {}/v1/models"),
        ("/v1", ("--model", "m"), "POST {}/v1/chat/completions"),
        ("/v1", ("--model", "m", "--no-stream"), "POST {}/v1/chat/completions"),
        ("/v1/completions", ("--model", "m"), "POST {}/v1/completions"),
        ("/v2/models/m", (), "GET {}/v2/models/m"),
    ],
)
def test_a_server_of_another_kind_is_told(joulery, serve, path, flags, asked):
    other = "the Open Inference Protocol" if "/v2" in path else "OpenAI-compatible"
    for kind, body in (("text/html; charset=utf-8", PAGE), ("application/json", '{"hello": "world"}')):
        url = serve(always=[kind, body])
        error = joulery("bench", url + path, *flags, "--no-energy", code=3).stderr
        said, hint = error.split("hint:")
        assert f"{url} is no " in said and other in said, error
        assert kind.split(";")[0] in said and "stream_cut" not in said
        assert asked.format(url) in said and asked.format(url) in hint
        # How to name another one.
        assert "/v1/chat/completions" in hint and "/v2/models/NAME" in hint
        assert ("--model" in hint) == (not flags and "/v2" not in path)


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize(("path", "flags"), [("/v1", ()), ("/v1", ("--model", "m")), ("/v2/models/m", ())])
def test_a_web_server_that_refuses_is_told_shortly(joulery, serve, path, flags, status):
    url = serve(always=["text/html", PAGE, status])
    error = joulery("bench", url + path, *flags, "--no-energy", code=3).stderr
    assert f"status {status}: a web page" in error, error
    assert "<html>" not in error
    assert f"asked {'POST' if flags else 'GET'} {url}" in error and "/v2/models/NAME" in error, error


def test_a_server_that_speaks_no_http_is_told(joulery, serve):
    url = serve(babble="SSH-2.0-OpenSSH_9.2\r\n")
    for path, flags in (("/v1", ()), ("/v1", ("--model", "m")), ("/v2/models/m", ())):
        error = joulery("bench", url + path, *flags, "--no-energy", code=3).stderr
        assert f"asked {'POST' if flags else 'GET'} {url}" in error and "/v2/models/NAME" in error, error


def test_a_stream_that_is_cut_is_no_other_kind_of_server(joulery, serve):
    begun = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    error = joulery("bench", serve(always=["text/event-stream", begun]), "--model", "m", code=3).stderr
    assert "stream_cut" in error and "is no OpenAI-compatible" not in error


@pytest.mark.parametrize(
    "flags", [("--json",), ("--format", "json", "--output", "b.json"), ("--format", "markdown"), ()]
)
def test_where_the_reasons_of_failures_are(joulery, serve, tmp_path, flags):
    url = serve(fail_every=2, failure="503")
    result = joulery("bench", url, "--requests", 1, "--warmup", 0, "--no-energy", *flags, code=3)
    if flags[:1] in (("--json",), ("--format",)) and "markdown" not in flags:
        document = json.loads(result.stdout or (tmp_path / "b.json").read_text())
        assert document["loads"][0]["errors"][0]["kind"] == "http_503"
        assert "'errors'" in result.stderr and "'loads'" in result.stderr and "table" not in result.stderr
        assert ("b.json" in result.stderr) == ("b.json" in flags)
    else:
        assert "http_503" in result.stdout and "the table says why" in result.stderr


def test_tables_for_people(joulery, serve, tmp_path):
    options = {"fail_every": 5, "failure": "503", "burn_ms": 10}
    flags = ("--concurrency", "1,2", "--requests", "10", "--slo", "e2e:5s")
    table = joulery("bench", serve(**options), *flags).stdout
    for text in ("time to first token", "time per output token", "J/output token", "http_503", "1 at a time"):
        assert text in table or (text.startswith("J/") and "energy is not known" in table)
    assert "\x1b" not in table
    # Too short for any meter: then there is a reason instead of a figure.
    short = bench(joulery, serve(chunks=1), "--requests", 1, "--warmup", 0)
    if short["loads"][0]["energy"] is None:
        warnings = short["warnings"] + short["loads"][0]["warnings"]
        assert any("energy is not known" in warning["text"] for warning in warnings)
    markdown = joulery("bench", serve(**options), *flags, "--format", "markdown").stdout
    assert "| load |" in markdown and "## 2 at a time" in markdown
    out = joulery("bench", serve(**options), *flags, "--format", "json", "--output", "b.json").stdout
    assert out == ""
    check_schema(json.loads((tmp_path / "b.json").read_text()), "bench_endpoint")


def test_a_server_that_always_fails_is_no_result(joulery, serve):
    error = joulery("bench", serve(fail_every=1, failure="503"), code=3).stderr
    assert "503" in error
    url = serve(fail_every=2, failure="503")
    # The first request is good, so that the load begins; each second one fails.
    load = bench(joulery, url, "--requests", 1, "--warmup", 0, "--no-energy", code=3)["loads"][0]
    assert load["requests_failed"] == 1 and load["request_latency_seconds"] is None


@pytest.mark.skipif("JOULERY_SOAK" not in os.environ, reason="long")
def test_the_load_generator_is_not_the_bottleneck(joulery, serve):
    load = bench(joulery, serve(chunks=2), "--concurrency", 8, "--duration", "20s", "--no-energy")["loads"][0]
    assert load["client_cpu_seconds"] < 0.5 * load["duration_seconds"]
