"""Each line: the hashed bytes in hex, then the digests in hex that must be the first 8 digits of their SHA-256."""
import hashlib
import sys

checked = wrong = 0
with open(sys.argv[1], encoding="ascii") as cases:
    for line in cases:
        text, *digests = line.rstrip("\n").split(" ")
        expected = hashlib.sha256(bytes.fromhex(text)).hexdigest()[:8]
        checked += 1
        if not digests or any(digest != expected for digest in digests):
            wrong += 1
            print(f"{text[:200]}: {digests}, not {expected}")
print(f"checked {checked}, wrong {wrong}")
