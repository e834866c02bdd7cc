"""Counts the bytes that PyTorch keeps per sample between the forward and the backward pass; writes kept_bytes.json.

Counted are the distinct storages that autograd saves (a view counts its storage, once), parameters and buffers left
out, the input image and the labels counted where they are saved. ReLU and the residual addition work in place. Two
batch sizes separate what grows with the batch from what does not (batch norm's mean and deviation per channel).
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F

from imagenet_nets import (
    VGG11,
    VGG16,
    AlexNet,
    DenseNet121,
    EfficientNetLite0,
    MobileNetV2,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet164,
)
from nets import LeNet, ResNet20

# Any module with a `shape` of one input and 10 or more classes can join.
NETS = {
    "lenet": LeNet,
    "resnet20": ResNet20,
    "resnet164": ResNet164,
    "alexnet": AlexNet,
    "vgg11": VGG11,
    "vgg16": VGG16,
    "resnet18": ResNet18,
    "resnet34": ResNet34,
    "resnet50": ResNet50,
    "densenet121": DenseNet121,
    "mobilenet-v2": MobileNetV2,
    "efficientnet-lite0": EfficientNetLite0,
}
BATCHES = (4, 8)


def kept(make, size):
    """Bytes saved in one forward pass and loss of a batch."""
    net = make()
    own = {t.untyped_storage().data_ptr() for t in (*net.parameters(), *net.buffers())}
    saved = []  # holds the tensors, so that no address is used twice

    def pack(t):
        saved.append(t)
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        x, y = torch.randn(size, *make.shape), torch.zeros(size, dtype=torch.int64)
        F.cross_entropy(net(x), y)
    storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in saved)}
    return sum(n for at, n in storages.items() if at not in own)


if __name__ == "__main__":
    out = {}
    for name, make in NETS.items():
        small, large = (kept(make, n) for n in BATCHES)
        per_sample, rest = divmod(large - small, BATCHES[1] - BATCHES[0])
        assert rest == 0
        out[name] = dict(per_sample=per_sample, per_batch=small - BATCHES[0] * per_sample)
        print(f"{name}: {per_sample:,} bytes a sample + {out[name]['per_batch']:,} a batch")
    Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
