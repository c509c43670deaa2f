"""Models trained from the data that scikit-learn ships, and the samples that they have not seen."""

from dataclasses import dataclass, field

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier


@dataclass
class Trained:
    path: str
    x: numpy.ndarray
    y: numpy.ndarray
    columns: list = field(default_factory=list)
    groups: numpy.ndarray | None = None


def save(path, nodes, inputs, outputs, constants=(), opset=17, domains=()):
    """A graph as a file; inputs and outputs are (name, shape) of floats, or (name, shape, type)."""

    def ports(side):
        return [
            helper.make_tensor_value_info(name, *(type or [TensorProto.FLOAT]), shape) for name, shape, *type in side
        ]

    values = [numpy_helper.from_array(value, name) for name, value in constants]
    graph = helper.make_graph(nodes, "test", ports(inputs), ports(outputs), values)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def digits(folder):
    """A random forest, converted by skl2onnx: operators of ai.onnx.ml, a class and probabilities as outputs."""
    from skl2onnx import to_onnx

    x, y = load_digits(return_X_y=True)
    x = x.astype("f4")
    seen, unseen, seen_y, unseen_y = train_test_split(x, y, test_size=300, random_state=3, stratify=y)
    forest = RandomForestClassifier(20, max_depth=6, random_state=3, n_jobs=1).fit(seen, seen_y)
    model = to_onnx(forest, seen[:1], options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
    path = folder / "digits.onnx"
    path.write_bytes(model.SerializeToString())
    return Trained(path, unseen, unseen_y)


def breast_cancer(folder):
    """A small network with one output, a probability, and its standardising in the graph."""
    data = load_breast_cancer()
    x = data.data.astype("f4")
    seen, unseen, seen_y, unseen_y = train_test_split(x, data.target, test_size=200, random_state=3)
    mean, deviation = seen.mean(0), seen.std(0)
    network = MLPClassifier((16,), max_iter=300, tol=1e-3, random_state=3).fit((seen - mean) / deviation, seen_y)
    constants = [("mean", mean), ("deviation", deviation)]
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["h0"]),
    ]
    for i, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        constants += [(f"w{i}", weights.astype("f4")), (f"b{i}", bias.astype("f4"))]
        last = i == len(network.coefs_) - 1
        nodes.append(helper.make_node("Gemm", [f"h{i}", f"w{i}", f"b{i}"], [f"g{i}"]))
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"g{i}"], ["p" if last else f"h{i + 1}"]))
    path = save(folder / "cancer.onnx", nodes, [("x", ["N", x.shape[1]])], [("p", ["N", 1])], constants)
    columns = [name.replace(" ", "_") for name in data.feature_names]
    return Trained(path, unseen, unseen_y, columns)


def diabetes(folder):
    """A ridge regression; groups are decades of age."""
    data = load_diabetes(scaled=False)
    x = data.data.astype("f4")
    decades = (x[:, 0] // 10).astype(int) * 10
    seen, unseen, seen_y, unseen_y, _, unseen_decades = train_test_split(x, data.target, decades, random_state=3)
    ridge = Ridge().fit(seen, seen_y)
    constants = [("w", ridge.coef_.astype("f4")[:, None]), ("b", numpy.array([ridge.intercept_], "f4"))]
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["progression"])]
    path = save(folder / "diabetes.onnx", nodes, [("x", ["N", x.shape[1]])], [("progression", ["N", 1])], constants)
    groups = numpy.array([f"{decade}s" for decade in unseen_decades])
    return Trained(path, unseen, unseen_y, groups=groups)
