"""Milliseconds per training step of PyTorch on the CPU, for the nets and batches of docs/results: forward, cross entropy,
backward, SGD with momentum, loss read back; two threads.

    python step_time.py
"""

import statistics
import time

import torch
from torch.nn import functional as F

from nets import LeNet, ResNet20

WARM_UP, COUNTED = 4, 20

if __name__ == "__main__":
    torch.set_num_threads(2)
    for net, shape in ((LeNet(), (64, 1, 28, 28)), (ResNet20(), (32, 3, 32, 32))):
        x, y = torch.rand(shape), torch.arange(shape[0]) % 10
        optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
        times = []
        for _ in range(WARM_UP + COUNTED):
            start = time.perf_counter()
            optimiser.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimiser.step()
            loss.item()
            times.append(1e3 * (time.perf_counter() - start))
        times = times[WARM_UP:]
        print(f"{type(net).__name__}: median {statistics.median(times):.1f} ms, fastest {min(times):.1f}, slowest {max(times):.1f}")
