"""A small classifier with samples, and what is said about a bench that can't be."""

import re

import numpy
from onnx import helper
from trained import save

QUICK = ("--budget", "0.3s")
WEIGHTS = numpy.random.default_rng(0).normal(0, 1, (4, 3)).astype("f4")
CLASSIFIER = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Softmax", ["m"], ["p"])]


def small_classifier(path, batch="N"):
    """x [batch, 4] → p [batch, 3]."""
    return save(path, CLASSIFIER, [("x", [batch, 4])], [("p", [batch, 3])], [("w", WEIGHTS)])


def small_samples():
    """x [50, 4] and labels below 3."""
    generator = numpy.random.default_rng(2)
    return generator.normal(0, 1, (50, 4)).astype("f4"), generator.integers(0, 3, 50)


def refused(joulery, model, *flags, code=2, env=None):
    """What is said about a bench that can't be: one error with a hint, and nothing on stdout."""
    result = joulery("bench", model, *QUICK, *flags, code=code, env=env)
    assert result.stdout == ""
    assert len(re.findall("^error: ", result.stderr, re.M)) == 1, result.stderr
    # These say by themselves what to do.
    plain = ("No such file or directory", "is not a regular file", "needs a whole number from")
    assert any(words in result.stderr for words in plain) or "\nhint: " in result.stderr, result.stderr
    return result.stderr
