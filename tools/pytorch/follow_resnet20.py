"""ResNet-20 on real CIFAR-10 for 100 steps: how closely can one f32 implementation follow another?

Weights by the recipe of nets.py, then the weight of the second batch norm of each block times `--gain`; batches of 32
in file order from the start of data_batch_1.bin; images (x / 255 - mean) / std in f32; SGD with momentum 0.9, weight
decay 1e-4, constant rate. For each learning rate the f64 run is the oracle, and four f32 runs are its peers: oneDNN,
PyTorch's own kernels, and each of these with weights disturbed by one unit in the last place. A line tells how far
they stray; with `--write` the run of the last rate becomes the fixture.

    python follow_resnet20.py --gain 1 --rates 0.1 0.05 0.02 0.01
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from golden import F32, F64, FIXTURES, write
from nets import ResNet20, fill

STEPS, SIZE = 100, 32
MEAN, STD = (0.49140, 0.48216, 0.44653), (0.24703, 0.24349, 0.26159)


def load(file):
    rows = np.frombuffer(file.read_bytes(), np.uint8, STEPS * SIZE * 3073).reshape(-1, 3073)
    mean, std = (torch.tensor(m, dtype=F32).view(3, 1, 1) for m in (MEAN, STD))
    x = torch.from_numpy(rows[:, 1:].astype(np.float32)).view(-1, 3, 32, 32)
    return (x / 255 - mean) / std, torch.from_numpy(rows[:, 0].astype(np.int64))


def run(x, y, lr, gain, dtype, onednn=True, disturbed=False):
    torch.backends.mkldnn.enabled = onednn
    net = fill(ResNet20())
    for name, p in net.named_parameters():
        if name.endswith(".bn2.weight"):
            p.data *= gain
    if disturbed:
        torch.manual_seed(0)
        for p in net.parameters():
            up = torch.full_like(p, torch.inf)
            p.data = torch.nextafter(p.data, torch.where(torch.rand_like(p) < 0.5, up, -up))
    net = net.to(dtype)
    opt = torch.optim.SGD(net.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    losses = []
    for a, b in zip(x.split(SIZE), y.split(SIZE)):
        opt.zero_grad()
        loss = F.cross_entropy(net(a.to(dtype)), b)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, default=Path.home() / ".cache/frugal/data/cifar10/data_batch_1.bin")
    p.add_argument("--gain", type=float, default=0.1)
    p.add_argument("--rates", type=float, nargs="+", default=[0.01])
    p.add_argument("--write", action="store_true")
    args = p.parse_args()
    x, y = load(args.data)
    print("gain, rate: largest gap in steps 0-9, 0-24, 0-49, 0-99; mean gap; loss of the first and the last ten steps")
    for lr in args.rates:
        oracle = run(x, y, lr, args.gain, F64)
        peers = [run(x, y, lr, args.gain, F32, onednn, disturbed) for disturbed in (False, True) for onednn in (True, False)]
        gaps = np.abs(np.array(peers) - oracle).max(0) / oracle
        print(f"{args.gain}, {lr}:", *(f"{gaps[:n].max():.1e}" for n in (10, 25, 50, 100)), end="; ")
        print(f"{gaps.mean():.1e}; {np.mean(oracle[:10]):.3f} {np.mean(oracle[-10:]):.3f}", flush=True)
    if args.write:
        fixture = dict(
            net="resnet20",
            torch=torch.__version__.split("+")[0],
            data="cifar10/data_batch_1.bin",
            batch=SIZE,
            mean=MEAN,
            std=STD,
            bn2_gain=args.gain,
            optimiser="SGD",
            lr=lr,
            momentum=0.9,
            weight_decay=1e-4,
            losses=oracle,
            losses_f32=peers[0],
            losses_gap=gaps.tolist(),
        )
        write(FIXTURES / "resnet20_cifar10_100.json", fixture)
