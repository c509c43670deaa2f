"""A voice detector that hears a whole utterance at once, and utterances and noise for it to hear.

silero-vad (a package of PyPI) hears 32 ms at a time and is given its own state back with the next
ones. `joulery bench` calls a model once a sample, so that the loop goes into the model: a Scan whose body is the
package's graph as it is.
"""

import importlib.util
import io
import pathlib
import shutil
import subprocess
import wave

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

RATE = 16_000
FRAME = 512
# What the model is given of the frame before.
CONTEXT = 64
STATE = (2, 1, 128)

SENTENCES = (
    "The kettle is on the stove.",
    "How much energy does an answer cost?",
    "Seven ships sailed south on Sunday.",
    "Please close the window before you leave.",
    "A model is worth what its answers are worth.",
    "Nobody knows where the old road ends.",
    "It will rain tomorrow in the mountains.",
    "Measure twice, and cut once.",
)
VOICES = ("en-us", "en-gb", "de", "fr", "es")


def frame_model():
    """The installed model of one frame: input [N, 576], state [2, N, 128], sr → output [N, 1], stateN."""
    package = importlib.util.find_spec("silero_vad")
    assert package is not None, "silero-vad is not installed: ./dev setup test installs it"
    return pathlib.Path(package.origin).parent / "data/silero_vad_16k_op15.onnx"


def frames_of(samples):
    """[F, 576]: each frame with the end of the one before, silence before the first."""
    padded = numpy.concatenate([numpy.zeros(CONTEXT, "f4"), samples])
    count = len(samples) // FRAME
    return numpy.stack([padded[i * FRAME : i * FRAME + CONTEXT + FRAME] for i in range(count)])


def save_utterance_model(path, seconds):
    """Writes a model of x [N, samples] → speech [N, 1]: the highest probability of any frame. Returns `samples`."""
    count = int(seconds * RATE) // FRAME
    inner = onnx.load(frame_model()).graph
    # The loop hands on the state and gives out the probability; the rate is the same in all frames.
    inputs = {value.name: value for value in inner.input}
    outputs = {value.name: value for value in inner.output}
    rate = helper.make_node("Constant", [], ["sr"], value=numpy_helper.from_array(numpy.array(RATE, "i8")))
    body = helper.make_graph(
        [rate, *inner.node],
        "frame",
        [inputs["state"], inputs["input"]],
        [outputs["stateN"], outputs["output"]],
        inner.initializer,
    )
    places = numpy.arange(count)[:, None] * FRAME + numpy.arange(CONTEXT + FRAME)[None, :]
    constants = {
        "margins": numpy.array([0, CONTEXT, 0, 0], "i8"),
        "places": places.astype("i8"),
        "first": numpy.array([0], "i8"),
        "one": numpy.array([1], "i8"),
        "layers": numpy.array([STATE[0]], "i8"),
        "width": numpy.array([STATE[2]], "i8"),
    }
    nodes = [
        helper.make_node("Pad", ["x", "margins"], ["padded"]),
        helper.make_node("Gather", ["padded", "places"], ["by_sample"], axis=1),
        helper.make_node("Transpose", ["by_sample"], ["frames"], perm=[1, 0, 2]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Concat", ["layers", "batch", "width"], ["state_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["state_shape"], ["silence"]),
        helper.make_node("Scan", ["silence", "frames"], ["last_state", "by_frame"], body=body, num_scan_inputs=1),
        helper.make_node("ReduceMax", ["by_frame"], ["speech"], axes=[0], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "utterance",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", count * FRAME])],
        [helper.make_tensor_value_info("speech", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model, full_check=False)
    onnx.save(model, path)
    return count * FRAME


def spoken(text, voice):
    """espeak-ng's speech, 16 kHz, in -1 … 1."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.fail("espeak-ng is not installed, and these tests need speech: `./dev setup test` installs it")
    said = subprocess.run([program, "-v", voice, "--stdout", text], capture_output=True, check=True, timeout=60).stdout
    with wave.open(io.BytesIO(said)) as file:
        rate = file.getframerate()
        sound = numpy.frombuffer(file.readframes(file.getnframes()), "<i2").astype("f8") / 32768
    wanted = numpy.arange(0, len(sound) - 1, rate / RATE)
    return numpy.interp(wanted, numpy.arange(len(sound)), sound).astype("f4")


def noise(kind, samples, generator):
    """Sounds that are no speech: hiss, rumble, a hum of the mains, clicks."""
    white = generator.normal(0, 1, samples)
    if kind == "hiss":
        sound = white
    elif kind == "rumble":
        sound = numpy.cumsum(white)
        sound -= numpy.linspace(sound[0], sound[-1], samples)
    elif kind == "hum":
        time = numpy.arange(samples) / RATE
        sound = sum(numpy.sin(2 * numpy.pi * 50 * k * time + generator.uniform(0, 6)) / k for k in range(1, 8))
        sound = sound + 0.05 * white
    else:
        sound = numpy.where(generator.random(samples) < 1e-3, white * 10, 0.02 * white)
    return (sound / numpy.abs(sound).max()).astype("f4")


NOISES = ("hiss", "rumble", "hum", "clicks")


def utterances(samples, count, seed=5):
    """(x [count, samples], y, group): speech over a little noise (1) and noise alone (0), in turn."""
    generator = numpy.random.default_rng(seed)
    sounds, labels, groups = [], [], []
    for i in range(count):
        kind = NOISES[i // 2 % len(NOISES)]
        sound = noise(kind, samples, generator) * generator.uniform(0.02, 0.3)
        group = kind
        if i % 2 == 0:
            group = VOICES[i // 2 % len(VOICES)]
            said = spoken(SENTENCES[i // 2 % len(SENTENCES)], group)[:samples]
            sound = 0.1 * sound
            sound[: len(said)] += 0.7 * said
        sounds.append(sound)
        labels.append(1 - i % 2)
        groups.append(group)
    return numpy.stack(sounds).astype("f4"), numpy.array(labels), numpy.array(groups)
