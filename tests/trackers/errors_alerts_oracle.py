"""What a tracker was told and what it found out, line by line; works out what it should have found with fractions and
sums over all requests.

o TARGET_PPM COMPLIANCE_S REQUESTS_MIN     begins a tracker
t ENDPOINT TARGET_PPM                      a target of an endpoint's own
r TIME_NS FAILED ENDPOINT                  a request
v TIME_NS                                  alerts are looked at
f KIND ALERT ALL ENDPOINT TIME_NS FACTOR BURN   found out by the line before: kind 2 = entered, 3 = left; ALL 1: in all
"""
import math
import sys
from collections import defaultdict
from fractions import Fraction

SECOND = 10**9
DAY = 86400
# seconds, and the slices that they are told by
M5, M30, H1, H2, H6, D1, D3 = (300, 10), (1800, 60), (3600, 60), (7200, 60), (21600, 900), (DAY, 900), (3 * DAY, 900)
# long window, short window, share of the budget that is burnt in the long window
RULES = [
    (H1, M5, Fraction(2, 100)),
    (H6, M30, Fraction(5, 100)),
    (D1, H2, Fraction(10, 100)),
    (D3, H6, Fraction(10, 100)),
]


class Series:
    def __init__(self, target):
        self.allowed = 1 - Fraction(target, 1000000)
        self.slices = {10: defaultdict(lambda: [0, 0]), 60: defaultdict(lambda: [0, 0]), 900: defaultdict(lambda: [0, 0])}
        self.active = [False] * len(RULES)

    def add(self, time, failed):
        for length, slices in self.slices.items():
            place = slices[time // (length * SECOND)]
            place[0] += 1
            place[1] += failed

    def sums(self, window, now):
        length, slice_s = window
        slices, last = self.slices[slice_s], now // (slice_s * SECOND)
        requests = errors = 0
        for number in range(last - length // slice_s, last + 1):
            if number in slices:
                requests += slices[number][0]
                errors += slices[number][1]
        return requests, errors

    def burn(self, window, now):
        requests, errors = self.sums(window, now)
        if errors == 0:
            return Fraction(0)
        return Fraction(errors, requests) / self.allowed if self.allowed else math.inf

    def look(self, now, compliance, least):
        found = []
        for alert, (long, short, share) in enumerate(RULES):
            factor = share * compliance / long[0]
            burn = self.burn(long, now)
            on = burn > factor and self.burn(short, now) > factor and self.sums(long, now)[0] >= least
            if on != self.active[alert]:
                self.active[alert] = on
                found.append((2 if on else 3, alert, factor, burn))
        return found


class Tracker:
    def __init__(self, target, compliance, least):
        self.target, self.compliance, self.least = target, compliance, least
        self.all = Series(target)
        self.endpoints = {}
        self.looked = self.latest = None

    def endpoint(self, name, target=None):
        if name not in self.endpoints:
            self.endpoints[name] = Series(self.target if target is None else target)
        return self.endpoints[name]

    def look(self, now):
        self.looked = now = now if self.looked is None else max(now, self.looked)
        found = [(k, a, 1, "-", now, f, b) for k, a, f, b in self.all.look(now, self.compliance, self.least)]
        for name, series in self.endpoints.items():
            found += [(k, a, 0, name, now, f, b) for k, a, f, b in series.look(now, self.compliance, self.least)]
        return found

    def request(self, time, failed, endpoint):
        new = self.latest is None or time // (10 * SECOND) > self.latest // (10 * SECOND)
        self.latest = time if self.latest is None else max(time, self.latest)
        self.all.add(time, failed)
        self.endpoint(endpoint).add(time, failed)
        return self.look(time) if new else []


def same(given, expected):
    return given[:5] == expected[:5] and all(
        a == b or (b != math.inf and math.isclose(a, b, rel_tol=1e-12)) for a, b in zip(given[5:], expected[5:])
    )


checked = wrong = 0
tracker, waiting = None, []
with open(sys.argv[1], encoding="ascii") as cases:
    for line in cases:
        checked += 1
        kind, *words = line.split()
        if kind == "f":
            given = (int(words[0]), int(words[1]), int(words[2]), words[3], int(words[4]), *map(float, words[5:]))
            match = next((found for found in waiting if same(given, found)), None)
            if match is None:
                wrong += 1
                print("not to be found:", line.rstrip(), [f[:5] for f in waiting])
            else:
                waiting.remove(match)
            continue
        if waiting:
            wrong += len(waiting)
            print("not found before line", checked, waiting)
        if kind == "o":
            tracker, waiting = Tracker(*map(int, words)), []
        elif kind == "t":
            tracker.endpoint(words[0], int(words[1]))
        elif kind == "r":
            waiting = tracker.request(int(words[0]), int(words[1]), words[2])
        elif kind == "v":
            now = int(words[0])
            waiting = tracker.look(now if tracker.latest is None else max(now, tracker.latest))
if waiting:
    wrong += len(waiting)
    print("not found at the end", waiting)
print(f"checked {checked}, wrong {wrong}")
