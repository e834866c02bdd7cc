#!/usr/bin/env python3
"""Makes datasets/digits from the file digits.csv.gz inside the PyPI wheel scikit-learn 1.9.1.

1,797 images of 8x8 counts 0..16. A count v becomes the byte round(v * 255 / 16), so that 16 is full white like in the
other sets. The last 360 samples, in the order of the file, are the test split.

Run:  python3 tools/datasets/digits.py
"""

import gzip
import sys
import zipfile

from common import REPOSITORY, fetch, write_idx

PACKAGE = "scikit-learn==1.9.1"
PACKAGE_SHA256 = "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df"
TARGET = REPOSITORY / "datasets" / "digits"
TEST = 360


def main() -> None:
    # One wheel is named exactly, so that its checksum holds on any machine; the data file is the same in all.
    platform = ["--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *platform, PACKAGE]
    folder, package = fetch(command, "*.whl", PACKAGE_SHA256)
    with folder, zipfile.ZipFile(package) as wheel:
        text = gzip.decompress(wheel.read("sklearn/datasets/data/digits.csv.gz")).decode()
    rows = [[int(float(field)) for field in line.split(",")] for line in text.splitlines()]
    assert len(rows) == 1797 and all(len(row) == 65 for row in rows)
    assert all(0 <= value <= 16 for row in rows for value in row[:64])
    for name, part in [("train", rows[:-TEST]), ("test", rows[-TEST:])]:
        # (510 v + 16) // 32 is round(v * 255 / 16) in whole numbers, halves up.
        pixels = bytes((510 * value + 16) // 32 for row in part for value in row[:64])
        write_idx(TARGET / f"{name}-images-idx3-ubyte.gz", [len(part), 8, 8], pixels)
        write_idx(TARGET / f"{name}-labels-idx1-ubyte.gz", [len(part)], bytes(row[64] for row in part))


if __name__ == "__main__":
    main()
