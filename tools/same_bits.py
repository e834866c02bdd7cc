#!/usr/bin/env python3
"""Compares two builds of Frugal: the same weights, plans and tables, bit for bit, then speed in turns.

Both programs train from the same starting weights, which OLD wrote, each into a separate folder. Then the folders are
compared, and what `frugal plan` says:

- tensors of weights and checkpoints by name: element type, shape and every bit;
- JSON by path: numbers, booleans and names of keys. A word in a value may be another one, which is listed and no failure;
  a new key is no failure either, a missing one is;
- lines of text by the numbers in them.

Left out, by the name of the field, is what differs from run to run: times, rates, versions and paths. Speed is the median of
the ratios, turn by turn, of `bench step`, processor time of `plan`, and peak memory of the process, of OLD and NEW in turns.

Exit status: 0 equal, 1 something differs, 2 equal, but slower or larger than allowed.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# Fields that differ from run to run, wherever they stand.
VARYING = {
    "adapter", "checksum", "command", "config", "cores", "data_wait_ms", "epoch_seconds", "environment", "frugal", "git", "logs",
    "milliseconds_per_step", "overhead", "rustc", "samples_per_second", "seconds", "seconds_per_step", "started", "system", "wgpu",
    "standing.waiting.sum",
}  # fmt: skip
# Keys and files that have another name in NEW.
RENAMED = {"examination.json": "gradient_error.json"}

PLAIN = ["raw", "f16", "uniform:4", "frequency-split", "error-bounded"]
RECOMPUTED = ["raw+cheap", "raw+segments", "frequency-split+cheap", "error-bounded+cheap", "uniform:4+segments"]

SGD = '[optimizer]\nkind = "sgd"\nlr = 0.05\nmomentum = 0.9\nweight_decay = 1e-4\n'
ADAM = '[optimizer]\nkind = "adamw"\nlr = 2e-3\n'
ALL_OPTIONS = "accumulate = 2\nclip_norm = 1.0\nema = 0.9\n"
F16 = 'precision = "f16"\n'

LENET = {"net": "lenet", "set": "fashion-mnist-small", "batch": 64, "kind": SGD, "train": ""}
RESNET = {"net": "resnet8", "set": "digits", "batch": 64, "kind": SGD, "train": ""}


def trainings(quick):
    """Names of comparisons, their settings and stores."""
    if quick:
        yield "lenet f32", LENET, ["raw", "error-bounded"]
        yield "resnet8 f32", RESNET, [*PLAIN, "error-bounded+cheap", "raw+segments"]
        yield "resnet8 f16, all options", RESNET | {"kind": ADAM, "train": F16 + ALL_OPTIONS}, ["frequency-split+cheap"]
        return
    yield "lenet f32, larger images", LENET, PLAIN
    # On software drivers f16 is slow: small images.
    for name, settings in ("lenet", LENET | {"set": "digits"}), ("resnet8", RESNET):
        yield f"{name} f32", settings, [*PLAIN, *RECOMPUTED]
        yield f"{name} f16", settings | {"train": F16}, [*PLAIN, *RECOMPUTED]
        yield f"{name} f32, all options", settings | {"train": ALL_OPTIONS}, [*PLAIN, "error-bounded+cheap"]
        yield f"{name} f16, all options", settings | {"kind": ADAM, "train": F16 + ALL_OPTIONS}, ["raw", "error-bounded", "raw+segments"]
    images = {"net": "autoencoder", "set": "fashion-mnist-small", "batch": 50, "kind": ADAM, "train": "", "loss": "mse"}
    yield "autoencoder f32", images, ["raw", "frequency-split"]


def plans(quick):
    """Arguments of `frugal plan`."""
    small = [("lenet", "1x28x28", 10, 64), ("resnet8", "3x32x32", 10, 64)]
    nets = small if quick else [*small, ("resnet20", "3x32x32", 10, 128), ("resnet18", "3x64x64", 200, 32)]
    for net, shape, classes, batch in nets:
        about = ["--net", net, "--shape", shape, "--classes", str(classes), "--batch", str(batch)]
        for store in PLAIN if quick else [*PLAIN, *RECOMPUTED]:
            yield [*about, "--store", store]
            if not quick:
                yield [*about, "--store", store, "--precision", "f16", "--kernels", "cpu"]
        yield [*about, "--kernels", "cpu"]
        yield [*about[:-2], "--max-batch", "1GiB"]
    for net, shape, classes in ("vgg-small", "3x32x32", 10), ("mobilenet-v2", "3x64x64", 10), ("unet", "3x64x64", 4), ("resnet50", "3x64x64", 10):
        if not quick:
            yield ["--net", net, "--shape", shape, "--classes", str(classes), "--batch", "8", "--store", "error-bounded+cheap"]


class Report:
    """What differs, and words that are other words."""

    def __init__(self):
        self.differences = []
        self.words = Counter()
        self.compared = Counter()

    def differ(self, where, what):
        self.differences.append(f"{where}: {what}")

    def json(self, where, old, new, path=""):
        """Compares two JSON values, `path` of which names where they stand in `where`."""
        here = f"{where} {path or '(all)'}"
        if isinstance(old, dict) and isinstance(new, dict):
            for key, value in old.items():
                inner = f"{path}.{key}" if path else key
                named = key if key in new else RENAMED.get(key, key)
                if key in VARYING or any(inner.endswith(field) for field in VARYING if "." in field):
                    continue
                if named not in new:
                    self.differ(f"{where} {inner}", "missing in NEW")
                else:
                    self.json(where, value, new[named], inner)
        elif isinstance(old, list) and isinstance(new, list):
            if len(old) != len(new):
                return self.differ(here, f"{len(old)} items, {len(new)} in NEW")
            for index, (a, b) in enumerate(zip(old, new)):
                self.json(where, a, b, f"{path}[{index}]")
        elif isinstance(old, str) and isinstance(new, str):
            self.compared["words"] += 1
            if old != new:
                self.words[(old, new)] += 1
        else:
            self.compared["numbers"] += 1
            if type(old) is not type(new) or repr(old) != repr(new):
                self.differ(here, f"{old!r}, {new!r} in NEW")

    def text(self, where, old, new):
        """Compares the numbers in two texts."""
        a, b = (re.findall(r"\d[\d,.]*", text) for text in (old, new))
        self.compared["numbers"] += len(a)
        if a != b:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            self.differ(where, f"number {at + 1} of the text: {a[at : at + 3]}, {b[at : at + 3]} in NEW")

    def tensors(self, where, old, new):
        """Compares the tensors of two safetensors files, and what Frugal says in their metadata."""
        (old, old_about), (new, new_about) = tensors_of(old), tensors_of(new)
        for name in sorted(old.keys() | new.keys()):
            a, b = old.get(name), new.get(name)
            if a is None or b is None:
                self.differ(f"{where} {name}", "missing in " + ("NEW" if b is None else "OLD"))
                continue
            self.compared["tensors"] += 1
            if a[:2] != b[:2]:
                self.differ(f"{where} {name}", f"{a[0]} {a[1]}, {b[0]} {b[1]} in NEW")
            elif a[2] != b[2]:
                bytes_off = sum(x != y for x, y in zip(a[2], b[2]))
                self.differ(f"{where} {name}", f"{bytes_off} of {len(a[2])} bytes")
        self.json(where, old_about, new_about)

    def folders(self, where, old, new):
        """Compares two folders that runs or comparisons left."""
        compared = {path.relative_to(old) for path in old.rglob("*") if path.is_file()}
        for path in sorted(compared):
            a, b, place = old / path, new / path, f"{where}: {path}"
            b = b if b.exists() else b.with_name(RENAMED.get(b.name, b.name))
            if path.name in ("config.toml", "config.resolved.toml", ".lock", "environment.json"):
                continue
            if not b.is_file():
                self.differ(place, "missing in NEW")
            elif path.suffix == ".safetensors":
                self.tensors(place, a, b)
            elif path.suffix == ".json":
                self.json(place, json.loads(a.read_text()), json.loads(b.read_text()))
            elif path.suffix == ".jsonl":
                lines = ([json.loads(line) for line in file.read_text().splitlines()] for file in (a, b))
                self.json(place, *lines)


def tensors_of(file):
    """Element type, shape and bytes of each tensor, and what Frugal says of the file."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    about = json.loads(header.pop("__metadata__", {}).get("frugal", "{}"))
    return {name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])]) for name, t in header.items()}, about


