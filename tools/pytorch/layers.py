"""Writes every_kind*.safetensors in crates/trainer/tests/fixtures/layers: a list of layers as PyTorch reads it.

The net is built from every_kind.toml beside them, the list that Frugal reads. Its running statistics are those after one
forward pass in training; logits are from f64.
"""

import tomllib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from imagenet_nets import SameConv2d

FOLDER = Path(__file__).resolve().parents[2] / "crates/trainer/tests/fixtures/layers"
CLASSES = 10
PLAIN = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "hardtanh": nn.Hardtanh,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "flatten": nn.Flatten,
}


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class GlobalAvgPool(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def layer(item, shape):
    """The module for an item of the list, for inputs of this shape."""
    if isinstance(item, str) and item in PLAIN:
        return PLAIN[item]()
    settings = dict(item) if isinstance(item, dict) else {item: True}
    kind, main = next(iter(settings.items()))
    del settings[kind]
    match kind:
        case "conv" if settings.get("padding") == "same":
            del settings["padding"]
            return SameConv2d(shape[1], main, settings.pop("kernel"), **settings)
        case "conv":
            return nn.Conv2d(shape[1], main, settings.pop("kernel"), **settings)
        case "conv_transpose":
            return nn.ConvTranspose2d(shape[1], main, settings.pop("kernel"), **settings)
        case "linear":
            return nn.Linear(shape[1], CLASSES if main == "classes" else main)
        case "batch_norm":
            return nn.BatchNorm2d(shape[1], eps=settings.get("epsilon", 1e-5), momentum=settings.get("momentum", 0.1))
        case "layer_norm":
            return nn.LayerNorm(shape[-1])
        case "group_norm":
            return nn.GroupNorm(main, shape[1])
        case "leaky_relu":
            return nn.LeakyReLU(main)
        case "max_pool":
            return nn.MaxPool2d(main, **settings)
        case "avg_pool":
            return nn.AvgPool2d(main)
        case "adaptive_avg_pool":
            return nn.AdaptiveAvgPool2d(main)
        case "global_avg_pool":
            return GlobalAvgPool()
        case "upsample":
            mode = settings.get("mode", "nearest")
            return nn.Upsample(scale_factor=main, mode=mode, align_corners=False if mode == "bilinear" else None)
        case "dropout":
            return nn.Dropout(main)
        case "residual":
            return Residual(sequential(main, shape), sequential(settings.get("shortcut", []), shape))
    raise ValueError(item)


def sequential(items, shape):
    x, modules = torch.zeros(shape), []
    for item in items:
        modules.append(layer(item, x.shape).eval())
        x = modules[-1](x)
    return nn.Sequential(*modules)


if __name__ == "__main__":
    torch.manual_seed(1)
    config = tomllib.loads((FOLDER / "every_kind.toml").read_text())
    images = torch.randn(8, 1, 8, 8)
    net = sequential(config["model"]["layers"], images.shape)
    with torch.no_grad():
        for value in net.parameters():
            value += 0.1 * torch.randn_like(value)
        net.train()(images)
        state = {name: value.clone() for name, value in net.state_dict().items()}
        logits = net.double().eval()(images.double()).float()
    save_file(state, FOLDER / "every_kind.safetensors")
    save_file({"images": images, "logits": logits}, FOLDER / "every_kind_answers.safetensors")
