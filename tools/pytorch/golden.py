"""Writes the golden training runs of crates/model/tests/fixtures: {lenet,resnet20}.json and their gradients.

Each figure is computed in f64 (the oracle) and by two f32 peers (PyTorch with oneDNN, and with its own kernels), from
the same f32 weights and images. A `gap` stored beside a figure is the larger distance of a peer from the oracle: what
an f32 implementation can fairly be asked. README.md explains the files.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from nets import LeNet, ResNet20, batch, fill

FIXTURES = Path(__file__).parents[2] / "crates/model/tests/fixtures"
F32, F64 = torch.float32, torch.float64
STEPS = 10


def oracle_and_peers(compute):
    """[f64, f32 with oneDNN, f32 without] of `compute(dtype)`."""
    results = [compute(F64), compute(F32)]
    torch.backends.mkldnn.enabled = False
    results.append(compute(F32))
    torch.backends.mkldnn.enabled = True
    return results


def gap(oracle, *peers):
    """The largest |peer - oracle| / |oracle|, in the L2 norm."""
    oracle = torch.as_tensor(oracle, dtype=F64)
    return max(((torch.as_tensor(p, dtype=F64) - oracle).norm() / oracle.norm()).item() for p in peers)


def summary(name, oracle, *peers):
    return dict(
        name=name,
        shape=list(oracle.shape),
        norm=oracle.norm().item(),
        mean=oracle.mean().item(),
        first=oracle.flatten()[:4].tolist(),
        gap=gap(oracle, *peers),
    )


def worst(rows):
    return max((r["gap"] for r in rows), default=0.0)


def running(net):
    return {n: b.clone() for n, b in net.named_buffers() if "num_batches" not in n}


def first_step(make, step, size):
    """Loss and gradients of the untrained net on one batch, its running statistics and evaluation logits after it."""

    def compute(dtype):
        net = fill(make()).to(dtype)
        x, y = batch(step, size, make.shape)
        loss = F.cross_entropy(net(x.to(dtype)), y)
        loss.backward()
        with torch.no_grad():
            logits = net.eval()(x[:4].to(dtype))
        return loss.item(), {n: p.grad for n, p in net.named_parameters()}, running(net), logits

    (loss, grads, stats, logits), *peers = oracle_and_peers(compute)
    table = dict(
        step=step,
        batch=size,
        loss=loss,
        loss_gap=gap(loss, *(p[0] for p in peers)),
        gradients=[summary(n, g, *(p[1][n] for p in peers)) for n, g in grads.items()],
        running=[summary(n, v, *(p[2][n] for p in peers)) for n, v in stats.items()],
        logits=logits.tolist(),
        logits_gap=gap(logits, *(p[3] for p in peers)),
    )
    return table, {n: g.to(F32) for n, g in grads.items()}


def train(make, size, optimiser, **options):
    """Ten steps, and what the net is afterwards."""

    def compute(dtype):
        net = fill(make()).to(dtype)
        opt = getattr(torch.optim, optimiser)(net.parameters(), **options)
        losses = []
        for step in range(STEPS):
            x, y = batch(step, size, make.shape)
            opt.zero_grad()
            loss = F.cross_entropy(net(x.to(dtype)), y)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        with torch.no_grad():
            logits = net.eval()(batch(0, size, make.shape)[0][:4].to(dtype))
        return losses, {n: p.detach() for n, p in net.named_parameters()}, running(net), logits

    (losses, parameters, stats, logits), *peers = oracle_and_peers(compute)
    return dict(
        optimiser=optimiser,
        **options,
        batch=size,
        losses=losses,
        losses_f32=peers[0][0],
        losses_gap=[gap(l, *(p[0][i] for p in peers)) for i, l in enumerate(losses)],
        parameters=[summary(n, v, *(p[1][n] for p in peers)) for n, v in parameters.items()],
        running=[summary(n, v, *(p[2][n] for p in peers)) for n, v in stats.items()],
        logits=logits.tolist(),
        logits_gap=gap(logits, *(p[3] for p in peers)),
    )


def dump(v, indent=0):
    """JSON with a line per table and per innermost list, so that a change shows in a diff."""
    pad = " " * (indent + 1)
    if isinstance(v, dict) and any(isinstance(x, (dict, list)) for x in v.values()) and "name" not in v:
        rows, ends = [f"{pad}{json.dumps(k)}: {dump(x, indent + 1)}" for k, x in v.items()], "{}"
    elif isinstance(v, list) and v and isinstance(v[0], (dict, list)):
        rows, ends = [pad + dump(x, indent + 1) for x in v], "[]"
    else:
        return json.dumps(v)
    return ends[0] + "\n" + ",\n".join(rows) + "\n" + pad[1:] + ends[1]


def write(path, value):
    path.write_text(dump(value) + "\n")


def golden(name, make, batches, runs):
    out = dict(net=name, torch=torch.__version__.split("+")[0], parameters=sum(p.numel() for p in make().parameters()))
    out["first_steps"], out["runs"] = [], []
    print(f"{name}: {out['parameters']:,} parameters")

    def gaps(t):
        return f"running {worst(t['running']):.0e}, logits {t['logits_gap']:.0e}"

    for suffix, step, size in batches:
        t, full = first_step(make, step, size)
        file = f"{name}_{suffix}.safetensors"
        out["first_steps"].append(dict(file=file, **t))
        save_file(full, FIXTURES / file)
        print(f"  batch {step} of {size}: loss {t['loss']:.5f}; gaps: loss {t['loss_gap']:.0e}", end=", ")
        print(f"gradients {worst(t['gradients']):.0e},", gaps(t))
    for run in runs:
        t = train(make, **run)
        out["runs"].append(t)
        print(f"  {run}\n    losses", *(f"{v:.4f}" for v in t["losses"]))
        print("    gaps  ", *(f"{v:.0e}" for v in t["losses_gap"]), end="; ")
        print(f"parameters {worst(t['parameters']):.0e},", gaps(t))
    write(FIXTURES / f"{name}.json", out)


if __name__ == "__main__":
    FIXTURES.mkdir(parents=True, exist_ok=True)
    sgd = dict(optimiser="SGD", momentum=0.9)
    golden(
        "lenet",
        LeNet,
        [("gradients", 0, 64)],
        [
            dict(**sgd, size=64, lr=0.05, weight_decay=5e-4, nesterov=False),
            dict(**sgd, size=64, lr=0.01, weight_decay=5e-4, nesterov=True),
            dict(optimiser="Adam", size=64, lr=1e-3, betas=(0.9, 0.999), eps=1e-8),
        ],
    )
    golden(
        "resnet20",
        ResNet20,
        # Batch 287 of 4 samples was searched: no input of a ReLU lies within 1.6e-5 of its kink, so rounding flips none.
        [("gradients", 0, 32), ("clear_gradients", 287, 4)],
        [
            dict(**sgd, size=32, lr=0.05, weight_decay=1e-4, nesterov=True),
            dict(**sgd, size=32, lr=0.002, weight_decay=1e-4, nesterov=True),
        ],
    )
