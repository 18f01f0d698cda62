"""Features of a made-up picture in float64, from the model's ONNX file, for tests/reference.rs.

Needs numpy, scipy and onnx: python reference.py PATH/OF/model.onnx > ../tests/data/reference.json
"""
import json
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from scipy.special import erf

PATCH, WIDTH, HEADS, TRAINED = 14, 384, 6, 37
ROWS, COLUMNS = 6, 9


def load(path):
    graph = onnx.load(path).graph
    weights = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            weights[node.name.strip("/").removesuffix("/MatMul").replace("/", ".")] = weights[node.input[1]]
    return weights


def picture():
    y, x = np.mgrid[0 : ROWS * PATCH, 0 : COLUMNS * PATCH]
    planes = [(x * 2 + y) % 256, (x * y // 7) % 256, (255 - x + 3 * (y // 5)) % 256]
    pixels = np.stack(planes, -1).astype(np.float64) / 255
    return (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def cubic(count, a=-0.75):
    matrix = np.zeros((count, TRAINED))
    for i in range(count):
        at = (i + 0.5) * TRAINED / count - 0.5
        first, t = int(np.floor(at)), at - np.floor(at)
        far = lambda t: ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        near = lambda t: ((a + 2) * t - (a + 3)) * t * t + 1
        for tap, weight in enumerate([far(t + 1), near(t), near(1 - t), far(2 - t)]):
            matrix[i, min(max(first - 1 + tap, 0), TRAINED - 1)] += weight
    return matrix


def norm(x, weights, name):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * weights[name + ".weight"] + weights[name + ".bias"]


def forward(weights):
    blocks = picture().reshape(ROWS, PATCH, COLUMNS, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(ROWS * COLUMNS, -1)
    projection = "backbone.embeddings.patch_embeddings.projection"
    patches = blocks @ weights[projection + ".weight"].reshape(WIDTH, -1).T + weights[projection + ".bias"]
    trained = weights["onnx::Reshape_1962"][0].reshape(TRAINED, TRAINED, WIDTH)
    positions = np.einsum("hi,wj,ijc->hwc", cubic(ROWS), cubic(COLUMNS), trained).reshape(-1, WIDTH)
    class_token = weights["backbone.embeddings.cls_token"][0] + weights["onnx::Concat_1957"][0]
    x = np.concatenate([class_token, patches + positions])
    for layer in range(12):
        name = f"backbone.encoder.layer.{layer}."
        y = norm(x, weights, name + "norm1")
        project = lambda part: y @ weights[name + part] + weights[name + part + ".bias"]
        heads = [
            project(f"attention.attention.{part}").reshape(-1, HEADS, WIDTH // HEADS).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        ]
        logits = heads[0] @ heads[1].transpose(0, 2, 1) / np.sqrt(WIDTH // HEADS)
        softmax = np.exp(logits - logits.max(-1, keepdims=True))
        softmax /= softmax.sum(-1, keepdims=True)
        y = (softmax @ heads[2]).transpose(1, 0, 2).reshape(-1, WIDTH)
        dense = name + "attention.output.dense"
        x = x + (y @ weights[dense] + weights[dense + ".bias"]) * weights[name + "layer_scale1.lambda1"]
        y = norm(x, weights, name + "norm2")
        y = y @ weights[name + "mlp.fc1"] + weights[name + "mlp.fc1.bias"]
        y = y * 0.5 * (1 + erf(y / np.sqrt(2)))
        y = y @ weights[name + "mlp.fc2"] + weights[name + "mlp.fc2.bias"]
        x = x + y * weights[name + "layer_scale2.lambda1"]
    return norm(x, weights, "backbone.layernorm")


features = forward(load(sys.argv[1]))
shown = {token: [round(float(value), 7) for value in features[token, :24]] for token in (0, 1, 20, ROWS * COLUMNS)}
largest = round(float(np.abs(features).max()), 7)
print(json.dumps({"rows": ROWS, "columns": COLUMNS, "largest": largest, "features": shown}))
