"""Small ONNX graphs of policies, for the tests of the extra ``onnx``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def graph_bytes(nodes, inputs, outputs, constants=None) -> bytes:
    """A graph out of nodes ``(operator, inputs, outputs, attributes)`` and ports ``name: (type, shape)``."""
    ports = [[helper.make_tensor_value_info(name, *port) for name, port in side.items()] for side in (inputs, outputs)]
    made = [helper.make_node(operator, into, out, **attributes) for operator, into, out, attributes in nodes]
    arrays = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(made, "policy", *ports, initializer=arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def network(weights, biases, *, batch="batch", dtype=FLOAT, name="actions") -> bytes:
    """A network of tanh layers."""
    kind = np.float32 if dtype == FLOAT else np.float64
    nodes, constants, last = [], {}, "obs"
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        constants |= {f"w{i}": weight.astype(kind), f"b{i}": bias.astype(kind)}
        out = name if i == len(weights) - 1 else f"h{i}"
        nodes.append(("Gemm", [last, f"w{i}", f"b{i}"], [out if out == name else f"g{i}"], {"transB": 1}))
        if out != name:
            nodes.append(("Tanh", [f"g{i}"], [out], {}))
        last = out
    inputs = {"obs": (dtype, [batch, weights[0].shape[1]])}
    return graph_bytes(nodes, inputs, {name: (dtype, [batch, weights[-1].shape[0]])}, constants)


def summing(*, batch="batch", state=("h", "next_h"), shape=("batch", 4), dtype=FLOAT) -> bytes:
    """Answers the first two of the sums of all observations so far; the state has any shape that holds the sums."""
    sizes = [-1 if size == "batch" else size for size in shape]
    constants = {"like": np.array([-1, 4], dtype=np.int64), "shape": np.array(sizes)}
    constants |= {"from": np.array([0]), "to": np.array([2]), "axis": np.array([1])}
    nodes = [
        ("Reshape", [state[0], "like"], ["flat"], {}),
        ("Add", ["flat", "obs"], ["sum"], {}),
        ("Reshape", ["sum", "shape"], [state[1]], {}),
        ("Slice", ["sum", "from", "to", "axis"], ["actions"], {}),
    ]
    inputs = {"obs": (dtype, [batch, 4]), state[0]: (dtype, list(shape))}
    outputs = {"actions": (dtype, [batch, 2]), state[1]: (dtype, list(shape))}
    return graph_bytes(nodes, inputs, outputs, constants)


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
