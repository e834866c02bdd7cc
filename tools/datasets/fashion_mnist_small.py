#!/usr/bin/env python3
"""Makes datasets/fashion-mnist-small from the Debian package dataset-fashion-mnist.

The first 200 training and the first 50 test images of every class, in the order of the full files. That order is
already shuffled, so "the first ones" is a fair sample, and no random generator has to be reproduced.

Run on Debian or a derivative:  python3 tools/datasets/fashion_mnist_small.py
"""

import subprocess
from pathlib import Path

from common import REPOSITORY, fetch, read_idx, write_idx

PACKAGE = "dataset-fashion-mnist"
PACKAGE_SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
TARGET = REPOSITORY / "datasets" / "fashion-mnist-small"
CLASSES = 10
PIXELS = 28 * 28


def first_of_each_class(labels: bytes, per_class: int) -> list[int]:
    """Positions of the first `per_class` samples of every class, ascending."""
    seen = [0] * CLASSES
    chosen = []
    for position, label in enumerate(labels):
        if seen[label] < per_class:
            seen[label] += 1
            chosen.append(position)
    assert seen == [per_class] * CLASSES
    return chosen


def main() -> None:
    folder, package = fetch(["apt-get", "download", PACKAGE], "*.deb", PACKAGE_SHA256)
    with folder:
        unpacked = Path(folder.name) / "unpacked"
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        source = unpacked / "usr/share/datasets/fashion-mnist"
        for here, there, per_class in [("train", "train", 200), ("test", "t10k", 50)]:
            _, images = read_idx((source / f"{there}-images-idx3-ubyte.gz").read_bytes())
            _, labels = read_idx((source / f"{there}-labels-idx1-ubyte.gz").read_bytes())
            chosen = first_of_each_class(labels, per_class)
            write_idx(
                TARGET / f"{here}-images-idx3-ubyte.gz",
                [len(chosen), 28, 28],
                b"".join(images[at * PIXELS : (at + 1) * PIXELS] for at in chosen),
            )
            write_idx(
                TARGET / f"{here}-labels-idx1-ubyte.gz",
                [len(chosen)],
                bytes(labels[at] for at in chosen),
            )


if __name__ == "__main__":
    main()
