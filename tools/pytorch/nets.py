"""The two reference nets, and a recipe for weights and batches that needs no framework.

Everything a run starts from is a function of small integers, so any language can recompute it bit for bit
(README.md says the same in words). All float arithmetic of the recipe is f32, one rounding per operation.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(2)


# --- nets, with torchvision's parameter names --------------------------------------------------------------------


class LeNet(nn.Module):
    """1x28x28 -> 10; 105,194 parameters."""

    shape = (1, 28, 28)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 5, padding=2)
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x), inplace=True), 2)
        x = F.max_pool2d(F.relu(self.conv2(x), inplace=True), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1)), inplace=True))


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: identity, or a 1x1 convolution with batch norm where the shape changes."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.downsample = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class ResNet20(nn.Module):
    """3x32x32 -> 10; 272,474 parameters."""

    shape = (3, 32, 32)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


# --- the recipe --------------------------------------------------------------------------------------------------


def hash32(x):
    """PCG-RXS-M-XS on u32, wrapping; scalar or array in, array of u32 out."""
    x = np.atleast_1d(np.asarray(x, np.uint32))
    state = x * np.uint32(747796405) + np.uint32(2891336453)
    word = ((state >> ((state >> np.uint32(28)) + np.uint32(4))) ^ state) * np.uint32(277803737)
    return (word >> np.uint32(22)) ^ word


def signed(stream, i):
    """2u - 1, exact in f32, where u = (hash(hash(stream) + i) >> 8) / 2^24 in [0, 1)."""
    u = (hash32(hash32(stream) + np.asarray(i, np.uint32)) >> np.uint32(8)).astype(np.float32) / np.float32(2**24)
    return u * np.float32(2) - np.float32(1)


def fill(net):
    """Sets every parameter by the recipe; the stream is the parameter's place in `named_parameters`."""
    kinds = {name: module for name, module in net.named_modules()}
    for t, (name, p) in enumerate(net.named_parameters()):
        module, role = kinds[name.rpartition(".")[0]], name.rpartition(".")[2]
        v = signed(t, np.arange(p.numel()))
        if role == "bias":
            v = v * np.float32(0.1)
        elif isinstance(module, nn.BatchNorm2d):
            v = np.float32(1) + v * np.float32(0.1)
        else:
            v = v * np.float32(math.sqrt(6 / p[0].numel()))
        p.data.copy_(torch.from_numpy(v).view_as(p))
    return net


def batch(step, size, shape):
    """Batch number `step`: f32 images of noise plus a pattern of their label, and the labels."""
    pixels = math.prod(shape)
    labels = hash32(hash32(100000 + step) + np.arange(size, dtype=np.uint32)) % np.uint32(10)
    noise = signed(200000 + step, np.arange(size * pixels)).reshape(size, pixels)
    patterns = np.stack([signed(300000 + c, np.arange(pixels)) for c in range(10)])
    return torch.from_numpy((noise + patterns[labels]).reshape(size, *shape)), torch.from_numpy(labels.astype(np.int64))
