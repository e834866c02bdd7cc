"""Writes crates/model/tests/fixtures/full_nets.json: gradients of AlexNet and VGG-11 as they are, at 224x224.

Their classifiers are larger than what many adapters bind at once, so Frugal cuts them. Weights and batches follow the recipe of
nets.py, nothing is dropped. The gradients themselves are too large for a fixture: of each there are its norm and its products with
PROJECTIONS vectors of the recipe. `losses` are those of two steps of plain SGD, so that the second has seen an update. Figures are
from f64; `gap` is how far PyTorch's f32 is from them, for gradients in the L2 norm of all elements.
"""

import json
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from golden import F32, F64, FIXTURES, gap
from imagenet_nets import VGG11, AlexNet
from nets import batch, fill, signed

# A net, its samples, and the batch of its first step. Of VGG-11's millions of rectifiers some can lie so close to the bend that another
# order of sums takes the other side, and all gradients before it move by a thousandth: PyTorch's f32 does so in batches 4 and 6.
NETS = {"alexnet": (AlexNet, 2, 0), "vgg11": (VGG11, 1, 2)}
EXTENT = 224
RATE = 2e-5
PROJECTIONS = 3
CHUNK = 1 << 22


def steps(make, samples, first, dtype):
    """The losses of two steps and the gradients of the first."""
    net = fill(make(10)).to(dtype)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    losses = []
    gradients = {}
    for step in range(2):
        x, y = batch(first + step, samples, (3, EXTENT, EXTENT))
        with torch.set_grad_enabled(step == 0):
            loss = F.cross_entropy(net(x.to(dtype)), y)
        losses.append(loss.item())
        if step == 0:
            loss.backward()
            for name, p in net.named_parameters():
                gradients[name], p.grad = p.grad, None
                p.data -= RATE * gradients[name]
    return losses, gradients


def products(t, gradient):
    """Products of the gradient of parameter t with vectors of the recipe."""
    flat = gradient.flatten().numpy()
    sums = [0.0] * PROJECTIONS
    for k in range(PROJECTIONS):
        for first in range(0, flat.size, CHUNK):
            part = flat[first : first + CHUNK].astype(np.float64)
            vector = signed(400000 + 1000 * k + t, np.arange(first, first + part.size))
            sums[k] += float(part @ vector.astype(np.float64))
    return sums


if __name__ == "__main__":
    path = FIXTURES / "full_nets.json"
    out = json.loads(path.read_text()) if sys.argv[1:] else {}
    for name, (make, samples, first) in NETS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        losses, gradients = steps(make, samples, first, F64)
        peer_losses, peer = steps(make, samples, first, F32)
        rows = {}
        for t, (parameter, gradient) in enumerate(gradients.items()):
            rows[parameter] = dict(norm=gradient.norm().item(), products=products(t, gradient), gap=gap(gradient, peer[parameter]))
        losses_gap = [gap(loss, other) for loss, other in zip(losses, peer_losses)]
        out[name] = dict(extent=EXTENT, samples=samples, first=first, rate=RATE, losses=losses, losses_gap=losses_gap, gradients=rows)
        print(f"{name}: losses {losses}, gaps {losses_gap}, of gradients {max(row['gap'] for row in rows.values()):.1e}")
    path.write_text(json.dumps(out, indent=None) + "\n")
