"""What the program takes NVML's C interface to be, against the vendor's own Python binding."""

import ctypes
import json
import os
import pathlib
import subprocess
import sys

import pynvml
import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("JOULERY_BINARY", PROJECT / "build/dev/bin/joulery")).resolve().parents[1]
INTERFACE = json.loads(subprocess.run([BUILD / "test_bin/nvml_interface"], check=True, capture_output=True).stdout)


@pytest.mark.parametrize("name", sorted(INTERFACE["constants"]))
def test_constants(name):
    assert INTERFACE["constants"][name] == getattr(pynvml, name)


@pytest.mark.parametrize("name", sorted(INTERFACE["structs"]))
def test_sizes_and_offsets(name):
    theirs = getattr(pynvml, name)
    ours = INTERFACE["structs"][name]
    assert ours["size"] == ctypes.sizeof(theirs)
    assert len(ours["fields"]) == len(theirs._fields_)
    for (ours_name, offset, size), (theirs_name, *_) in zip(ours["fields"], theirs._fields_, strict=True):
        field = getattr(theirs, theirs_name)
        assert (offset, size) == (field.offset, field.size), f"{ours_name} is not {theirs_name}"


def test_functions_are_the_bindings():
    text = pathlib.Path(pynvml.__file__).read_text()
    # The binding starts with nvmlInitWithFlags, and that with no flags is nvmlInit_v2.
    missing = [name for name in INTERFACE["functions"] if f'"{name}"' not in text and name != "nvmlInit_v2"]
    assert not missing
    assert "nvmlInitWithFlags" in text


def test_the_binding_reads_the_fake_as_the_program_does(tmp_path):
    """The fake is built from our declarations; the vendor's binding understands it, so they are the same."""
    script = tmp_path / "gpus.txt"
    script.write_text(
        "driver 570.1\ngpu 0 uuid=GPU-x name=NVIDIA_H100 watts=123.5 limit=700 memory=20\n"
        "gpu 1 name=NVIDIA_A100 mig=42,14\nprocess 0 4242 77\nprocess 1 4243 0 1\n"
    )
    program = """
import json, time
from pynvml import *
nvmlInit()
gpu, mig = (nvmlDeviceGetHandleByIndex(i) for i in range(nvmlDeviceGetCount()))
text = lambda value: value.decode() if isinstance(value, bytes) else value
fields = nvmlDeviceGetFieldValues(gpu, [(186, 0), (185, 2), (186, 1)])
first = nvmlDeviceGetTotalEnergyConsumption(gpu)
time.sleep(0.2)
instance = nvmlDeviceGetMigDeviceHandleByIndex(mig, 1)
print(json.dumps({
    "driver": text(nvmlSystemGetDriverVersion()), "uuid": text(nvmlDeviceGetUUID(gpu)),
    "name": text(nvmlDeviceGetName(gpu)), "power": nvmlDeviceGetPowerUsage(gpu),
    "limit": nvmlDeviceGetEnforcedPowerLimit(gpu), "moved": nvmlDeviceGetTotalEnergyConsumption(gpu) > first,
    "instant": fields[0].value.uiVal, "memory": fields[1].value.uiVal, "module": fields[2].nvmlReturn,
    "use": [(s.pid, s.smUtil) for s in nvmlDeviceGetProcessUtilization(gpu, 0)],
    "holders": [p.pid for p in nvmlDeviceGetComputeRunningProcesses_v3(instance)],
    "mig": nvmlDeviceGetMigMode(mig), "multiprocessors": nvmlDeviceGetAttributes_v2(instance).multiprocessorCount,
}))
"""
    environment = {**os.environ, "FAKE_NVML": str(script), "LD_LIBRARY_PATH": str(BUILD / "fake_nvml/new_driver")}
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("a Python without the sanitizer can't load a library with it")
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "driver": "570.1",
        "uuid": "GPU-x",
        "name": "NVIDIA H100",
        "power": 123500,
        "limit": 700000,
        "moved": True,
        "instant": 123500,
        "memory": 20000,
        "module": 3,
        "use": [[4242, 77]],
        "holders": [4243],
        "mig": [1, 1],
        "multiprocessors": 14,
    }
