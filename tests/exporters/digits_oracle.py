"""Each line: a double in hexadecimal, and its digits. They must be those of repr(), which are the fewest that give the
number back, and of those the nearest to it. Of a power of two, whose neighbours lie at different distances, there may be
one digit more; numbers that are written with an exponent have the C library's 15, 16 or 17."""
import sys
from decimal import Decimal

checked = wrong = 0
for line in open(sys.argv[1]):
    image, digits = line.split()
    number = float.fromhex(image)
    good = float(digits) == number
    if 1e-4 <= abs(number) < 1e15:
        fewest = Decimal(repr(number))
        if number.hex().split("p")[0].lstrip("-") == "0x1.0000000000000":
            good = good and len(Decimal(digits).as_tuple().digits) <= len(fewest.as_tuple().digits) + 1
        else:
            good = good and Decimal(digits) == fewest
    if not good:
        wrong += 1
        print(f"{image}: {digits}, not {number!r}")
    checked += 1
print(f"checked {checked}, wrong {wrong}")
