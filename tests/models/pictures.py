"""Folders of pictures cut from those that scikit-learn and scikit-image ship, and a small network that tells them
apart by texture and colour."""

import importlib.util
import pathlib

import numpy
import onnxruntime
from onnx import helper
from PIL import Image
from sklearn.linear_model import LogisticRegression
from trained import save

PICTURES = {
    "brick": ("skimage", "data/brick.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "grass": ("skimage", "data/grass.png"),
    "palace": ("sklearn", "datasets/images/china.jpg"),
}
SIDE = 48
# As pipelines of the field have them; any numbers would do.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


def picture(name):
    package, file = PICTURES[name]
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is not installed: ./dev setup test installs it"
    return Image.open(pathlib.Path(spec.origin).parent / file).convert("RGB")


def crops(name, side, seen):
    """Squares that do not overlap: of the left half to learn from, of the right half to be judged by."""
    whole = picture(name)
    half = whole.width // 2
    left = 0 if seen else half
    places = [
        (x, y) for x in range(left, left + half - side + 1, side) for y in range(0, whole.height - side + 1, side)
    ]
    return [whole.crop((x, y, x + side, y + side)) for x, y in places]


def prepared(image, side=SIDE):
    """What the model is given: [3, side, side], as --image resize, scale, mean and std make it."""
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    values = numpy.asarray(image, "f4") / 255
    return ((values - numpy.array(MEAN, "f4")) / numpy.array(DEVIATION, "f4")).transpose(2, 0, 1)


def save_folder(folder, side, most=20):
    """folder/class/NN.png; returns the pictures with their classes in the order in which joulery reads them."""
    images, labels = [], []
    for label, name in enumerate(sorted(PICTURES)):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(crops(name, side, seen=False)[:most]):
            image.save(folder / name / f"{number:02}.png")
            images.append(image)
            labels.append(label)
    return images, numpy.array(labels)


def save_network(path, scratch):
    """Two layers of random filters, pooled, and a layer on top that is trained: logits of the six pictures."""
    generator = numpy.random.default_rng(11)
    constants = [
        ("w1", generator.normal(0, 0.3, (12, 3, 5, 5)).astype("f4")),
        ("w2", generator.normal(0, 0.15, (32, 12, 3, 3)).astype("f4")),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], strides=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    inputs = [("image", ["N", 3, SIDE, SIDE])]
    body = save(scratch, nodes, inputs, [("features", ["N", 32])], constants)
    squares = [
        (label, prepared(image)) for label, name in enumerate(sorted(PICTURES)) for image in crops(name, SIDE, True)
    ]
    session = onnxruntime.InferenceSession(body)
    features = session.run(None, {"image": numpy.stack([values for _, values in squares])})[0]
    top = LogisticRegression(C=30, max_iter=3000).fit(features, [label for label, _ in squares])
    constants += [("w3", top.coef_.T.astype("f4")), ("b3", top.intercept_.astype("f4"))]
    nodes = [*nodes, helper.make_node("Gemm", ["features", "w3", "b3"], ["logits"])]
    return save(path, nodes, inputs, [("logits", ["N", len(PICTURES)])], constants)
