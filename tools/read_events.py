"""Reads a run's TensorBoard event file with TensorBoard itself and holds it against metrics.jsonl.

    python3 -m venv venv && venv/bin/pip install tensorboard
    frugal train configs/quickstart.toml --tensorboard --out run
    venv/bin/python tools/read_events.py run

Every scalar that the metrics have each ten steps, every evaluation, a histogram of each parameter for each epoch and the
images have to be there; each record's checksum is checked by the reader. Ends with 0 if all is as it should be.
"""

import json
import math
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def close(a, b):
    return math.isclose(a, struct.unpack("f", struct.pack("f", b))[0], rel_tol=1e-6)


def main(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    everything = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0, "compressedHistograms": 0}
    events = EventAccumulator(str(run), size_guidance=everything)
    events.Reload()

    steps = {r["step"]: r for r in records if r["kind"] == "step" and (r["step"] == 1 or r["step"] % 10 == 0)}
    for tag in ["loss", "accuracy", "learning_rate", "samples_per_second"]:
        if all(tag not in r for r in steps.values()):
            # Nets that make images have no accuracy.
            continue
        points = events.Scalars(f"train/{tag}")
        assert [p.step for p in points] == list(steps), f"train/{tag}: {[p.step for p in points]}"
        assert all(close(p.value, steps[p.step][tag]) for p in points), f"train/{tag} differs"
    evaluations = {r["step"]: r for r in records if r["kind"] in ("epoch", "evaluation")}
    curves = [f"{of}_{what}" for of in ("validation", "test") for what in ("loss", "accuracy", "psnr")]
    for curve in curves:
        having = {step: r[curve] for step, r in evaluations.items() if curve in r}
        tag = curve.replace("_", "/")
        points = events.Scalars(tag) if having else []
        assert [p.step for p in points] == list(having), f"{tag}: {[p.step for p in points]}"
        assert all(close(p.value, having[p.step]) for p in points), f"{tag} differs"

    epochs = [r["step"] for r in records if r["kind"] == "epoch"]
    histograms = events.Tags()["histograms"]
    assert histograms, "no histograms"
    for tag in histograms:
        points = events.Histograms(tag)
        assert [p.step for p in points] == epochs, f"{tag}: {[p.step for p in points]}"
        for point in points:
            histogram = point.histogram_value
            assert sum(histogram.bucket) == histogram.num, tag
            assert len(histogram.bucket) == len(histogram.bucket_limit), tag

    images = events.Tags()["images"]
    for tag in images:
        shown = events.Images(tag)
        assert [image.step for image in shown] == (epochs if tag.startswith("answers/") else [1]), tag
        for image in shown:
            assert image.encoded_image_string.startswith(b"\x89PNG") and image.width > 0, tag
    shape = json.loads((run / "data.json").read_text())["shape"]
    assert images or shape[0] not in (1, 3), "no images"
    print(
        f"{len(steps)} points of each training curve, {len(evaluations)} evaluations, "
        f"{len(histograms)} histograms of {len(epochs)} epochs, {len(images)} images: all as in metrics.jsonl"
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
