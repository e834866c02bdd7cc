"""The nets of this comparison in PyTorch.

    python3 pytorch.py NET START STEPS [DEVICE]

NET is lenet, resnet20, resnet18 or resnet50, START the file that `frugal bench step --write-start` wrote. DEVICE is cpu (the default:
two threads), cuda (products in full f32, without TF32) or cuda-amp (automatic mixed precision: f16 operands, a scaled loss). Needs
torch, numpy and safetensors; the nets are those of tools/pytorch. Prints one JSON object, as the other programs of this folder do.
"""

import json
import resource
import statistics
import sys
import time

BEGAN = time.perf_counter()

from pathlib import Path  # noqa: E402: importing torch belongs to the first step

import torch  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from torch.nn import functional as F  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "pytorch"))
import imagenet_nets  # noqa: E402
import nets  # noqa: E402

NETS = {"lenet": nets.LeNet, "resnet20": nets.ResNet20, "resnet18": imagenet_nets.ResNet18, "resnet50": imagenet_nets.ResNet50}
WARM_UP = 3  # steps before those that are measured, the first included


def prepared(device):
    """Sets PyTorch up for a device; its name, and what to say of it."""
    if device == "cpu":
        torch.set_num_threads(2)
        return "cpu", "CPU", "two threads"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    mode = "AMP, f16" if device == "cuda-amp" else "f32"
    return "cuda", f"CUDA, {mode}", torch.cuda.get_device_name()


def main(name, path, steps, wanted="cpu"):
    device, kind, note = prepared(wanted)
    mixed = wanted == "cuda-amp"
    start = load_file(path)
    net = NETS[name]()
    missing = net.load_state_dict({k: torch.from_numpy(start[k]) for k in net.state_dict() if k in start}, strict=False)
    assert all("running" in k or "num_batches" in k for k in missing.missing_keys), missing
    net.to(device)
    images = torch.from_numpy(start["images"]).to(device)
    labels = torch.from_numpy(start["labels"].astype("int64")).to(device)
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    scaler = torch.amp.GradScaler(device, enabled=mixed)

    def step():
        optimiser.zero_grad()
        with torch.autocast(device, torch.float16, enabled=mixed):
            loss = F.cross_entropy(net(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        # Waits for the device.
        return loss.item()

    losses = [step()]
    first = time.perf_counter() - BEGAN
    losses += [step() for _ in range(1, WARM_UP)]
    times = []
    for _ in range(steps):
        begin = time.perf_counter()
        losses.append(step())
        times.append(1e3 * (time.perf_counter() - begin))
    print(
        json.dumps(
            {
                "framework": f"PyTorch {torch.__version__.split('+')[0]}, {kind}",
                "note": note,
                "net": name,
                "steps": steps,
                "milliseconds_per_step": {"median": statistics.median(times), "least": min(times), "most": max(times)},
                "first_step_seconds": first,
                "peak_resident_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                "losses": losses,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
