"""The text: a fixed list of files of the Python standard library, read as bytes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 256  # bytes

# Fixed and sorted, so that the text depends on the Python release and on nothing else of the machine.
TRAIN_FILES = [
    "argparse.py",
    "ast.py",
    "calendar.py",
    "collections/__init__.py",
    "configparser.py",
    "contextlib.py",
    "copy.py",
    "csv.py",
    "dataclasses.py",
    "difflib.py",
    "enum.py",
    "fractions.py",
    "functools.py",
    "json/decoder.py",
    "json/encoder.py",
    "logging/__init__.py",
    "os.py",
    "pathlib.py",
    "pprint.py",
    "random.py",
    "statistics.py",
    "string.py",
    "tempfile.py",
    "threading.py",
    "tokenize.py",
    "traceback.py",
    "urllib/parse.py",
    "weakref.py",
]
EVAL_FILES = [
    "cmd.py",
    "glob.py",
    "heapq.py",
    "plistlib.py",
    "queue.py",
    "sched.py",
    "shutil.py",
    "textwrap.py",
    "timeit.py",
]


@dataclass(frozen=True)
class Corpus:
    """Training and held-out bytes: the held-out files are never trained on."""

    train: NDArray[np.uint8]
    held_out: NDArray[np.uint8]
    sha256: str

    @property
    def unigram_entropy(self) -> float:
        """Entropy of the byte frequencies of the training text, in nats per byte."""
        p = np.bincount(self.train, minlength=VOCABULARY) / self.train.size
        p = p[p > 0]
        return float(-(p * np.log(p)).sum())

    @property
    def unigram_loss(self) -> float:
        """Mean negative log likelihood of the held-out bytes under the training frequencies (add-one), nats per byte."""
        p = (np.bincount(self.train, minlength=VOCABULARY) + 1) / (self.train.size + VOCABULARY)
        return float(-np.log(p[self.held_out]).mean())


def read_corpus() -> Corpus:
    """Read the files that ship with the running Python; the hash covers training then held-out bytes, in list order."""
    root = Path(os.__file__).parent
    train = b"".join((root / name).read_bytes() for name in TRAIN_FILES)
    held_out = b"".join((root / name).read_bytes() for name in EVAL_FILES)
    return Corpus(
        train=np.frombuffer(train, np.uint8),
        held_out=np.frombuffer(held_out, np.uint8),
        sha256=hashlib.sha256(train + held_out).hexdigest(),
    )


def epoch_windows(text: NDArray[np.uint8], length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Cut the text into windows of `length` + 1 bytes from a random offset, shuffled: one epoch, ``[window, byte]``."""
    offset = int(rng.integers(length))
    starts = np.arange(offset, text.size - length, length)
    rng.shuffle(starts)
    return text[starts[:, None] + np.arange(length + 1)].astype(np.int64)


def spread_windows(text: NDArray[np.uint8], length: int, count: int) -> NDArray[np.int64]:
    """Return `count` windows of `length` + 1 bytes at even distances: the same ones every time."""
    starts = np.linspace(0, text.size - length - 1, count).astype(np.int64)
    return text[starts[:, None] + np.arange(length + 1)].astype(np.int64)
