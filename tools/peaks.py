"""Puts Frugal's peaks beside PyTorch's: renews the tables of docs/results/peak.md.

    cargo build --release && python3 tools/peaks.py target/release/frugal

Frugal's columns come from `frugal plan`, which needs no GPU; PyTorch's from tools/pytorch/peak.json, which
tools/pytorch/peak.py writes. Nothing but Python is needed.
"""

import datetime
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/results/peak.md"
# A run on images of ImageNet's shape; only its net and its batch are changed.
CONFIG = ROOT / "configs/division-resnet50-imagenet.toml"
# Exact values, kept and recomputed; then the stores of which the one with the smallest peak is shown.
EXACT = ("raw", "raw+segments")
CODED = (
    "uniform:2+cheap",
    "frequency-split+cheap",
    "error-bounded+cheap",
    "uniform:2+segments",
    "frequency-split+segments",
)
# What else makes steps smaller, as arguments.
SETTINGS = {"f16": ["--precision", "f16"]}
# PyTorch's ways in peak.json, and its tracker's kinds.
WAYS = {"plain": "PyTorch", "checkpointed": "recomputed", "two-bits": "2 bits"}
TRACKED = {
    "Optstate": "optimizer",
    "Gradient": "parameters' gradients",
    "Activation": "activations",
    "Temp": "temporary",
    "Other": "inputs",
    "Total": "peak",
}
# What is alive at the largest moment, by the kinds of the plan's `memory_over_step`.
KINDS = {
    "kept": "kept",
    "decoded": "decoded, recomputed",
    "gradients": "gradients",
    "activations": "activations",
    "parameter_gradients": "parameters' gradients",
    "scratch": "scratch",
    "inputs": "inputs",
}
PARTS = ["parameters", "optimizer", *KINDS.values(), "gaps", "host", "peak"]


def plan(program, net, *arguments):
    command = [program, "plan", str(CONFIG), "--set", f"model.net={net}", "--json", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def parts_of(report):
    """Bytes of each of PARTS at the largest moment of a planned step."""
    bytes_, over = report["bytes"], report["memory_over_step"]
    alive = {kind["kind"]: kind["bytes"] for kind in over["alive"]}
    totals = [sum(at) for at in zip(*alive.values())]
    largest = totals.index(max(totals))
    kinds = [alive[kind][largest] for kind in KINDS]
    # Parameters of kernels, a few hundred bytes a node, are counted with the net's.
    parameters = over["across_steps"] - bytes_["optimizer"] + over["kernel_parameters"]
    gaps = over["placed"] - totals[largest]
    sizes = [parameters, bytes_["optimizer"], *kinds, gaps, over["host"], bytes_["peak"]]
    assert sum(sizes[:-1]) == sizes[-1], f"{report['net']}: the parts are {sum(sizes[:-1])} bytes, the peak {sizes[-1]}"
    return sizes


def mib(size):
    return f"{size / 2**20:,.0f}"


def times(larger, smaller):
    return f"{larger / smaller:.1f}×"


def table(head, rows):
    """A Markdown table whose first column is text."""
    lines = [head, [":--"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def peak_rows(program, torch):
    """Rows of the tables `peaks`, `settings`, `parts` and `kinds`, and of each net its store with the smallest peak."""
    peaks, settings, parts, kinds, stores = [], [], [], [], {}
    for (net, batch), ways in torch.items():
        name = f"{net}, {batch}"
        plans = {store: plan(program, net, "--batch", str(batch), "--store", store) for store in EXACT + CODED}
        ours = {store: planned["bytes"]["peak"] for store, planned in plans.items()}
        best = min(CODED, key=ours.get)
        stores.setdefault(net, best)
        theirs = [ways[way]["bytes"]["Total"] for way in WAYS]
        gains = [times(theirs[0], ours[best]), times(min(theirs), ours[best])]
        sizes = map(mib, (*theirs, *(ours[store] for store in EXACT)))
        peaks.append([name, *sizes, f"**{mib(ours[best])}**", f"`{best}`", *gains])
        chosen = ["--batch", str(batch), "--store", best]
        other = (plan(program, net, *chosen, *setting)["bytes"]["peak"] for setting in SETTINGS.values())
        settings.append([f"{name}, `{best}`", mib(ours[best]), *map(mib, other)])
        for store in ("raw", best):
            parts.append([f"{name}, `{store}`", *map(mib, parts_of(plans[store]))])
        for way, title in WAYS.items():
            of = ways[way]["bytes"]
            sizes = [of["Parameter"] + of["Buffer"], *(of[kind] for kind in TRACKED)]
            again = ways[way]["recompute"]
            title += "" if again is None else f" ({'layers' if again == 'layers' else f'by {again}'})"
            kinds.append([f"{name}, {title}", *map(mib, sizes)])
    return peaks, settings, parts, kinds, stores


def batch_rows(program, torch, stores, limit):
    """Rows of the table `batches`."""
    rows = []
    for net, best in stores.items():
        theirs = [torch[net, 64][way]["largest_batch"] for way in WAYS]
        fits = plan(program, net, "--max-batch", str(limit), "--stores", ",".join([*EXACT, best]))["stores"]
        *exact, most = (fit["batch"] for fit in fits)
        gains = [times(most, theirs[0]), times(most, max(theirs))]
        rows.append([net, *(f"{n:,}" for n in (*theirs, *exact)), f"**{most:,}**", f"`{best}`", *gains])
    return rows


def main(program):
    found = json.loads((ROOT / "tools/pytorch/peak.json").read_text())
    torch = {}
    for row in found["rows"]:
        torch.setdefault((row["net"], row["batch"]), {})[row["way"]] = row
    peaks, settings, parts, kinds, stores = peak_rows(program, torch)
    batches = batch_rows(program, torch, stores, found["limit"])
    columns = [*WAYS.values(), *(f"Frugal, `{store}`" for store in EXACT)]
    today = datetime.date.today()
    renewed = {
        "versions": f"PyTorch {found['torch']}, torchvision {found['torchvision']}, {found['date']}; Frugal of {today}.",
        "peaks": table(["MiB, batch", *columns, "Frugal, least", "its store", "over PyTorch", "over PyTorch's least"], peaks),
        "settings": table(["MiB", "f32", *SETTINGS], settings),
        "batches": table(["samples", *columns, "Frugal, most", "its store", "over PyTorch", "over PyTorch's most"], batches),
        "parts": table(["MiB", *PARTS], parts),
        "kinds": table(["MiB", "parameters", *TRACKED.values()], kinds),
    }
    page = PAGE.read_text()
    for key, text in renewed.items():
        start, end = f"<!-- {key}: tools/peaks.py -->\n", f"\n<!-- end of {key} -->"
        head, rest = page.split(start)
        page = head + start + "\n" + text + "\n" + end + rest.split(end, 1)[1]
    PAGE.write_text(page)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
