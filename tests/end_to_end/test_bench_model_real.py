"""Real models on real data: what bench says of their answers is what scikit-learn says of the same answers, given by
Python's ONNX Runtime; and what it says of their cost holds together."""

import importlib.metadata
import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy
import onnx
import onnxruntime
import pytest
from conftest import PROJECT
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
    top_k_accuracy_score,
)

sys.path += [str(PROJECT / "tests/models"), str(PROJECT / "examples/filetype")]

import features
import pictures
import speech
import trained
from benched import bench, metrics, top_class_error

# Sums of floats in another order differ in the last digits.
CLOSE = {"rel": 1e-4, "abs": 1e-5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def answers(model, x):
    """All outputs of Python's ONNX Runtime for the whole of x."""
    session = onnxruntime.InferenceSession(model)
    return session.run(None, {session.get_inputs()[0].name: x})


# File types: magika's model, and features that our own code makes of files of this machine.


@pytest.fixture(scope="module")
def files(folder):
    """(npz of labelled files, their class names): what the example writes, run as its README says."""
    output, names = folder / "files.npz", folder / "kinds.txt"
    places = [PROJECT / "docs", PROJECT / "src/base", PROJECT / "tools", pathlib.Path(pictures.__file__).parent]
    packages = pathlib.Path(onnx.__file__).parents[1]
    places += [packages / name for name in ("onnx", "skimage/data", "sklearn/datasets", "skl2onnx")]
    command = [sys.executable, PROJECT / "examples/filetype/features.py", *places, "--limit", "12"]
    command += ["--output", output, "--labelled", "--class-names", names, "--copy-model", folder / "filetype.onnx"]
    subprocess.run(command, check=True, timeout=60)
    assert (folder / "filetype.onnx").read_bytes() == magika_model().read_bytes()
    return output, names


def magika_model():
    return features.model_folder() / "model.onnx"


def test_features_of_files_are_those_that_the_package_makes(tmp_path):
    from magika import Magika
    from magika.types import Seekable

    settings = features.read_settings(features.model_folder())
    generator = numpy.random.default_rng(1)

    def noise(count):
        return generator.integers(0, 256, count, "u1").tobytes()

    contents = {
        "code": pathlib.Path(__file__).read_bytes(),
        "short": b"  0123456789\n",
        "blank_around": b"\t\r\n " * 300 + b"in the middle" + b" \n\x0b\x0c" * 300,
        # Longer than a block of white space: nothing of the text is seen from that side.
        "blank_block": b" " * 5000 + b"behind" * 20,
        "block": noise(4096),
        "more_than_block": noise(4097),
        "first_and_last_overlap": noise(1500),
        "one_side": noise(1024),
        "large": noise(300_000),
    }
    compared = 0
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        with path.open("rb") as file:
            package = Magika._extract_features_from_seekable(
                Seekable(file), settings.first, 0, settings.last, settings.padding, settings.block, False
            )
        ours = features.features(path, settings)
        if package.beg[settings.least - 1] == settings.padding:
            assert ours is None, name
            continue
        assert ours.dtype == numpy.int32
        numpy.testing.assert_array_equal(ours, package.beg + package.end, err_msg=name)
        compared += 1
    assert compared == len(contents) - 1


def test_magika_knows_files_of_this_machine(joulery, files):
    data, names = files
    flags = ("--data", data, "--group", "folder", "--class-names", names, "--task", "classify")
    document = bench(joulery, magika_model(), *flags)
    stored = numpy.load(data)
    kinds = names.read_text().splitlines()
    y = numpy.array([kinds.index(kind) for kind in stored["y"]])
    p = answers(magika_model(), stored["bytes"])[0]
    found = metrics(document)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, p.argmax(1)))
    assert found["accuracy"] > 0.8, "files that magika was made for"
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, p.argmax(1)))
    assert found["macro_f1"] == pytest.approx(f1_score(y, p.argmax(1), average="macro"))
    assert found["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(y, p, k=5, labels=range(len(kinds))))
    error = top_class_error(p.max(1), p.argmax(1) == y)
    assert found["ece"] == pytest.approx(error, **CLOSE)
    quality = document["quality"]
    assert quality["samples"] == len(y) and quality["groups"] == len(set(stored["folder"]))
    assert {one["name"] for one in quality["classes"] if one["labelled"]} == set(stored["y"])
    model = onnx.load(magika_model())
    weights = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    assert document["model"]["parameters"] >= sum(int(numpy.prod(t.dims)) for t in weights)
    assert document["model"]["size_bytes"] == magika_model().stat().st_size


def test_magika_agrees_with_itself_in_another_engine(joulery, files, folder):
    few = folder / "few.npz"
    numpy.savez(few, bytes=numpy.load(files[0])["bytes"][:60])
    document = bench(joulery, magika_model(), "--data", few, "--task", "agree", "--versus-engine", "openvino")
    assert document["engine"]["name"] == "onnxruntime" and document["versus"]["engine"]["name"] == "openvino"
    for side in (document, document["versus"]):
        found = metrics(side)
        assert found["same_top_1"] == 1 and found["relative_error"] < 1e-3 and found["cosine"] > 0.9999
    ratio = document["comparison"]["cpu_seconds_ratio"]
    sides = [side["cpu_seconds_per_inference"]["value"] for side in (document, document["versus"])]
    assert ratio["value"] == pytest.approx(sides[1] / sides[0], rel=1e-6)


# Speech: silero-vad on what espeak-ng says, against noise.


@pytest.fixture(scope="module")
def utterances(folder):
    model = folder / "utterance.onnx"
    samples = speech.save_utterance_model(model, seconds=1.5)
    x, y, groups = speech.utterances(samples, count=32)
    numpy.savez(folder / "utterances.npz", x=x, y=y, voice=groups)
    return model, folder / "utterances.npz"


def frame_by_frame(x):
    """The highest probability of each utterance, by the package's own model and a loop in Python."""
    session = onnxruntime.InferenceSession(speech.frame_model())
    highest = []
    for samples in x:
        state, seen = numpy.zeros(speech.STATE, "f4"), []
        for frame in speech.frames_of(samples):
            inputs = {"input": frame[None], "state": state, "sr": numpy.array(speech.RATE)}
            probability, state = session.run(None, inputs)
            seen.append(probability[0, 0])
        highest.append(max(seen))
    return numpy.array(highest)


ONE_FRAME = ("--shape", "input:1,576", "--shape", "state:2,1,128")
ONE_FRAME += ("--constant", "state=0", "--constant", f"sr={speech.RATE}")


def frame_macs(joulery):
    macs = bench(joulery, speech.frame_model(), *ONE_FRAME, budget="0.3s")["model"]["macs_per_inference"]
    assert macs > 100_000, "silero-vad has 309 thousand weights, and uses nearly all of them"
    return macs


@pytest.mark.parametrize("batch", [1, 5])
def test_silero_hears_speech_and_not_noise(joulery, utterances, batch):
    model, data = utterances
    flags = ("--data", data, "--group", "voice", "--task", "classify", "--batch", batch)
    document = bench(joulery, model, *flags)
    stored = numpy.load(data)
    y = stored["y"]
    p = frame_by_frame(stored["x"])
    quality, found = document["quality"], metrics(document)
    # An utterance is a sample, not a frame; a batch that the last ones do not fill counts them once.
    assert quality["samples"] == len(y) and document["batch"] == batch
    assert found["accuracy"] == pytest.approx(accuracy_score(y, p >= 0.5)) and found["accuracy"] > 0.9
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, p))
    assert found["negative_log_likelihood"] == pytest.approx(log_loss(y, p.astype("f8")), rel=1e-3, abs=1e-4)
    assert found["brier"] == pytest.approx(brier_score_loss(y, p), rel=1e-3, abs=1e-5)
    assert quality["groups"] == len(set(stored["voice"]))
    assert any("groups" in warning for warning in quality["warnings"]), "fewer than ten groups"
    # The Scan multiplies as often as the package's model does for each frame alone.
    frames = len(stored["x"][0]) // speech.FRAME
    assert document["model"]["macs_per_inference"] == frames * frame_macs(joulery)


