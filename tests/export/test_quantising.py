"""Weights of convolutions are stored in 8 bits and say what they said; stale shapes of an exporter do no harm."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mtl_cli.export.quantising import quantise

SHAPES = {"Conv": (16, 8, 5, 5), "ConvTranspose": (8, 16, 5, 5)}


def graph_of(kind, path):
    """Write a graph of one convolution and one product; return its input and output."""
    stream = np.random.default_rng(0)
    weight = stream.normal(size=SHAPES[kind]).astype(np.float32)
    weight[:, 3] *= 50  # channels of very different size
    matrix = stream.normal(size=(16, 64)).astype(np.float32)
    nodes = [
        helper.make_node(kind, ["x", "w"], ["maps"]),
        helper.make_node("ReduceMean", ["maps", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "m"], ["y"]),
    ]  # fmt: skip
    parts = [numpy_helper.from_array(each, name) for each, name in
             ((weight, "w"), (matrix, "m"), (np.array([2, 3]), "axes"))]  # fmt: skip
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", ["n", 8, 12, 12]), ("y", ["n", 64]))]  # fmt: skip
    stale = [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 17])]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], parts, value_info=stale)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return stream.normal(size=(4, 8, 12, 12)).astype(np.float32)


def run(path, x):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


@pytest.mark.parametrize("kind", SHAPES)
def test_convolutions_say_the_same_from_a_quarter_of_the_bytes(kind, tmp_path):
    path = tmp_path / "graph.onnx"
    x = graph_of(kind, path)
    before, expected = path.stat().st_size, run(path, x)
    quantise(path)
    assert path.stat().st_size < 0.4 * before
    np.testing.assert_allclose(run(path, x), expected, atol=0.03 * np.abs(expected).max())
    kinds = [node.op_type for node in onnx.load(str(path)).graph.node]
    assert {"DequantizeLinear", kind, "MatMulInteger"} <= set(kinds)
