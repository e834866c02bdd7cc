"""The two nets of this comparison in PyTorch, on the CPU with two threads.

    python3 pytorch.py NET START STEPS

NET is lenet or resnet20, START the file that `frugal bench step --write-start` wrote. Needs torch, numpy and safetensors; the nets
are those of tools/pytorch. Prints one JSON object, as the other programs of this folder do.
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
from nets import LeNet, ResNet20  # noqa: E402

WARM_UP = 3  # steps before those that are measured, the first included


def main(name, path, steps):
    torch.set_num_threads(2)
    net = {"lenet": LeNet, "resnet20": ResNet20}[name]()
    start = load_file(path)
    missing = net.load_state_dict({k: torch.from_numpy(start[k]) for k in net.state_dict() if k in start}, strict=False)
    assert all("running" in k or "num_batches" in k for k in missing.missing_keys), missing
    images = torch.from_numpy(start["images"])
    labels = torch.from_numpy(start["labels"].astype("int64"))
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def step():
        optimiser.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimiser.step()
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
                "framework": f"PyTorch {torch.__version__.split('+')[0]}, CPU",
                "note": "two threads",
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
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
