"""Runs a command inside a measurement window of Zeus, the way its documentation shows it.

    zeus_run.py [--describe] COMMAND...

Zeus has no command line of its own for this. With --describe it says what Zeus can measure here instead.
"""

import json
import subprocess
import sys
import time

start = time.perf_counter()
from zeus.monitor import ZeusMonitor  # noqa: E402

imported = time.perf_counter()

if sys.argv[1:2] == ["--describe"]:
    gpus: list = []
    try:
        monitor = ZeusMonitor()
        gpus = list(monitor.gpu_indices)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        monitor = ZeusMonitor(gpu_indices=[])
    else:
        reason = ""
    cpus = list(monitor.cpu_indices)
    print(
        json.dumps(
            {
                "import_seconds": imported - start,
                "start_seconds": time.perf_counter() - imported,
                "gpus": len(gpus),
                "cpu_packages": len(cpus),
                "reason": reason,
            }
        )
    )
    sys.exit(0)

monitor = ZeusMonitor(gpu_indices=[])
monitor.begin_window("command")
code = subprocess.run(sys.argv[1:], check=False).returncode
monitor.end_window("command")
sys.exit(code)