def test_one_frame_of_silero_with_its_own_state(joulery):
    """Inputs that are the same for all samples, one of them without dimensions."""
    document = bench(joulery, speech.frame_model(), *ONE_FRAME)
    given = {port["name"]: port["shape"] for port in document["model"]["inputs"]}
    assert given == {"input": [1, 576], "state": [2, 1, 128], "sr": []}


# What scikit-learn's data train.


def test_digits_of_a_forest_from_npz(joulery, folder):
    digits = trained.digits(folder)
    numpy.savez(folder / "digits.npz", X=digits.x, y=digits.y)
    document = bench(joulery, digits.path, "--data", folder / "digits.npz", "--task", "classify", "--batch", "10")
    labels, p = answers(digits.path, digits.x)
    found = metrics(document)
    assert document["batch"] == 10 and document["quality"]["samples"] == len(digits.y)
    assert found["accuracy"] == pytest.approx(accuracy_score(digits.y, p.argmax(1)))
    assert found["accuracy"] == pytest.approx(accuracy_score(digits.y, labels))
    assert found["macro_f1"] == pytest.approx(f1_score(digits.y, p.argmax(1), average="macro"))
    assert found["negative_log_likelihood"] == pytest.approx(log_loss(digits.y, p.astype("f8")), rel=1e-3)
    assert found["ece"] == pytest.approx(top_class_error(p.max(1), p.argmax(1) == digits.y), **CLOSE)
    for one in document["quality"]["classes"]:
        assert one["labelled"] == (digits.y == int(one["name"])).sum()


