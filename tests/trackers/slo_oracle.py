"""Each line: total, errors, target in ppm; then the status that the library made of them."""
import math
import sys
from fractions import Fraction


def near(given, exact):
    return math.isclose(given, exact, rel_tol=1e-15 * 4, abs_tol=0.0)


def right(fields):
    total, errors, target = (int(field) for field in fields[:3])
    budget, consumed, remaining, violated = (int(field) for field in fields[3:7])
    percentage, error_rate, success_rate, burn = (float.fromhex(field) for field in fields[7:])
    errors = min(errors, total)
    target = min(target, 1000000)
    allowed_share = 1 - Fraction(target, 1000000)
    exact_budget = math.floor(total * allowed_share)
    exact_remaining = max(0, exact_budget - errors)
    rate = Fraction(errors, total) if total else Fraction(0)
    if errors == 0:
        exact_burn = 0
    elif allowed_share == 0:
        exact_burn = math.inf
    else:
        exact_burn = rate / allowed_share
    return (
        (budget, consumed, remaining) == (exact_budget, errors, exact_remaining)
        and bool(violated) == (rate > allowed_share)
        and near(percentage, Fraction(100 * exact_remaining, exact_budget) if exact_budget else 100)
        and near(error_rate, rate)
        and near(success_rate, 1 - rate)
        and near(burn, exact_burn)
    )


checked = wrong = 0
with open(sys.argv[1], encoding="ascii") as cases:
    for line in cases:
        checked += 1
        if not right(line.split()):
            wrong += 1
            if wrong <= 10:
                print("wrong:", line.rstrip())
print(f"checked {checked}, wrong {wrong}")
