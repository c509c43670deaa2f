"""GPUs end to end: the real binary with a driver's library that is built for these tests (tests/fake_nvml)."""

import json
import os
import pathlib
import sys

import pytest
from conftest import BINARY

BUILD = pathlib.Path(BINARY).resolve().parents[1]
BURN = "import time\nt = time.process_time()\nwhile time.process_time() - t < {}: pass"


class Gpus:
    """The program as on a machine with the GPUs that `script` tells of."""

    def __init__(self, joulery, script, driver="new_driver"):
        self.joulery = joulery
        self.path = joulery.home / "gpus.txt"
        self.path.write_text(script)
        joulery.environment["JOULERY_NVML_LIBRARY"] = str(BUILD / f"fake_nvml/{driver}/libnvidia-ml.so.1")
        joulery.environment["FAKE_NVML"] = str(self.path)

    def run(self, seconds, use=None, gpu=0, **options):
        """A shell that says what it uses of the GPU, then sleeps."""
        note = "" if use is None else f"echo process {gpu} $$ {use} >> {self.path}; "
        return self.joulery.run("sh", "-c", f"{note}sleep {seconds}; :", **options)


def value(document, key):
    return document[key]["value"]


def adds_up(document):
    parts = sum(value(document, f"energy_{part}_joules") for part in ("active", "other_active", "idle"))
    assert parts == pytest.approx(value(document, "energy_machine_joules"), rel=1e-6)
    counted = sum(d["energy_joules"]["value"] for d in document["devices"] if d["counted"])
    assert counted == pytest.approx(value(document, "energy_machine_joules"), rel=1e-6)
    for gpu in document["gpus"]:
        whole = sum(gpu[f"energy_{part}_joules"] for part in ("active", "other_active", "idle"))
        assert whole == pytest.approx(value(gpu, "energy_machine_joules"), rel=1e-6)
    gpus = sum(gpu["energy_joules"]["value"] for gpu in document["gpus"])
    assert value(document, "energy_gpu_joules") == pytest.approx(gpus, rel=1e-6)


def test_energy_is_shared_by_what_each_process_used(joulery):
    gpus = Gpus(joulery, "gpu 0 name=NVIDIA_H100 watts=300\ngpu 1 name=NVIDIA_H100 watts=60\nprocess 0 1 20\n")
    document = gpus.run(3, use=60)
    adds_up(document)
    first, second = document["gpus"]
    assert first["device_id"] == "nvml:GPU-0" and first["attribution"] == "process utilisation"
    drawn = value(first, "energy_machine_joules")
    assert drawn == pytest.approx(300 * document["duration_seconds"], rel=0.05)
    assert value(first, "energy_joules") == pytest.approx(0.75 * drawn, rel=0.15)
    energy = first["energy_joules"]
    assert energy["low"] < energy["value"] < energy["high"]
    if os.readlink("/proc/self/ns/pid") == "pid:[4026531836]":
        assert value(second, "energy_joules") == 0, "nobody used it"
    shown = joulery("show", document["run_id"]).stdout
    assert "of it GPU" in shown and "by what each process used" in shown
    record = joulery.json("show", document["run_id"], schema="show")["run"]
    assert record["metrics"]["joulery/energy_gpu_joules"] == pytest.approx(value(document, "energy_gpu_joules"))
    assert "process utilisation" in record["tags"]["joulery.gpu_attribution"]


@pytest.mark.parametrize("module, seconds", [(350, 1.5), (200, 1.5), (200, 6)])
@pytest.mark.parametrize("policy", ["proportional", "all"])
def test_a_module_that_reads_less_than_its_gpu_gives_way_to_it(joulery, module, seconds, policy):
    gpus = Gpus(joulery, f"gpu 0 name=NVIDIA_GH200_480GB watts=400 module={module}\n")
    document = gpus.run(seconds, use=100, flags=["--idle", policy])
    adds_up(document)
    truth = 400 * document["duration_seconds"]
    assert value(document, "energy_machine_joules") == pytest.approx(truth, rel=0.1)
    assert value(document, "energy_joules") <= value(document, "energy_machine_joules") * (1 + 1e-6)
    assert document["energy_residual_joules"] == pytest.approx(0, abs=1e-6 * truth)
    assert document["machine_peak_watts"] == pytest.approx(400, rel=0.1)
    assert any("less than what is inside it" in warning["text"] for warning in document["warnings"])


