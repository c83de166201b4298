"""Works out each line of a case file again with decimal arithmetic: see tests/oracle.h.

Lines: operation, arguments, "=", result, separated by blanks; amounts are whole numbers of 1e-12 USD.
"""
import sys
from decimal import Context, Decimal, InvalidOperation, ROUND_HALF_UP, setcontext
from fractions import Fraction

# Wide enough for every case that the test makes up, so that nothing is rounded on the way.
setcontext(Context(prec=400, Emax=10**9, Emin=-(10**9), rounding=ROUND_HALF_UP))

HIGHEST, LOWEST = 2**127 - 1, -(2**127)
UNIT = Decimal(10) ** 12


def fit(units):
    return str(units) if LOWEST <= units <= HIGHEST else "overflow"


def parse(text):
    # decimal takes names, blanks and underscores as well, money does not
    if set(text) - set("0123456789+-.eE"):
        return "invalid"
    try:
        units = Decimal(text) * UNIT
    except InvalidOperation:
        return "invalid"
    if units != units.to_integral_value():
        return "range"
    return fit(int(units))


def show(units, decimals):
    amount = Decimal(units) / UNIT
    if decimals >= 0:
        text = f"{amount.quantize(Decimal(1).scaleb(-decimals)):f}"
    else:
        text = f"{amount:f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    # no minus in front of a zero
    return text.lstrip("-") if Decimal(text) == 0 else text


def halve(units):
    return int((Decimal(units) / 2).to_integral_value(rounding="ROUND_UP" if units % 2 else None))


def answer(operation, arguments):
    if operation == "parse":
        return parse(arguments[0])
    numbers = [int(argument) for argument in arguments]
    if operation == "format":
        return show(*numbers)
    if operation == "add":
        return fit(numbers[0] + numbers[1])
    if operation == "subtract":
        return fit(numbers[0] - numbers[1])
    if operation == "multiply":
        return fit(numbers[0] * numbers[1])
    if operation == "halve":
        return str(halve(numbers[0]))
    if operation == "compare":
        return str((numbers[0] > numbers[1]) - (numbers[0] < numbers[1]))
    if operation == "double":
        return float(Fraction(numbers[0], 10**12)).hex()
    raise ValueError(operation)


checked = wrong = 0
for line in open(sys.argv[1], encoding="ascii"):
    *question, _, result = line.split()
    expected = answer(question[0], question[1:])
    if question[0] == "double":
        result = float.fromhex(result).hex()
    checked += 1
    if result != expected:
        wrong += 1
        if wrong <= 10:
            print(f"{' '.join(question)}: {result} should be {expected}")
print(f"checked {checked}, wrong {wrong}")
