"""Lets CodeCarbon's offline tracker sample this machine at a rate, and counts how often it does.

codecarbon_loop.py HZ SECONDS
"""

import json
import sys
import time

from codecarbon import OfflineEmissionsTracker
from codecarbon.emissions_tracker import BaseEmissionsTracker

samples = 0
measure = BaseEmissionsTracker._measure_power_and_energy


def counted(tracker: BaseEmissionsTracker) -> None:
    global samples
    samples += 1
    measure(tracker)


# The tracker hands this function to its timer when it is made, so it is replaced before.
BaseEmissionsTracker._measure_power_and_energy = counted
tracker = OfflineEmissionsTracker(
    measure_power_secs=1.0 / float(sys.argv[1]),
    country_iso_code="FRA",
    save_to_file=False,
    log_level="critical",
)
tracker.start()
start, before = time.monotonic(), samples
time.sleep(float(sys.argv[2]))
duration, counted_samples = time.monotonic() - start, samples - before
print(json.dumps({"samples": counted_samples, "duration_seconds": duration}), flush=True)
tracker.stop()