@pytest.mark.parametrize("tier", ["cgroup", "perf", "tree"])
def test_children_that_have_ended_are_still_the_workloads(joulery, tier):
    gpus = Gpus(joulery, "gpu 0 watts=200\n")
    child = f"sh -c 'echo process 0 $$ 50 >> {gpus.path}; sleep 0.3; :'"
    command = [
        "--json",
        "--output",
        "d.json",
        "--attribution",
        tier,
        "--",
        "sh",
        "-c",
        f"{child}; {child}; sleep 1.2; :",
    ]
    result = joulery("run", *command, code=None)
    if result.returncode == 125:
        pytest.skip(f"{tier} can't be used here: {result.stderr}")
    document = json.loads((joulery.home / "d.json").read_text())
    adds_up(document)
    gpu = document["gpus"][0]
    assert value(gpu, "energy_joules") > 0.8 * value(gpu, "energy_machine_joules")


def test_another_users_gpu_work_is_not_ours(joulery):
    gpus = Gpus(joulery, "gpu 0 watts=200\nprocess 0 1 90\n")
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        pytest.skip("process numbers here are a container's own: the whole device is taken, and said so")
    gpu = gpus.run(2.2)["gpus"][0]
    assert value(gpu, "energy_joules") == 0
    assert gpu["energy_other_active_joules"] + gpu["energy_idle_joules"] > 300


def test_an_old_driver_goes_by_power_and_takes_the_whole_device(joulery):
    document = Gpus(joulery, "gpu 0 name=Tesla_P100 watts=150\n", driver="old_driver").run(1.5)
    adds_up(document)
    gpu = document["gpus"][0]
    assert gpu["attribution"] == "whole device"
    assert value(gpu, "energy_joules") == pytest.approx(150 * document["duration_seconds"], rel=0.1)
    assert gpu["energy_joules"]["provenance"] == "assumed"
    assert document["devices"][0]["via"].startswith("NVML power")
    assert document["devices"][0]["energy_joules"]["provenance"] == "derived"


def test_mig_shares_by_instances(joulery):
    gpus = Gpus(joulery, "gpu 0 name=NVIDIA_A100 watts=200 mig=42,14,14\n")
    document = joulery.run(
        "sh", "-c", f"echo process 0 $$ 0 0 >> {gpus.path}; echo process 0 1 0 1 >> {gpus.path}; sleep 2.2; :"
    )
    adds_up(document)
    gpu = document["gpus"][0]
    if os.readlink("/proc/self/ns/pid") == "pid:[4026531836]":
        assert gpu["attribution"] == "MIG instance"
        assert value(gpu, "energy_joules") == pytest.approx(0.75 * value(gpu, "energy_machine_joules"), rel=0.15)


def test_a_module_of_cpu_and_gpu_is_counted_once(joulery):
    gpus = Gpus(joulery, "gpu 0 uuid=GPU-g name=NVIDIA_GH200_480GB watts=400 module=600\n")
    document = gpus.run(1.5, use=100)
    adds_up(document)
    devices = {device["id"]: device for device in document["devices"]}
    assert devices["nvml:GPU-g"]["parent_id"] == "nvml:GPU-g:module"
    assert [device["id"] for device in document["devices"] if device["counted"]] == ["nvml:GPU-g:module"]
    assert value(document, "energy_machine_joules") == pytest.approx(600 * document["duration_seconds"], rel=0.05)


def test_a_gpu_that_falls_off_and_comes_back(joulery):
    gpus = Gpus(joulery, "gpu 0 watts=100 lost=1 back=2 restart=1\n")
    document = gpus.run(3.2, use=100)
    adds_up(document)
    device = document["devices"][0]
    assert device["windows"]["missing"] >= 5
    assert any("no reading" in warning["text"] for warning in document["warnings"])
    assert value(document["gpus"][0], "energy_machine_joules") == pytest.approx(330, rel=0.25)


def test_a_frozen_counter_is_replaced_and_said(joulery):
    document = Gpus(joulery, "gpu 0 watts=100 frozen=0.5\n").run(3, use=100)
    adds_up(document)
    assert len([w for w in document["warnings"] if "counter" in w["text"]]) == 1
    assert any("stood still" in warning["text"] for warning in document["warnings"])
    assert value(document["gpus"][0], "energy_machine_joules") == pytest.approx(310, rel=0.2)
    mean = value(document, "energy_machine_joules") / document["duration_seconds"]
    assert document["machine_peak_watts"] < 1.5 * mean


def test_a_peak_says_what_it_is_a_mean_over(joulery):
    document = Gpus(joulery, "gpu 0 watts=100\n").run(2.5)
    assert document["machine_peak_seconds"] == pytest.approx(2, rel=0.01)
    assert "peak over 2.00 s" in joulery("show", document["run_id"]).stdout
    # A run that is shorter has no other peak than its mean.
    short = Gpus(joulery, "gpu 0 watts=0:20,0.2:300\n").run(0.5)
    assert short["machine_peak_seconds"] == pytest.approx(short["duration_seconds"], rel=0.01)
    assert short["machine_peak_watts"] == pytest.approx(short["machine_mean_watts"], rel=0.01)


