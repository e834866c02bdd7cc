"""Measures the peak memory of PyTorch's training steps without running them.

A step is what `frugal plan` plans: forward, mean cross-entropy, backward, SGD with momentum and weight decay, on 3x224x224
images with 1000 classes, f32, torchvision's nets. All tensors are fake (shapes without values), and
`torch.distributed._tools.mem_tracker.MemTracker` counts the storages that are alive after each operator; the peak is that of
the second step, when the momentum is there. Neither a GPU nor the memory is needed.

What a user may choose is chosen so that PyTorch takes less: rectifiers in place, gradients freed before the forward pass, one
parameter updated after the other (`foreach=False`).

    python peak.py --write                      # peak.json, which tools/peaks.py makes docs/results/peak.md of; half an hour
    python peak.py resnet50 --batch 64 --ways plain checkpointed
"""

import argparse
import datetime
import json
import weakref
from contextlib import nullcontext
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.weak import WeakIdKeyDictionary

NETS = {
    "resnet50": [64, 256],
    "resnet18": [64],
    "vgg16": [64],
    "mobilenet-v2": [64],
    "densenet121": [64],
    "alexnet": [64],
}
WAYS = ("plain", "checkpointed", "two-bits")
LIMIT = 8 << 30


# --- the nets as rows of blocks -----------------------------------------------------------------------------------


def parts(name, memory_efficient=False):
    """A net of torchvision as modules that run one after the other, the last of which is the head."""
    if name == "densenet121":
        net = torchvision.models.densenet121(memory_efficient=memory_efficient)
        layers = dict(net.features.named_children())
        stem = nn.Sequential(*(layers.pop(f"{kind}0") for kind in ("conv", "norm", "relu", "pool")))
        norm = layers.pop("norm5")
        head = nn.Sequential(norm, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.classifier)
        return [stem, *layers.values(), head]
    net = getattr(torchvision.models, name.replace("-", "_"))()
    if name.startswith("resnet"):
        stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        blocks = [block for stage in (net.layer1, net.layer2, net.layer3, net.layer4) for block in stage]
        return [stem, *blocks, nn.Sequential(net.avgpool, nn.Flatten(), net.fc)]
    if name == "mobilenet-v2":
        return [*net.features, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.classifier)]
    stages = [[]]  # of VGG and AlexNet, each with its pooling
    for layer in net.features:
        stages[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            stages.append([])
    stages = [nn.Sequential(*stage) for stage in stages if stage]
    return [*stages, nn.Sequential(net.avgpool, nn.Flatten(), net.classifier)]


class Recomputed(nn.Module):
    """Blocks of whose values only the input is kept; the rest is computed again in the backward pass."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        return checkpoint(self.blocks, x, use_reentrant=False)


# --- two bits for each saved element --------------------------------------------------------------------------------


class TwoBits:
    """Packs what autograd saves of a batch as ActNN does: two bits an element, and two bf16 for each group of 256.

    Parameters, masks, indices and small tensors stay as they are. A tensor that several operators save is packed once, while
    the packed form is alive. What the packing itself takes in between is left out.
    """

    GROUP = 256

    def __init__(self, net, batch):
        self.batch = batch
        self.own = {id(t.untyped_storage()) for t in (*net.parameters(), *net.buffers())}
        self.kept_alive = [t.untyped_storage() for t in (*net.parameters(), *net.buffers())]
        self.packed = WeakIdKeyDictionary()

    class Packed:
        def __init__(self, t):
            groups = -(-t.numel() // TwoBits.GROUP)
            self.codes = torch.empty(groups * TwoBits.GROUP // 4, dtype=torch.uint8)
            self.ranges = torch.empty(groups, 2, dtype=torch.bfloat16)

    def pack(self, t):
        storage = t.untyped_storage()
        of_the_batch = t.dim() >= 2 and t.shape[0] == self.batch and t.numel() >= 1 << 14
        if id(storage) in self.own or not t.is_floating_point() or not of_the_batch:
            return t
        known = self.packed.get(storage)
        packed = known() if known else None
        if packed is None:
            packed = self.Packed(t)
            self.packed[storage] = weakref.ref(packed)
        return packed, t.shape, t.dtype

    @staticmethod
    def unpack(saved):
        if isinstance(saved, torch.Tensor):
            return saved
        _, shape, dtype = saved
        return torch.empty(shape, dtype=dtype)


# --- measuring ----------------------------------------------------------------------------------------------------


def peak(name, batch, way, recompute=1):
    """Bytes at the peak of the second step, by the tracker's categories, and `Total`.

    `recompute` says what a checkpointed net computes again: so many blocks in a row, or DenseNet's "layers", one by one.
    """
    with FakeTensorMode():
        by_layers = way == "checkpointed" and recompute == "layers"
        blocks = parts(name, memory_efficient=by_layers)
        if way == "checkpointed" and not by_layers:
            *blocks, head = blocks
            blocks = [Recomputed(blocks[at : at + recompute]) for at in range(0, len(blocks), recompute)] + [head]
        net = nn.Sequential(*blocks)
        x, y = torch.empty(batch, 3, 224, 224), torch.zeros(batch, dtype=torch.int64)
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, foreach=False)
        bits = TwoBits(net, batch)
        hooks = torch.autograd.graph.saved_tensors_hooks(bits.pack, bits.unpack)

        def step():
            optimizer.zero_grad()
            with hooks if way == "two-bits" else nullcontext():
                loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()

        step()
        optimizer.zero_grad()
        tracker = MemTracker()
        tracker.track_external(net, optimizer, x, y)
        with tracker:
            step()
        (found,) = tracker.get_tracker_snapshot("peak").values()
        return {getattr(kind, "value", kind): size for kind, size in found.items()}


def least(name, batch, way):
    """The peak of a way and what it recomputes: of checkpointing, the choice that takes least."""
    found, recompute = peak(name, batch, way), None
    if way == "checkpointed":
        recompute = 1
        for other in ("layers",) if name == "densenet121" else range(2, 9):
            more = peak(name, batch, way, other)
            if more["Total"] >= found["Total"]:
                break
            found, recompute = more, other
    return found, recompute


def largest_batch(name, way, recompute, at_64):
    """The largest batch of a step within the limit: extrapolated from two batches, then corrected by steps at that batch."""
    total = lambda batch: peak(name, batch, way, recompute)["Total"]  # noqa: E731
    batch = 64 + (LIMIT - at_64) * 64 // (total(128) - at_64)
    while total(batch) > LIMIT:
        batch -= 1
    while total(batch + 1) <= LIMIT:
        batch += 1
    return batch


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(NETS))
    parser.add_argument("--batch", type=int, help="instead of the table's batches")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--write", action="store_true", help="write peak.json, with the largest batches")
    options = parser.parse_args()
    rows = []
    for name in options.nets or NETS:
        for batch in [options.batch] if options.batch else NETS[name]:
            for way in options.ways:
                found, recompute = least(name, batch, way)
                row = dict(net=name, batch=batch, way=way, recompute=recompute, bytes=found)
                if options.write and batch == 64:
                    row["largest_batch"] = largest_batch(name, way, recompute, found["Total"])
                mib = {kind: round(size / 2**20, 1) for kind, size in found.items()}
                print(name, batch, way, recompute or "", mib, row.get("largest_batch", ""), flush=True)
                rows.append(row)
    if options.write:
        date = datetime.date.today().isoformat()
        out = dict(torch=torch.__version__, torchvision=torchvision.__version__, date=date, limit=LIMIT, rows=rows)
        Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
