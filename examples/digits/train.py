"""Trains six model families on scikit-learn's handwritten digits and exports the best of each to ONNX.

The images are split by original image before any is augmented, so no altered copy of a test image is ever trained
on. Each family tries a few settings; the validation images choose, and the test images are asked once, at the end,
about the one winner. The same seed gives the same models.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy import ndimage
from sklearn.base import ClassifierMixin, clone
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

IMAGE_SIDE = 8
BRIGHTEST = 16.0
LABEL_AGREEMENT_WANTED = 0.995


@dataclass(frozen=True)
class Split:
    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Family:
    name: str
    model: ClassifierMixin
    settings: list[dict]


@dataclass(frozen=True)
class Best:
    family: str
    model: ClassifierMixin
    setting: dict
    accuracy: float
    tried: int
    seconds: float


def load_splits(seed: int) -> tuple[Split, Split, Split]:
    """60 % to train, 20 % to validate, 20 % to test; the share of each digit is kept."""
    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    train_images, rest_images, train_labels, rest_labels = train_test_split(
        images, labels, test_size=0.4, stratify=labels, random_state=seed
    )
    validation_images, test_images, validation_labels, test_labels = train_test_split(
        rest_images, rest_labels, test_size=0.5, stratify=rest_labels, random_state=seed
    )
    return (
        Split(train_images, train_labels),
        Split(validation_images, validation_labels),
        Split(test_images, test_labels),
    )


def altered(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One copy of an 8x8 image, turned by up to 12 degrees, moved by up to one pixel, with a little noise."""
    square = image.reshape(IMAGE_SIDE, IMAGE_SIDE)
    square = ndimage.rotate(square, generator.uniform(-12.0, 12.0), reshape=False, order=1)
    square = ndimage.shift(square, generator.uniform(-1.0, 1.0, size=2), order=1)
    square = square + generator.normal(0.0, 0.5, size=square.shape)
    return np.clip(square, 0.0, BRIGHTEST).astype(np.float32).reshape(-1)


def augment(split: Split, copies: int, seed: int) -> Split:
    """The images of `split` and `copies` altered ones of each."""
    generator = np.random.default_rng(seed)
    images = [split.images]
    for _ in range(copies):
        images.append(np.stack([altered(image, generator) for image in split.images]))
    return Split(np.concatenate(images), np.tile(split.labels, copies + 1))


def families(seed: int, quick: bool) -> list[Family]:
    """Quick: one or two small settings of each, so that a test sees the whole way in seconds."""

    def grid(full: dict, small: dict) -> list[dict]:
        return list(ParameterGrid(small if quick else full))

    return [
        Family(
            "logistic_regression",
            make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=400)),
            grid({"logisticregression__C": [0.1, 1.0, 10.0, 100.0]}, {"logisticregression__C": [1.0]}),
        ),
        Family(
            "svm_rbf",
            make_pipeline(MinMaxScaler(), SVC(kernel="rbf")),
            grid({"svc__C": [1.0, 3.0, 10.0], "svc__gamma": [0.05, 0.1, 0.2]}, {"svc__C": [10.0], "svc__gamma": [0.1]}),
        ),
        Family(
            "random_forest",
            RandomForestClassifier(min_samples_leaf=3, random_state=seed),
            grid({"n_estimators": [60], "max_features": [4, 8, 12, 16]}, {"n_estimators": [30]}),
        ),
        Family(
            "extra_trees",
            ExtraTreesClassifier(min_samples_leaf=3, random_state=seed),
            grid({"n_estimators": [60], "max_features": [8, 16]}, {"n_estimators": [30]}),
        ),
        Family(
            "gradient_boosting",
            GradientBoostingClassifier(max_features=8, subsample=0.5, random_state=seed),
            grid({"n_estimators": [200], "learning_rate": [0.1, 0.2], "max_depth": [3, 4]}, {"n_estimators": [8]}),
        ),
        Family(
            "mlp",
            make_pipeline(MinMaxScaler(), MLPClassifier(early_stopping=False, random_state=seed)),
            grid(
                {
                    "mlpclassifier__hidden_layer_sizes": [(256,), (256, 128)],
                    "mlpclassifier__alpha": [1e-4, 1e-2],
                    "mlpclassifier__max_iter": [60],
                },
                {"mlpclassifier__hidden_layer_sizes": [(32,)], "mlpclassifier__max_iter": [60]},
            ),
        ),
    ]