def test_a_counter_in_microjoules_does_not_make_a_power_station(joulery):
    document = Gpus(joulery, "gpu 0 watts=100 unit=1000\n").run(4, use=100)
    adds_up(document)
    assert any("unit" in warning["text"] for warning in document["warnings"])
    assert not any("stood still" in warning["text"] for warning in document["warnings"])
    assert value(document["gpus"][0], "energy_machine_joules") == pytest.approx(
        100 * document["duration_seconds"], rel=0.1
    )


@pytest.mark.parametrize(
    "script, seconds, watts",
    [
        ("watts=20 unit=30", 1.5, 20),
        ("watts=20 unit=30", 0.4, 20),
        ("watts=100 unit=0.001", 3, 100),
        ("watts=20 unit=10", 3, 20),
        ("watts=100 power_factor=0.02", 3, 100),
        ("watts=100 power_factor=0.02", 0.5, 100),
        ("watts=100 power_factor=25", 3, 100),
        ("watts=20 power_factor=25", 3, 20),
        ("watts=100 lost=0.05 back=2 restart=1", 3, 100),
        ("watts=100 step=0.5", 2.3, 100),
        ("max_limit=125 watts=100 unit=1000", 0.6, 100),
    ],
)
def test_the_truth_lies_within_the_range_whatever_the_counter_counts(joulery, script, seconds, watts):
    document = Gpus(joulery, f"gpu 0 {script}\n").run(seconds, use=100)
    adds_up(document)
    energy = next(device for device in document["devices"] if device["scope"] == "gpu")["energy_joules"]
    assert energy["low"] <= watts * document["duration_seconds"] * 1.02
    assert energy["high"] >= watts * document["duration_seconds"] * 0.98


def test_power_over_a_gap_is_filled_in_and_not_derived(joulery):
    document = Gpus(joulery, "gpu 0 watts=0:400,1.5:0,4:400 frozen=0.2 lost=1.5 back=4\n").run(5, use=100)
    adds_up(document)
    energy = document["gpus"][0]["energy_machine_joules"]
    assert energy["low"] <= 1050 and energy["high"] >= 1000 and energy["provenance"] == "assumed"
    assert "filled in" in energy["basis"]


@pytest.mark.parametrize("driver", ["new_driver", "old_driver"])
def test_time_that_nothing_is_known_of_is_in_the_range(joulery, driver):
    document = Gpus(joulery, "gpu 0 watts=100 lost=0.05 back=2 restart=1\n", driver).run(3, use=100)
    adds_up(document)
    energy = document["gpus"][0]["energy_machine_joules"]
    assert energy["high"] >= 300 and energy["provenance"] == "assumed"
    assert any("nothing is known" in warning["text"] for warning in document["warnings"])
    document = Gpus(joulery, "gpu 0 watts=300 lost=0.05\n", driver).run(2)
    for key in ("energy_joules", "energy_machine_joules"):
        assert document[key]["high"] >= 600 and document[key]["provenance"] == "assumed", key


def test_power_that_fails_now_and_then_lets_no_wrong_unit_through(joulery):
    gpus = Gpus(joulery, "gpu 0 watts=20 unit=30\n")
    fails = "echo code nvmlDeviceGetFieldValues 999 >> $FAKE_NVML"
    works = "echo gpu 0 watts=20 unit=30 > $FAKE_NVML"
    document = joulery.run("sh", "-c", f"for i in 1 2 3 4 5; do sleep 0.3; {fails}; sleep 0.3; {works}; done")
    assert gpus.path.exists()
    energy = document["gpus"][0]["energy_machine_joules"]
    assert energy["value"] == pytest.approx(20 * document["duration_seconds"], rel=0.15)


def test_a_gpu_that_is_lost_while_its_power_stands_in(joulery):
    document = Gpus(joulery, "gpu 0 max_limit=125 watts=100 unit=1000 lost=0.3 back=1.5\n").run(3, use=100)
    energy = document["gpus"][0]["energy_machine_joules"]
    assert energy["provenance"] == "assumed" and "filled in" in energy["basis"]
    assert energy["low"] <= 310 and 290 <= energy["high"] <= 250 * document["duration_seconds"]
    assert not any("stood still" in warning["text"] for warning in document["warnings"])


def test_no_range_exceeds_what_the_board_can_draw(joulery):
    document = Gpus(joulery, "gpu 0 max_limit=125 watts=100 unit=1000\n").run(0.6, use=100)
    energy = document["gpus"][0]["energy_machine_joules"]
    assert energy["high"] <= 250 * document["duration_seconds"]
    assert energy["provenance"] == "derived", "its power stands in"