class Failed(Exception):
    """A program did not do what it was asked to."""


def run(program, *arguments):
    """Runs a program; gives what it printed, its processor seconds and its peak memory in KiB."""
    # The peak is the child's own, so that this script's memory does not count.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([program, *map(str, arguments)], stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        printed = out.read().decode()
        if child.returncode != 0:
            message = err.read().decode().strip()[-600:]
            raise Failed(f"{Path(program).name} {' '.join(map(str, arguments))}: status {child.returncode}\n    {message}")
    return printed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def write_config(file, settings, weights=None, stores=("raw",), examine=True):
    """Writes a config of `settings`, which begins with `weights`."""
    text = f'name = "same-bits"\nseed = 3\n\n[data]\nset = "{settings["set"]}"\nbatch = {settings["batch"]}\n\n'
    text += f'[model]\nnet = "{settings["net"]}"\n' + (f'weights = "{weights}"\n' if weights else "")
    text += f'\n[loss]\nkind = "{settings["loss"]}"\n' if "loss" in settings else ""
    text += f'\n{settings["kind"]}\n[schedule]\nkind = "cosine"\nwarmup_steps = 4\n'
    text += f"\n[train]\nepochs = 1\ntuned = false\n{settings['train']}"
    text += f"\n[compare]\nstores = {json.dumps(list(stores))}\nbudget = \"1GiB\"\nexamine = {json.dumps(examine)}\n"
    file.write_text(text)


