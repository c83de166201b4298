"""Works out again, with Python's statistics, what a test says of lists of samples. A line of the file:
RELATIVE count avg min max p50 p90 p95 p99 : sample sample ...
RELATIVE is how far the percentiles may be off; count, avg, min and max must agree to 1e-9."""
import math
import statistics
import sys


def figures_of(samples):
    if not samples:
        return [math.nan] * 7
    p90 = p95 = p99 = max(samples)
    if len(samples) >= 20:
        p90 = statistics.quantiles(samples, n=10, method="exclusive")[8]
        p95 = statistics.quantiles(samples, n=20, method="exclusive")[18]
        p99 = statistics.quantiles(samples, n=100, method="exclusive")[98]
    return [statistics.fmean(samples), min(samples), max(samples), statistics.median(samples), p90, p95, p99]


def agree(own, expected, relative):
    if math.isnan(expected):
        return math.isnan(own)
    return math.isclose(own, expected, rel_tol=relative, abs_tol=1e-9)


checked = wrong = 0
for line in open(sys.argv[1], encoding="ascii"):
    told, _, listed = line.partition(":")
    relative, count, *own = [float.fromhex(word) for word in told.split()]
    samples = [float.fromhex(word) for word in listed.split()]
    expected = figures_of(samples)
    slack = [1e-9] * 3 + [max(relative, 1e-9)] * 4
    checked += 1
    if count != len(samples) or not all(map(agree, own, expected, slack)):
        wrong += 1
        print(f"{len(samples)} samples: {own} instead of {expected}")
print(f"checked {checked}, wrong {wrong}")