@pytest.mark.parametrize("hertz", [1, 10, 1000])
def test_a_good_counter_is_believed_at_any_rate(joulery, hertz):
    document = Gpus(joulery, "gpu 0 watts=0:20,0.6:400\n").run(1.2, use=100, flags=["--hz", str(hertz)])
    adds_up(document)
    device = next(device for device in document["devices"] if device["scope"] == "gpu")
    assert device["via"] == "NVML energy counter" and device["energy_joules"]["provenance"] == "measured"
    assert not [w for w in document["warnings"] if "counter" in w["text"]]


def test_what_was_filled_in_may_be_nothing(joulery):
    document = Gpus(joulery, "gpu 0 watts=180 lost=1\n").run(3, use=100)
    energy = document["gpus"][0]["energy_machine_joules"]
    assert energy["low"] <= 200 and energy["provenance"] == "assumed"
    assert "filled in" in energy["basis"]


@pytest.mark.parametrize(
    "script, reason, remedy",
    [
        ("code nvmlInit_v2 9\n", "kernel driver is not loaded", "modprobe nvidia"),
        ("code nvmlInit_v2 17\n", "cgroup blocks the device", "--gpus all"),
        ("gpu 0\ncode nvmlDeviceGetHandleByIndex_v2 4\n", "no permission", "/dev/nvidia"),
        ("gpu 0\ncode nvmlDeviceGetHandleByIndex_v2 15\n", "fallen off the bus", "gpu-reset"),
    ],
)
def test_doctor_explains_what_fails_and_runs_go_on(joulery, script, reason, remedy):
    gpus = Gpus(joulery, script)
    checks = joulery.json("doctor", schema="doctor", code=None)["checks"]
    (nvml,) = [check for check in checks if check["name"] == "NVML"]
    assert reason in nvml["reason"] and remedy in nvml["enable"] and nvml["state"] == "unavailable"
    assert "gpus" not in gpus.run(0.1)


def test_doctor_lists_each_gpu(joulery):
    Gpus(
        joulery,
        "gpu 0 name=NVIDIA_H100 watts=70 limit=700\ngpu 1 name=NVIDIA_A100 watts=50 limit=400 mig=42,14\n"
        "gpu 2 name=Tesla_P100 arch=4 watts=30\n",
    )
    report = joulery.json("doctor", schema="doctor", code=None)
    names = [check["name"] for check in report["checks"] if check["area"] == "gpu"]
    assert names[:3] == ["NVIDIA H100 (GPU 0)", "NVIDIA A100 (GPU 1)", "Tesla P100 (GPU 2)"]
    first, second, third = report["gpus"]
    assert first["enforced_power_limit_watts"] == 700 and "each process uses" in first["sharing"]
    assert first["idle_watts"] == pytest.approx(70, rel=0.1)
    assert second["mig"] and "MIG instance" in second["sharing"]
    assert "no energy counter" in third["energy"]
    assert "own sensors where it has them; the rest is modelled" in report["verdict"]
    text = joulery("doctor", code=None).stdout
    for words in ("GPUs", "power limit 700 W", "±5 %", "MIG is on"):
        assert words in text, words
    # What doctor found out of the quiet GPU is used by the next run.
    document = joulery.run(sys.executable, "-c", BURN.format(0.5))
    assert "joulery doctor" in document["gpus"][0]["idle_basis"]


def test_idle_policies_hold_for_gpus(joulery):
    gpus = Gpus(joulery, "gpu 0 watts=100\n")
    none = gpus.run(1.5, use=100, flags=["--idle", "none"])
    assert none["gpus"][0]["energy_idle_share_joules"] == 0
    everything = gpus.run(1.5, use=100, flags=["--idle", "all"])["gpus"][0]
    assert everything["energy_idle_share_joules"] == pytest.approx(everything["energy_idle_joules"])


def test_no_file_names_the_library(joulery):
    (joulery.home / "joulery.toml").write_text('nvml_library = "/tmp/evil.so"\n')
    result = joulery("run", "--", "true", code=None)
    assert result.returncode == 125 or "nvml_library" in result.stderr
    (joulery.home / "joulery.toml").unlink()
    open_to_all = joulery.home / "libnvidia-ml.so.1"
    open_to_all.write_bytes((BUILD / "fake_nvml/new_driver/libnvidia-ml.so.1").read_bytes())
    open_to_all.chmod(0o666)
    checks = joulery.json("doctor", schema="doctor", code=None, env={"JOULERY_NVML_LIBRARY": str(open_to_all)})
    assert any("everybody may write it" in check["reason"] for check in checks["checks"])
