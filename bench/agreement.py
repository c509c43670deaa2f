"""Do two separate runs of `joulery bench` agree about the CPU-seconds of an inference?

For each model, pairs of runs one after the other. Two runs agree if the 95 % interval of the difference of their logarithms,
made of the two runs' own intervals, covers 0. Runs that did not reach the target of ±2 % are counted apart.

    python3 bench/agreement.py --binary build/dev/bin/joulery --repetitions 40 MODEL…

With --itself: does a model measured in turn with itself cost 1.00 times as much? How often do the ranges of the ratios of CPU
time, wall time and energy cover 1?
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
import time


def bench(arguments, model, seed, home, *flags):
    environment = {**os.environ, "XDG_DATA_HOME": home}
    command = [
        arguments.binary,
        "bench",
        model,
        "--json",
        "--budget",
        f"{arguments.budget}s",
        "--seed",
        str(seed),
        *flags,
    ]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(result.stdout)


def run(arguments, model, seed, home):
    """One run: CPU-seconds per inference, half-width of the interval of its logarithm, blocks, target reached."""
    began = time.monotonic()
    document = bench(arguments, model, seed, home)
    figure = document["cpu_seconds_per_inference"]
    half_width = math.log(figure["high"] / figure["low"]) / 2
    if arguments.runs:
        with open(arguments.runs, "a", encoding="utf-8") as runs:
            line = {
                "model": os.path.basename(model),
                "seed": seed,
                **{key: figure[key] for key in ("value", "low", "high")},
                "blocks": document["blocks"],
                "undisturbed_blocks": document["undisturbed_blocks"],
                "as_run": document["cpu_seconds_per_inference_as_run"]["value"],
                "core": document["core"],
                "ending": document["protocol"]["ending"],
                "seconds": round(time.monotonic() - began, 1),
                "load": os.getloadavg()[0],
            }
            runs.write(json.dumps(line) + "\n")
    return (
        figure["value"],
        half_width,
        document["undisturbed_blocks"],
        document["protocol"]["ending"] == "target reached",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/dev/bin/joulery")
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--runs", help="a file to which each run is appended as a line of JSON")
    parser.add_argument("--itself", action="store_true", help="each model in turn with itself")
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for model in arguments.models:
            (measure_with_itself if arguments.itself else measure)(arguments, model, home)


def measure_with_itself(arguments, model, home):
    """Prints one line for the model."""
    names = ("cpu_seconds_ratio", "wall_seconds_ratio", "energy_ratio")
    covered = dict.fromkeys(names, 0)
    farthest = dict.fromkeys(names, 0.0)
    for repetition in range(arguments.repetitions):
        ratios = bench(arguments, model, repetition + 1, home, "--versus", model)["comparison"]
        for name in names:
            covered[name] += ratios[name]["low"] <= 1 <= ratios[name]["high"]
            farthest[name] = max(farthest[name], abs(math.log(ratios[name]["value"])))
    told = (f"{name} {covered[name]} (farthest {100 * farthest[name]:.2f} %)" for name in names)
    print(f"{os.path.basename(model)}: of {arguments.repetitions} ranges these cover 1: {', '.join(told)}", flush=True)


def measure(arguments, model, home):
    """Prints one line for the model."""
    agreed = reached = 0
    differences, widths, blocks = [], [], []
    for repetition in range(arguments.repetitions):
        first = run(arguments, model, 2 * repetition + 1, home)
        second = run(arguments, model, 2 * repetition + 2, home)
        difference = math.log(second[0] / first[0])
        agreed += abs(difference) <= math.hypot(first[1], second[1])
        reached += first[3] and second[3]
        differences.append(abs(difference))
        widths += [first[1], second[1]]
        blocks += [first[2], second[2]]
    differences.sort()
    widths.sort()
    print(
        f"{os.path.basename(model)}: {agreed} of {arguments.repetitions} pairs of runs agree; both within ±2 % in "
        f"{reached}; |difference| median {100 * differences[len(differences) // 2]:.2f} %, largest "
        f"{100 * differences[-1]:.2f} %; half-width median {100 * widths[len(widths) // 2]:.2f} %; "
        f"{min(blocks)} to {max(blocks)} blocks",
        flush=True,
    )


if __name__ == "__main__":
    main()
