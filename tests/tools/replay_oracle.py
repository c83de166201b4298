"""Works a trace's report out again, from the trace alone: python3 replay_oracle.py TRACE REPORT [NS NS [PRICES MODEL]]

The two numbers are the nanoseconds per token of context and between tokens. Prints what differs, and at the end
"checked <figures>, wrong <figures>".
"""

import csv
import datetime
import decimal
import fractions
import json
import math
import statistics
import sys

NS_PER_S = 10**9
FIRST_NS = 20_000_000


def nanoseconds(text):
    whole, _, fraction = text.partition(".")
    moment = datetime.datetime.strptime(whole, "%Y-%m-%d %H:%M:%S")
    seconds = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1)
    return seconds * NS_PER_S + int(fraction.ljust(9, "0")[:9] or 0)


def distribution(samples):
    """Of exact values, in the unit of the report."""
    if not samples:
        return dict.fromkeys(("avg", "p50", "p95", "p99", "min", "max")) | {"count": 0}
    if len(samples) >= 20:
        cuts = statistics.quantiles(samples, n=100, method="exclusive")
        p95, p99 = cuts[94], cuts[98]
    else:
        p95 = p99 = max(samples)
    return {
        "avg": statistics.mean(samples),
        "p50": statistics.median(samples),
        "p95": p95,
        "p99": p99,
        "min": min(samples),
        "max": max(samples),
        "count": len(samples),
    }


def price_per_token(prices, model):
    """Input and output, as decimals of what the file's text says."""
    if prices is None:
        return {"gpt-4o": (decimal.Decimal("5e-6"), decimal.Decimal("15e-6"))}[model]
    with open(prices, encoding="utf-8") as file:
        entry = json.load(file, parse_float=decimal.Decimal, parse_int=decimal.Decimal)[model]
    return entry["input_cost_per_token"], entry["output_cost_per_token"]


def expected_report(trace, prefill_ns, itl_ns, prices, model):
    ms = fractions.Fraction(1, 1_000_000)
    ttft, duration, tps, tpot = [], [], [], []
    context_total = generated_total = gaps = 0
    with open(trace, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        nanoseconds(row["TIMESTAMP"])
        context, generated = int(row["ContextTokens"]), int(row["GeneratedTokens"])
        first = FIRST_NS + prefill_ns * context
        length = first + itl_ns * max(0, generated - 1)
        if generated > 0:
            ttft.append(first * ms)
        if generated > 1:
            tpot.append(fractions.Fraction(length - first, generated - 1) * ms)
        duration.append(length * ms)
        if length > 0:
            tps.append(fractions.Fraction(generated * NS_PER_S, length))
        gaps += max(0, generated - 1)
        context_total += context
        generated_total += generated
    per_input, per_output = price_per_token(prices, model)
    decimal.getcontext().prec = 60
    usd = context_total * per_input + generated_total * per_output
    return {
        "events.published": sum(4 + int(r["GeneratedTokens"]) + (r["GeneratedTokens"] != "0") for r in rows),
        "input.rows": len(rows),
        "streaming.total_streams": len(rows),
        "streaming.completed_streams": len(rows),
        "streaming.failed_streams": 0,
        "streaming.active_streams": 0,
        "streaming.orphan_events": 0,
        "streaming.shed_tokens": 0,
        "streaming.total_tokens": generated_total,
        "streaming.success_rate": 1.0,
        "streaming.ttft_ms": distribution(ttft),
        "streaming.tpot_ms": distribution(tpot),
        "streaming.duration_ms": distribution(duration),
        "streaming.tokens_per_second": distribution(tps),
        "streaming.itl_ms": distribution([itl_ns * ms] * 20) | {"count": gaps},
        "errors.total_requests": len(rows),
        "errors.total_errors": 0,
        "slo.violated": False,
        "cost.total_usd": format(usd.normalize(), "f"),
        "cost.requests": len(rows),
        "cost.unpriced_requests": 0,
    }


def agrees(name, expected, got):
    if expected is None or isinstance(expected, (int, str)):
        return expected == got and type(expected) is type(got)
    # Percentiles between tokens come from a histogram; the others are exact but for the rounding of a double.
    slack = 5e-3 if ".itl_ms.p" in name else 1e-12
    return got is not None and math.isclose(float(expected), got, rel_tol=slack)


def flat(name, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(f"{name}.{key}" if name else key, inner)
    else:
        yield name, value


def main():
    trace, report_path = sys.argv[1:3]
    prefill_ns, itl_ns = (int(a) for a in sys.argv[3:5]) if len(sys.argv) > 4 else (250_000, 15_000_000)
    prices, model = sys.argv[5:7] if len(sys.argv) > 6 else (None, "gpt-4o")
    with open(report_path, encoding="utf-8") as file:
        report = dict(flat("", json.load(file)))
    expected = list(flat("", expected_report(trace, prefill_ns, itl_ns, prices, model)))
    wrong = 0
    for name, value in expected:
        got = report.get(name, "(missing)")
        if not agrees(name, value, got):
            wrong += 1
            print(f"{name}: expected {value if isinstance(value, (int, str)) else float(value)}, got {got}")
    if report["events.delivered"] != report["events.published"] or report["events.refused"] != 0:
        wrong += 1
        print("events were lost")
    print(f"checked {len(expected)}, wrong {wrong}")


main()