def test_breast_cancer_from_csv_with_a_column_for_each_feature(joulery, folder):
    cancer = trained.breast_cancer(folder)
    table = folder / "cancer.csv"
    rows = [",".join([*map(repr, map(float, row)), str(label)]) for row, label in zip(cancer.x, cancer.y, strict=True)]
    table.write_text("\n".join([",".join([*cancer.columns, "benign"]), *rows]) + "\n")
    flags = ("--data", table, "--labels", "benign", "--task", "classify", "--metric", "roc_auc", "--slice", "class")
    document = bench(joulery, cancer.path, *flags)
    p = answers(cancer.path, cancer.x)[0][:, 0].astype("f8")
    found = metrics(document)
    assert document["quality"]["primary"]["name"] == "roc_auc"
    assert found["roc_auc"] == pytest.approx(roc_auc_score(cancer.y, p))
    assert found["accuracy"] == pytest.approx(accuracy_score(cancer.y, p >= 0.5))
    assert found["brier"] == pytest.approx(brier_score_loss(cancer.y, p), rel=1e-3)
    confidence = numpy.maximum(p, 1 - p)
    assert found["ece"] == pytest.approx(top_class_error(confidence, (p >= 0.5) == cancer.y), **CLOSE)
    declared = [one for one in document["quality"]["slices"] if one["declared"]]
    assert declared and all(one["dimension"] == "class" for one in declared)


def test_diabetes_from_jsonl_with_groups(joulery, folder):
    diabetes = trained.diabetes(folder)
    lines = folder / "diabetes.jsonl"
    rows = zip(diabetes.x.tolist(), diabetes.y.tolist(), diabetes.groups.tolist(), strict=True)
    lines.write_text("".join(json.dumps({"x": x, "y": y, "decade": group}) + "\n" for x, y, group in rows))
    document = bench(joulery, diabetes.path, "--data", lines, "--group", "decade", "--task", "regress")
    predicted = answers(diabetes.path, diabetes.x)[0][:, 0]
    found = metrics(document)
    assert found["mae"] == pytest.approx(mean_absolute_error(diabetes.y, predicted), rel=1e-4)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(diabetes.y, predicted), rel=1e-4)
    assert found["r2"] == pytest.approx(r2_score(diabetes.y, predicted), rel=1e-4)
    assert found["max_error"] == pytest.approx(abs(diabetes.y - predicted).max(), rel=1e-4)
    assert document["quality"]["groups"] == len(set(diabetes.groups))