def fit(model: ClassifierMixin, setting: dict, train: Split, validation: Split) -> tuple[float, ClassifierMixin]:
    with warnings.catch_warnings():
        # The number of passes is the budget here, not a sign that something went wrong.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = clone(model).set_params(**setting).fit(train.images, train.labels)
    return float(fitted.score(validation.images, validation.labels)), fitted


def best_of(family: Family, train: Split, validation: Split, jobs: int) -> Best:
    """The setting with the highest validation accuracy; of equals the first, so that the choice is repeatable."""
    start = time.perf_counter()
    results = Parallel(n_jobs=jobs)(
        delayed(fit)(family.model, setting, train, validation) for setting in family.settings
    )
    accuracies = [accuracy for accuracy, _ in results]
    chosen = int(np.argmax(accuracies))
    return Best(
        family=family.name,
        model=results[chosen][1],
        setting=family.settings[chosen],
        accuracy=accuracies[chosen],
        tried=len(results),
        seconds=time.perf_counter() - start,
    )


def export_onnx(best: Best, folder: Path) -> Path:
    from skl2onnx import to_onnx

    options = {id(best.model): {"zipmap": False}}
    with warnings.catch_warnings():
        # The converter still asks a support vector machine for attributes that scikit-learn is about to drop.
        warnings.simplefilter("ignore", FutureWarning)
        model = to_onnx(best.model, np.zeros((1, IMAGE_SIDE**2), np.float32), options=options, target_opset=17)
    path = folder / f"{best.family}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def onnx_agreement(path: Path, model: ClassifierMixin, images: np.ndarray) -> float:
    """The share of images that the exported file labels as scikit-learn does. Float32 may tip a tie, no more."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    labels = session.run(None, {session.get_inputs()[0].name: images})[0]
    return float(np.mean(labels == model.predict(images)))


def print_table(rows: list[tuple[Best, float]]) -> None:
    print(f"{'family':<20} {'tried':>5} {'validation':>10} {'seconds':>8} {'ONNX = sklearn':>15}")
    for best, agreement in rows:
        print(
            f"{best.family:<20} {best.tried:>5} {best.accuracy:>10.4f} {best.seconds:>8.1f} {agreement:>14.1%}",
            flush=True,
        )


def write_results(path: Path, rows: list[tuple[Best, float]], winner: Best, test_accuracy: float) -> None:
    results = {
        "schema_version": 1,
        "winner": winner.family,
        "test_accuracy": test_accuracy,
        "families": [
            {
                "family": best.family,
                "setting": best.setting,
                "validation_accuracy": best.accuracy,
                "duration_seconds": best.seconds,
                "onnx_agreement": agreement,
            }
            for best, agreement in rows
        ],
    }
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("digits-models"), help="folder for the models")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--copies", type=int, help="altered copies of each training image (default 10; quick: 1)")
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), help="settings tried at once (default: all cores)"
    )
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that everything works")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    copies = arguments.copies if arguments.copies is not None else (1 if arguments.quick else 10)
    arguments.output.mkdir(parents=True, exist_ok=True)

    train, validation, test = load_splits(arguments.seed)
    augmented = augment(train, copies, arguments.seed)
    print(
        f"{len(augmented.labels)} training images ({len(train.labels)} originals), "
        f"{len(validation.labels)} to validate, {len(test.labels)} to test",
        flush=True,
    )

    rows = []
    for family in families(arguments.seed, arguments.quick):
        best = best_of(family, augmented, validation, arguments.jobs)
        agreement = onnx_agreement(export_onnx(best, arguments.output), best.model, test.images)
        rows.append((best, agreement))
        print(f"  {family.name}: {best.accuracy:.4f} in {best.seconds:.1f} s", flush=True)

    winner = max((best for best, _ in rows), key=lambda best: best.accuracy)
    test_accuracy = float(winner.model.score(test.images, test.labels))
    print()
    print_table(rows)
    print(f"\nbest on validation: {winner.family}; accuracy on the test images: {test_accuracy:.4f}")
    print(f"models: {arguments.output}/*.onnx")
    write_results(arguments.output / "results.json", rows, winner, test_accuracy)

    differing = [best.family for best, agreement in rows if agreement < LABEL_AGREEMENT_WANTED]
    if differing:
        print(f"error: the exported model differs from scikit-learn: {', '.join(differing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
