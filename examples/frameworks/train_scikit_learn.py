"""Gradient boosting with scikit-learn, up to the quality that task.py asks for."""

import sys

import task
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits


def train(work: task.Task, rounds: int):
    model = HistGradientBoostingClassifier(
        learning_rate=task.LEARNING_RATE,
        max_leaf_nodes=task.LEAVES,
        min_samples_leaf=task.SMALLEST_LEAF,
        max_bins=task.BINS,
        max_iter=rounds,
        early_stopping=False,
        random_state=task.SEED,
    )
    with threadpool_limits(work.threads):
        model.fit(work.train_images, work.train_labels)
    return model.predict_proba


if __name__ == "__main__":
    sys.exit(task.run("scikit-learn", train, rounds=38, quick_rounds=8))
