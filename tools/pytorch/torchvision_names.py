"""Writes crates/model/tests/fixtures/torchvision.txt: names and extents of all that torchvision's nets keep.

A line for each net, then one for each tensor of its state dict, in torchvision's order, without the counters
`num_batches_tracked`. Needs torchvision (0.29.2 was used) besides torch; nothing is downloaded.
"""

import torch
from torchvision import models

from golden import FIXTURES

# Our name, and torchvision's.
NETS = {
    "alexnet": models.alexnet,
    "vgg11": models.vgg11,
    "vgg16": models.vgg16,
    "resnet18": models.resnet18,
    "resnet34": models.resnet34,
    "resnet50": models.resnet50,
    "densenet121": models.densenet121,
    "mobilenet-v2": models.mobilenet_v2,
}

if __name__ == "__main__":
    lines = []
    for name, make in NETS.items():
        with torch.device("meta"):
            state = make(weights=None).state_dict()
        lines.append(f"net {name}")
        lines += [f"{key} {'x'.join(map(str, value.shape))}" for key, value in state.items() if value.dim()]
    (FIXTURES / "torchvision.txt").write_text("\n".join(lines) + "\n")
