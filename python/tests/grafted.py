"""What the shipped file, or one that something was grafted into, says; and what its tensors hold on the way."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from emotiond_models.flatbuffer import kind_of, packed, read_model
from emotiond_models.runtime import PythonRunner
from emotiond_models.training.contract import LABELS, UNITS


def said(content: bytes, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expression and action-unit logits."""
    by_length = {len(y[0]): y[0] for y in PythonRunner(content)(x)}
    return by_length[len(LABELS)], by_length[len(UNITS)]


def read_by(content: bytes, x: np.ndarray, kind: int, where) -> np.ndarray:
    """What the last operator of a kind reads, of those that `where(graph, operator)` picks: the file with that tensor for
    its output."""
    model = read_model(content)
    graph = model.subgraphs[0]
    picked = [o for o in graph.operators if kind_of(model, o) == kind and where(graph, o)]
    graph.outputs = [int(picked[-1].inputs[0])]
    model.signatureDefs = []
    return PythonRunner(packed(model))(x)[0][0]


def expressions_read(content: bytes, x: np.ndarray) -> np.ndarray:
    """What the expressions are read from, `[channels]`."""
    to_labels = lambda graph, o: graph.tensors[o.outputs[0]].shape[-1] == len(LABELS)  # noqa: E731
    return read_by(content, x, schema.BuiltinOperator.FULLY_CONNECTED, to_labels).reshape(-1)


def units_read(content: bytes, x: np.ndarray) -> np.ndarray:
    """What the head of the action units reads, `[side, side, channels]`: the map below the last stride."""
    strided = lambda _, o: o.builtinOptions.strideH == 2  # noqa: E731
    return read_by(content, x, schema.BuiltinOperator.DEPTHWISE_CONV_2D, strided)
