"""The task that both frameworks are given: the same images, the same limits, the same quality to reach."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

LEARNING_RATE = 0.1
LEAVES = 31
SMALLEST_LEAF = 20
BINS = 255
SEED = 7
# A training counts if the loss on the validation images is at most this.
LOSS_WANTED = 0.07
LOSS_WANTED_QUICK = 0.6


@dataclass(frozen=True)
class Task:
    train_images: np.ndarray
    train_labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    threads: int


def moved(images: np.ndarray) -> np.ndarray:
    """The images, and each moved by one pixel in four directions."""
    squares = images.reshape(-1, 8, 8)
    copies = [squares] + [np.roll(squares, step, axis) for axis in (1, 2) for step in (-1, 1)]
    return np.concatenate(copies).reshape(-1, 64)


def load_task(threads: int, quick: bool) -> Task:
    """60 % of the digits to train, 20 % to say when it is enough, 20 % to test; the share of each digit is kept."""
    images, labels = load_digits(return_X_y=True)
    train_images, rest_images, train_labels, rest_labels = train_test_split(
        images, labels, test_size=0.4, stratify=labels, random_state=SEED
    )
    validation_images, test_images, validation_labels, test_labels = train_test_split(
        rest_images, rest_labels, test_size=0.5, stratify=rest_labels, random_state=SEED
    )
    if not quick:
        # After the split, so that no copy of a test image is trained on.
        train_images, train_labels = moved(train_images), np.tile(train_labels, 5)
    return Task(
        train_images,
        train_labels,
        validation_images,
        validation_labels,
        test_images,
        test_labels,
        threads,
    )


def run(
    framework: str, train: Callable[[Task, int], Callable[[np.ndarray], np.ndarray]], rounds: int, quick_rounds: int
):
    """`train` takes the task and how many rounds, and returns what gives probabilities for images."""
    parser = argparse.ArgumentParser(description=f"Trains gradient boosting with {framework} up to a fixed quality.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="default: as few as reach the quality")
    parser.add_argument("--quick", action="store_true", help="a lower quality, to see that everything works")
    arguments = parser.parse_args()

    task = load_task(arguments.threads, arguments.quick)
    loss_wanted = LOSS_WANTED_QUICK if arguments.quick else LOSS_WANTED
    wanted_rounds = arguments.rounds or (quick_rounds if arguments.quick else rounds)
    start = time.perf_counter()
    probabilities_of = train(task, wanted_rounds)
    seconds = time.perf_counter() - start
    loss = log_loss(task.validation_labels, probabilities_of(task.validation_images))
    accuracy = float(np.mean(np.argmax(probabilities_of(task.test_images), axis=1) == task.test_labels))
    result = {
        "framework": framework,
        "rounds": wanted_rounds,
        "validation_loss": round(float(loss), 4),
        "test_accuracy": round(accuracy, 4),
        "training_seconds": round(seconds, 3),
    }
    print(json.dumps(result))
    if loss > loss_wanted:
        print(f"error: {framework} did not get the loss down to {loss_wanted}", file=sys.stderr)
        return 1
    return 0
