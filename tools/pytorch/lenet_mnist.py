"""Trains LeNet on MNIST or Fashion-MNIST with PyTorch, to know what a recipe reaches. Prints a line per epoch.

Momentum 0.9, batch 64, no augmentation, a linear warm-up and then a cosine to zero over all steps. Weights start
Kaiming uniform (bound sqrt(6 / fan_in)), biases at zero; images are (x / 255 - mean) / std.

    python lenet_mnist.py mnist --epochs 5 --lr 0.05 --seeds 3
"""

import argparse
import gzip
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from nets import LeNet

MOMENTS = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530)}


def idx(folder, name):
    """The bytes of an idx file, gzipped or not, with their shape."""
    raw, packed = folder / name, folder / f"{name}.gz"
    data = raw.read_bytes() if raw.exists() else gzip.decompress(packed.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4)
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape).copy())


def load(root, name, part):
    mean, std = MOMENTS[name]
    images = idx(root / name, f"{part}-images-idx3-ubyte")
    return (images.float().unsqueeze(1) / 255 - mean) / std, idx(root / name, f"{part}-labels-idx1-ubyte").long()


def fresh(seed):
    torch.manual_seed(seed)
    net = LeNet()
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.uniform_(p, -(b := math.sqrt(6 / p[0].numel())), b)
        else:
            nn.init.zeros_(p)
    return net.to(memory_format=torch.channels_last)


def accuracy(net, x, y):
    with torch.no_grad():
        return 100 * sum((net(a).argmax(1) == b).sum().item() for a, b in zip(x.split(1000), y.split(1000))) / len(y)


def run(args, seed, train, test):
    net, (x, y) = fresh(seed), train
    opt = torch.optim.SGD(net.parameters(), args.lr, 0.9, weight_decay=args.wd, nesterov=args.nesterov)
    per_epoch = len(x) // 64  # the last, smaller batch is dropped
    total, step = args.epochs * per_epoch, 0
    out = []
    for epoch in range(args.epochs):
        order = torch.randperm(len(x))
        for i in range(per_epoch):
            warm = min(1, (step + 1) / max(1, args.warmup))
            after = max(0, step - args.warmup) / (total - args.warmup)
            opt.param_groups[0]["lr"] = args.lr * warm * (1 + math.cos(math.pi * after)) / 2
            pick = order[64 * i : 64 * (i + 1)]
            opt.zero_grad()
            F.cross_entropy(net(x[pick]), y[pick]).backward()
            opt.step()
            step += 1
        out.append(accuracy(net, *test))
    return out


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("data", choices=MOMENTS)
    p.add_argument("--root", type=Path, default=Path.home() / ".cache/frugal/data")
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--wd", type=float, default=5e-4)
    p.add_argument("--warmup", type=int, default=200, help="steps")
    p.add_argument("--nesterov", action="store_true")
    p.add_argument("--seeds", type=int, default=3)
    args = p.parse_args()
    sets = load(args.root, args.data, "train"), load(args.root, args.data, "t10k")
    for seed in range(args.seeds):
        accuracies = run(args, seed, *sets)
        print(args.data, f"lr {args.lr} wd {args.wd} nesterov {args.nesterov} seed {seed}:", end=" ", flush=True)
        print(*(f"{a:.2f}" for a in accuracies), flush=True)