def compare_bits(old, new, kept, folder, quick, report):
    """Trains, plans and resumes with both programs: OLD into the folder `kept`, NEW into `folder`."""

    def ours(*arguments):
        """Lets OLD do what it has not done yet with this config, the second argument; the last is what it makes."""
        config, made = arguments[1], arguments[-1]
        if not made.exists() or (made / "config.toml").read_text() != config.read_text():
            shutil.rmtree(made, ignore_errors=True)
            run(old, *arguments[:-1], "--out", made)
        return made

    def start(settings):
        """The weights that all runs of a net begin with."""
        config = folder / "start.toml"
        write_config(config, settings | {"kind": SGD, "train": ""})
        made = kept / f"start-{settings['net']}-{settings['set']}"
        return ours("train", config, "--seed", 7, made) / "weights.safetensors"

    for name, settings, stores in trainings(quick):
        began = time.monotonic()
        place = name.replace(" ", "-").replace(",", "")
        config = folder / f"{place}.toml"
        write_config(config, settings, start(settings), stores, examine=name.endswith("f32"))
        left = ours("compare", config, kept / place)
        run(new, "compare", config, "--out", folder / place)
        report.folders(name, left, folder / place)
        say(f"{name}: {', '.join(stores)}", began, report)

    began = time.monotonic()
    config = folder / "resume.toml"
    write_config(config, RESNET | {"train": "ema = 0.9\n"}, start(RESNET))
    store = ["--set", "store.default=error-bounded+cheap"]
    stopped = ours("train", config, *store, kept / "stopped")
    resumed = kept / "resumed"
    if not resumed.exists() or (resumed / "config.toml").read_text() != config.read_text():
        shutil.rmtree(resumed, ignore_errors=True)
        shutil.copytree(stopped, kept / "resumed")
        run(old, "resume", kept / "resumed", "--epochs", 2)
    run(new, "train", config, *store, "--out", folder / "resumed")
    shutil.copytree(stopped, folder / "taken-over")
    for name in "resumed", "taken-over":
        run(new, "resume", folder / name, "--epochs", 2)
        report.folders(f"resnet8, {name}", kept / "resumed", folder / name)
    say("resnet8: a run resumed, and OLD's run resumed by NEW", began, report)

    began, count = time.monotonic(), 0
    for arguments in plans(quick):
        where = "plan " + " ".join(arguments)
        report.json(where, *(json.loads(run(program, "plan", *arguments, "--json")[0]) for program in (old, new)))
        if "--kernels" not in arguments:
            report.text(where, *(run(program, "plan", *arguments)[0] for program in (old, new)))
        count += 1
    say(f"{count} plans", began, report)


