#!/usr/bin/env python3
"""Times ONNX Runtime's MultiHeadAttention on the CPU and prints one line of JSON for each length."""

import environment
import measure

options = measure.parser(__doc__, [512, 1024, 2048, 4096, 8192]).parse_args()
environment.enter(environment.ONNXRUNTIME, environment.ONNX, environment.NUMPY, threads=options.threads)

import numpy  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

NAMES = ("query", "key", "value")


def session():
    """One operator, heads interleaved as its inputs have them."""

    def tensor(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "length", options.heads * options.width])

    node = helper.make_node(
        "MultiHeadAttention", NAMES, ["output"], domain="com.microsoft", num_heads=options.heads
    )
    graph = helper.make_graph([node], "attention", [tensor(name) for name in NAMES], [tensor("output")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 9
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    return onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])


attention = session()
configuration = {"device": "cpu", "operator": "com.microsoft.MultiHeadAttention"}
for length in options.length:
    generator = numpy.random.default_rng(0)
    shape = (1, length, options.heads * options.width)
    inputs = {name: generator.standard_normal(shape).astype(numpy.float32) for name in NAMES}
    seconds = measure.time_calls(lambda: attention.run(None, inputs), options)
    measure.print_line("onnxruntime", onnxruntime.__version__, length, options, seconds, True, configuration)
