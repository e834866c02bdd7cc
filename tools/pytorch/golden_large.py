"""Writes crates/model/tests/fixtures/large_nets.json: the first loss of the larger nets and the norms of some gradients.

Weights and batches follow the recipe of nets.py, nothing is dropped, images are small. Norms shift by SHIFT more, the middle of
ReLU6: around 0, in nets as deep as these, some element lies so close to a rectifier's bend that f32 takes the other side of it,
and all gradients before it move by a thousandth and more. Figures are from f64; `gap` is how far f32 is from them, as in golden.py.
"""

import json
import sys

import torch
from torch import nn
from torch.nn import functional as F

from golden import F32, F64, FIXTURES, gap
from imagenet_nets import VGG11, VGG16, AlexNet, DenseNet121, EfficientNetLite0, MobileNetV2, ResNet18, ResNet34
from imagenet_nets import ResNet50, ResNet164
from nets import batch, fill

SAMPLES = 4
SHIFT = 3.0
# A net, its extent of images, and by how much it is narrowed.
NETS = {
    "alexnet": (lambda: AlexNet(10, 8), 64, 8),
    "vgg11": (lambda: VGG11(10, 8), 32, 8),
    "vgg16": (lambda: VGG16(10, 8), 32, 8),
    "resnet18": (lambda: ResNet18(10), 64, 1),
    "resnet34": (lambda: ResNet34(10), 64, 1),
    "resnet50": (lambda: ResNet50(10), 64, 1),
    "resnet164": (lambda: ResNet164(10), 16, 1),
    "densenet121": (lambda: DenseNet121(10), 64, 1),
    "mobilenet-v2": (lambda: MobileNetV2(10), 40, 1),
    "efficientnet-lite0": (lambda: EfficientNetLite0(10), 33, 1),
}
# Gradients of larger parameters are left out.
LARGEST = 65536


def first_step(make, extent, dtype):
    net = fill(make()).to(dtype)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data += SHIFT
    x, y = batch(0, SAMPLES, (3, extent, extent))
    loss = F.cross_entropy(net(x.to(dtype)), y)
    loss.backward()
    return loss.item(), {n: p.grad.norm().item() for n, p in net.named_parameters() if p.numel() <= LARGEST}


if __name__ == "__main__":
    # All nets, or those that are named; the others stay as they were.
    path = FIXTURES / "large_nets.json"
    out = json.loads(path.read_text()) if sys.argv[1:] else {}
    for name, (make, extent, narrow) in NETS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        (loss, norms), (peer_loss, peer) = first_step(make, extent, F64), first_step(make, extent, F32)
        # A norm behind a norm takes the scale away again: what is left of such gradients is rounding.
        least = 1e-6 * max(norms.values())
        gradients = {n: [norm, gap(norm, peer[n])] for n, norm in norms.items() if norm > least}
        out[name] = dict(extent=extent, narrow=narrow, samples=SAMPLES, shift=SHIFT, loss=loss, gap=gap(loss, peer_loss), gradients=gradients)
        print(f"{name}: loss {loss:.6f}, gap {out[name]['gap']:.1e}, of gradients {max(g for _, g in gradients.values()):.1e}")
    path.write_text(json.dumps(out, indent=None) + "\n")
