"""Gradient boosting with LightGBM, up to the quality that task.py asks for."""

import sys

import lightgbm
import task


def train(work: task.Task, rounds: int):
    booster = lightgbm.train(
        {
            "objective": "multiclass",
            "num_class": 10,
            "learning_rate": task.LEARNING_RATE,
            "num_leaves": task.LEAVES,
            "min_data_in_leaf": task.SMALLEST_LEAF,
            "max_bin": task.BINS,
            "num_threads": work.threads,
            "seed": task.SEED,
            "verbosity": -1,
        },
        lightgbm.Dataset(work.train_images, work.train_labels),
        num_boost_round=rounds,
    )
    return booster.predict


if __name__ == "__main__":
    sys.exit(task.run("LightGBM", train, rounds=44, quick_rounds=9))