# Pictures.


@pytest.fixture(scope="module")
def network(folder):
    return pictures.save_network(folder / "pictures.onnx", folder / "body.onnx")


@pytest.mark.parametrize("side", [pictures.SIDE, 64])
def test_pictures_from_a_folder(joulery, network, tmp_path, side):
    images, y = pictures.save_folder(tmp_path / "pictures", side)
    flags = [
        flag
        for option in ("scale=1/255", "mean=0.485,0.456,0.406", "std=0.229,0.224,0.225")
        for flag in ("--image", option)
    ]
    document = bench(joulery, network, "--data", tmp_path / "pictures", "--task", "classify", *flags)
    logits = answers(network, numpy.stack([pictures.prepared(image) for image in images]))[0]
    found = metrics(document)
    assert document["quality"]["samples"] == len(y) and document["quality"]["interpretation"].startswith("logits")
    assert {one["name"] for one in document["quality"]["classes"]} == set(pictures.PICTURES)
    # Shrinking rounds a few values in a thousand to another level than Pillow does; without it all are the same.
    tolerance = 1e-6 if side == pictures.SIDE else 1 / len(y) + 1e-6
    assert found["accuracy"] == pytest.approx(accuracy_score(y, logits.argmax(1)), abs=tolerance)
    p = numpy.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    near = 1e-4 if side == pictures.SIDE else 0.02
    assert found["negative_log_likelihood"] == pytest.approx(log_loss(y, p.astype("f8")), rel=near)
    assert found["accuracy"] > 0.8, "the network learned from the other half of the same pictures"


# The record.


def test_a_bench_is_a_run_in_the_store_with_its_document(joulery, folder):
    cancer = trained.breast_cancer(folder)
    document = bench(joulery, cancer.path, "--name", "cancer")
    shown = joulery.json("show", document["run_id"], schema="show")
    assert shown["run"]["name"] == "cancer" and shown["run"]["status"] == "FINISHED"
    stored = shown["run"]["metrics"]
    for key in ("cpu_seconds_per_inference", "wall_seconds_per_inference", "energy_per_inference_joules"):
        assert stored[f"joulery/{key}"] == pytest.approx(document[key]["value"])
    assert shown["run"]["params"]["model_sha256"] == document["model"]["sha256"]
    kept = [one for one in shown["evidence"] if one["type"] == "joulery/bench-model"]
    assert [one["content"] for one in kept] == [document]


def test_a_second_bench_is_given_at_the_usual_clock(joulery, folder):
    """What benches learn of the machine's speed is in the record: without it each has its own clock."""
    cancer = trained.breast_cancer(folder)
    first = bench(joulery, cancer.path)
    second = bench(joulery, cancer.path)
    stored = joulery.json("show", second["run_id"], schema="show")["run"]["metrics"]
    assert stored["joulery/core_hertz"] == pytest.approx(second["core"]["hertz"])
    assert stored["joulery/core_work_cycles"] == pytest.approx(second["core"]["work_cycles"])
    assert first["core"]["usual_hertz"] == first["core"]["hertz"]
    clocks = (first["core"]["hertz"], second["core"]["hertz"])
    if abs(clocks[0] / clocks[1] - 1) < 0.1:
        assert second["core"]["usual_hertz"] == pytest.approx(min(clocks))
    assert second["core"]["quiet_work_cycles"] <= first["core"]["work_cycles"]


def test_packages_that_hold_the_models_are_those_that_were_pinned():
    """A model of another release may answer in another way."""
    pinned = (PROJECT / "requirements-models.txt").read_text()
    for name, package in {"magika": "magika", "silero-vad": "silero_vad", "scikit-image": "skimage"}.items():
        assert importlib.util.find_spec(package) is not None
        assert f"{name}=={importlib.metadata.version(name)}" in pinned
