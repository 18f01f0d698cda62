#!/usr/bin/env python3
"""Reference embeddings for the tests: all-MiniLM-L6-v2 in float64 with numpy alone, from the formulas.

    pip install numpy tokenizers
    python3 reference.py FOLDER > ../tests/data/reference.json

FOLDER is the model's, with config.json, tokenizer.json and model.safetensors.
"""

import json
import math
import pathlib
import struct
import sys

import numpy
import tokenizers

TEXTS = [
    # The example of sentence-transformers' documentation, which gives the similarities.
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    # Capitals, accents, characters of other scripts, words in many pieces.
    "Ünïcode: naïve CAFÉ, 東京 — transcendental antidisestablishmentarianism №42…",
    # Lincoln at Gettysburg, 1863 (public domain): longer than the 128 tokens at which tokenizer.json would cut off.
    "Four score and seven years ago our fathers brought forth on this continent, a new nation, conceived in Liberty, and dedicated to "
    "the proposition that all men are created equal. Now we are engaged in a great civil war, testing whether that nation, or any nation "
    "so conceived and so dedicated, can long endure. We are met on a great battle-field of that war. We have come to dedicate a portion "
    "of that field, as a final resting place for those who here gave their lives that that nation might live. It is altogether fitting "
    "and proper that we should do this. But, in a larger sense, we can not dedicate -- we can not consecrate -- we can not hallow -- "
    "this ground. The brave men, living and dead, who struggled here, have consecrated it, far above our poor power to add or detract. "
    "The world will little note, nor long remember what we say here, but it can never forget what they did here. It is for us the "
    "living, rather, to be dedicated here to the unfinished work which they who fought here have thus far so nobly advanced.",
]


def read_weights(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    types = {"F32": numpy.float32, "I64": numpy.int64}
    weights = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(data[8 + length + begin : 8 + length + end], types[entry["dtype"]])
        weights[name] = values.reshape(entry["shape"]).astype(numpy.float64)
    return weights


def linear(weights, name, states):
    return states @ weights[name + ".weight"].T + weights[name + ".bias"]


def norm(weights, name, states, epsilon):
    centred = states - states.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred / numpy.sqrt(variance + epsilon) * weights[name + ".weight"] + weights[name + ".bias"]


def attention(weights, name, states, heads):
    def split(part):
        return linear(weights, f"{name}.self.{part}", states).reshape(len(states), heads, -1).swapaxes(0, 1)

    queries, keys, values = split("query"), split("key"), split("value")
    logits = queries @ keys.swapaxes(1, 2) / math.sqrt(queries.shape[-1])
    exponentials = numpy.exp(logits - logits.max(-1, keepdims=True))
    found = exponentials / exponentials.sum(-1, keepdims=True) @ values
    return linear(weights, f"{name}.output.dense", found.swapaxes(0, 1).reshape(states.shape))


def embed(config, weights, ids):
    epsilon, heads = config["layer_norm_eps"], config["num_attention_heads"]
    erf = numpy.vectorize(math.erf)
    states = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    states = norm(weights, "embeddings.LayerNorm", states, epsilon)
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        states = norm(
            weights,
            f"{name}.attention.output.LayerNorm",
            states + attention(weights, f"{name}.attention", states, heads),
            epsilon,
        )
        hidden = linear(weights, f"{name}.intermediate.dense", states)
        hidden = hidden * (1 + erf(hidden / math.sqrt(2))) / 2
        states = norm(
            weights, f"{name}.output.LayerNorm", states + linear(weights, f"{name}.output.dense", hidden), epsilon
        )
    embedding = states.mean(0)
    return embedding / numpy.linalg.norm(embedding)


def main():
    folder = pathlib.Path(sys.argv[1])
    config = json.loads((folder / "config.json").read_text())
    weights = read_weights(folder / "model.safetensors")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        embedding = [round(float(value), 8) for value in embed(config, weights, ids)]
        cases.append({"text": text, "ids": ids, "embedding": embedding})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    print(f"[\n{lines}\n]")


if __name__ == "__main__":
    main()