def say(what, began, report):
    count = len(report.differences)
    print(f"{what}: {f'{count} differences so far' if count else 'same'} ({time.monotonic() - began:.0f} s)", flush=True)


# Ratios of NEW to OLD that pass: of step time, of processor time of a plan, of peak memory of the process.
STEP, PLAN, MEMORY = 1.03, 1.05, 1.02
TURNS = 5


def compare_speed(old, new):
    """Runs both programs in turns; gives what exceeds the limits."""
    steps = [
        ("lenet, batch 64", ["--net", "lenet", "--shape", "1x28x28", "--classes", "10", "--batch", "64", "--steps", "60"]),
        ("resnet20, batch 32", ["--net", "resnet20", "--shape", "3x32x32", "--classes", "10", "--batch", "32", "--steps", "15"]),
        ("resnet8, error-bounded", ["--net", "resnet8", "--shape", "1x28x28", "--classes", "10", "--store", "error-bounded", "--steps", "15"]),
    ]
    plan = ["plan", "--net", "resnet50", "--shape", "3x224x224", "--classes", "1000", "--store", "error-bounded"]
    cases = [(name, ["bench", "step", *about, "--no-tuned", "--json"]) for name, about in steps] + [("plan of resnet50", plan)]
    exceeded = []
    print(f"\n{'in turns, medians of ' + str(TURNS):<26}{'old':>12}{'new':>12}{'ratio':>8}")
    for name, arguments in cases:
        measured = ([], [])
        for _ in range(TURNS):
            for program, results in zip((old, new), measured):
                printed, seconds, peak = run(program, *arguments)
                if arguments[0] == "bench":
                    seconds = json.loads(printed)["milliseconds_per_step"]["median"] / 1e3
                results.append((seconds, peak))
        step = arguments[0] == "bench"
        for what, part, scale, limit in ("ms", 0, 1e3, STEP if step else PLAN), ("process MiB", 1, 1 / 1024, MEMORY):
            before, after = ([m[part] * scale for m in results] for results in measured)
            ratio = statistics.median(b / a for a, b in zip(before, after))
            label = f"{name}, {what}"
            print(f"{label:<34}{statistics.median(before):>10.2f}{statistics.median(after):>10.2f}{ratio:>8.3f}", flush=True)
            if ratio > limit:
                exceeded.append(f"{label}: {ratio:.3f} times OLD's, more than {limit}")
    return exceeded


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--quick", action="store_true", help="about a minute, without speed")
    either.add_argument("--speed", action="store_true", help="speed alone")
    parser.add_argument("--keep-old", metavar="DIR", type=Path, help="keep what OLD's runs leave here, and use it the next time")
    options = parser.parse_args()
    old, new = (os.path.abspath(program) for program in (options.old, options.new))
    report, exceeded = Report(), []
    with tempfile.TemporaryDirectory(prefix="same-bits-") as folder:
        kept = (options.keep_old or Path(folder) / "old").resolve()
        program, whose = hashlib.sha256(Path(old).read_bytes()).hexdigest(), kept / "program.sha256"
        if kept.exists() and not (whose.exists() and whose.read_text() == program):
            if any(kept.iterdir()) and not whose.exists():
                parser.error(f"{kept} holds something else than what OLD left")
            shutil.rmtree(kept)
        kept.mkdir(parents=True, exist_ok=True)
        whose.write_text(program)
        try:
            if not options.speed:
                compare_bits(old, new, kept, Path(folder), options.quick, report)
            if not options.quick and not report.differences:
                exceeded = compare_speed(old, new)
        except Failed as failure:
            report.differ("failed", failure)
    print("\ncompared: " + ", ".join(f"{count:,} {what}" for what, count in report.compared.items()))
    for (a, b), count in sorted(report.words.items()):
        print(f"another word: {a!r} is {b!r}, {count} times")
    shown = 40
    for line in [*report.differences[:shown], *exceeded]:
        print(f"DIFFERS  {line}")
    if len(report.differences) > shown:
        print(f"DIFFERS  in {len(report.differences) - shown} more places")
    print("different" if report.differences else "slower or larger" if exceeded else "the same")
    return 1 if report.differences else 2 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
