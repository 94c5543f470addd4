"""`python -m bench [WHAT …]`: limits, drain, lateness, claim, planning, orders; all if none is named; a summary."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from bench import claim, drain, harness, lateness, limits, orders, planning
from bench.beside import PEERS, PYTHON
from bench.harness import BenchmarkFailed

_BENCHMARKS = ("limits", "drain", "lateness", "claim", "planning", "orders")


def main(arguments: list[str]) -> int:
    """Runs what is named and prints the figures."""
    asked = _parse(arguments)
    if asked.peers and not PYTHON.exists():
        print("The peers are not installed. Run make .bench/.ok, or leave them out with --peers", file=sys.stderr)
        return 2
    machine = harness.surroundings()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    began = time.monotonic()
    results: dict[str, Any] = {}
    try:
        for name in asked.what or _BENCHMARKS:
            match name:
                case "limits":
                    results[name] = limits.run(asked.jobs, asked.answers)
                case "drain":
                    results[name] = drain.run(asked.jobs, asked.answers, asked.publishers, asked.peers)
                case "lateness":
                    results[name] = lateness.run(asked.rate, asked.seconds, asked.publishers, asked.peers)
                case "claim":
                    results[name] = claim.run(asked.sizes, asked.claims)
                case "planning":
                    results[name] = planning.run(asked.rows, asked.listed, asked.beside, asked.lists)
                case "orders":
                    results[name] = orders.run(asked.orders, asked.times, asked.documented)
    except BenchmarkFailed as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 1
    summary = _summary(results)
    harness.write("summary", summary)
    if summary:
        harness.table(f"summary, after {time.monotonic() - began:,.0f} s", summary, ["figure", "value"])
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*_BENCHMARKS, []], help="which of them; all if none is named")
    parser.add_argument("--jobs", type=int, default=20_000, help="deliveries of a drain, posts of a limit")
    parser.add_argument("--answers", type=float, nargs="+", default=[0.0, 0.05], help="answer times of the platform, s")
    parser.add_argument("--publishers", type=int, nargs="+", default=[1, 2], help="publisher processes of ours")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="none: only ours")
    parser.add_argument("--rate", type=float, default=100, help="posts a second, for lateness")
    parser.add_argument("--seconds", type=float, default=60, help="for so long, for lateness")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000], help="waiting rows")
    parser.add_argument("--claims", type=int, default=300, help="measured claims of each size")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the import, for planning")
    parser.add_argument("--listed", type=int, default=10_000, help="posts of the month, for planning")
    parser.add_argument("--beside", type=int, default=1_000_000, help="posts beside them, for planning")
    parser.add_argument("--lists", type=int, default=20, help="how often each list is asked for, for planning")
    parser.add_argument("--orders", type=int, default=20_000, help="orders at a multiple of Amazon's rate; 0: none")
    parser.add_argument("--times", type=float, default=50, help="that multiple")
    parser.add_argument(
        "--documented", type=int, default=300, help="orders at the documented rate, for orders; 0: none"
    )
    return parser.parse_args(arguments)


def _summary(results: dict[str, Any]) -> list[dict[str, Any]]:
    """How we stand beside the best peer and the limits, of what was measured in this run."""
    lines: list[dict[str, Any]] = []
    drained = results.get("drain", [])
    for answer in dict.fromkeys(row["answer_ms"] for row in drained):
        rows = [row for row in drained if row["answer_ms"] == answer]
        best = max((row for row in rows if "publishers" in row), key=lambda row: row["per_second"])
        lines.append(_line(f"drain, answer {answer} ms: {best['who']}", best["per_second"]))
        for record in ("attempt, result", "result"):
            peers = [row for row in rows if row["record"] == record]
            if peers:
                peer = max(peers, key=lambda row: row["per_second"])
                lines.append(_line(f"  best peer ({record}): {peer['who']}", peer["per_second"]))
                lines.append(_line("  ours to that", best["per_second"] / peer["per_second"]))
        raw = [
            row["per_second"]
            for row in results.get("limits", {}).get("http", [])
            if (row["client"], row["answer_ms"], row["processes"]) == ("kit", answer, best["publishers"])
        ]
        lines += [
            _line(f"  share of the raw rate of our HTTP client ({rate:,}/s)", best["per_second"] / rate) for rate in raw
        ]
        for part in ("scheduler", "publisher"):
            memory = max(used for name, used in best["peak_rss_mb"].items() if name.startswith(part))
            lines.append(_line(f"  peak memory of the {part}, MB", memory))
    for row in results.get("lateness", []):
        lines.append(_line(f"lateness p50 ms: {row['who']}", row["p50_ms"]))
        lines.append(_line("  p99 ms", row["p99_ms"]))
        lines.append(_line("  early", row["early"]))
    if "claim" in results:
        lines.append(_line("claim p50, most waiting to fewest", results["claim"]["ratio"]))
    for row in results.get("orders", []):
        lines.append(_line(f"orders, share of the rate used: {row['allowed']}", row["share"]))
        lines.append(_line("  CPU of fulfillment for each, ms", row["ms_fulfillment"]))
    for row in results.get("planning", {}).get("imports", []):
        lines.append(_line(f"import, rows a second: {row['through']}", row["per_second"]))
    for row in results.get("planning", {}).get("lists", []):
        lines.append(_line(f"list p50 ms: {row['list']}", row["p50_ms"]))
    return lines


def _line(figure: str, value: float) -> dict[str, Any]:
    return {"figure": figure, "value": value}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
