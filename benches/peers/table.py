"""Prints what run.sh measured as tables, one for each net: `python3 table.py RESULTS.jsonl`. Needs nothing but Python."""

import json
import sys


def of_frugal(report):
    """A report of `frugal bench step --json` in the words of the other programs."""
    return {
        "framework": f"Frugal, {report['store']}",
        "note": report["adapter"]["name"],
        "net": report["net"],
        "steps": report["steps"],
        "milliseconds_per_step": report["milliseconds_per_step"],
        "first_step_seconds": report["seconds"]["until_first_step"],
        "peak_resident_bytes": report["bytes"]["peak_resident"],
        "losses": report["losses"],
    }


def main(path):
    with open(path, encoding="utf-8") as lines:
        reports = [json.loads(line) for line in lines if line.strip()]
    reports = [of_frugal(report) if "store" in report else report for report in reports]
    for net in dict.fromkeys(report["net"] for report in reports):
        rows = [report for report in reports if report["net"] == net]
        mine = next((row for row in rows if row["framework"].startswith("Frugal")), rows[0])
        ours = mine["milliseconds_per_step"]["median"]
        last = min(len(row["losses"]) for row in rows)
        print(f"\n{net}\n")
        print(f"| framework | ms per step (least–most) | over Frugal | first step done after | peak memory | loss of step 1 | of step {last} |")
        print("|:--|--:|--:|--:|--:|--:|--:|")
        for row in rows:
            ms, losses = row["milliseconds_per_step"], row["losses"]
            peak = row["peak_resident_bytes"]
            print(
                f"| {row['framework']} ({row['note']}) | {ms['median']:,.1f} ({ms['least']:,.1f}–{ms['most']:,.1f}) "
                f"| {ms['median'] / ours:.2f} | {row['first_step_seconds']:.1f} s "
                f"| {'–' if peak is None else f'{peak / 2**20:,.0f} MiB'} | {losses[0]:.5f} | {losses[last - 1]:.5f} |"
            )


if __name__ == "__main__":
    main(sys.argv[1])
