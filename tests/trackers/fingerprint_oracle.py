"""Each line, in hex but for the last: type, endpoint, message, normalized message, fingerprint. Works the last two out
again by the letter of the definition: four replacements one after another, then the cut."""
import hashlib
import re
import sys

sys.dont_write_bytecode = True
import code_points

REPLACEMENTS = [
    (re.compile(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"), b"<UUID>"),
    (re.compile(rb"req-[a-zA-Z0-9]+"), b"<REQUEST_ID>"),
    (re.compile(rb"0x[0-9a-fA-F]+"), b"<ADDR>"),
    (re.compile(rb"[0-9]+"), b"<NUM>"),
]


def cut(text):
    """Where the bytes are UTF-8, Python's own notion of a code point decides."""
    try:
        by_python = text.decode()[:200].encode()
    except UnicodeDecodeError:
        return code_points.cut(text)
    assert by_python == code_points.cut(text)
    return by_python


checked = wrong = 0
with open(sys.argv[1], encoding="ascii") as cases:
    for line in cases:
        *fields, fingerprint = line.rstrip("\n").split(" ")
        kind, endpoint, message, normalized = (bytes.fromhex(field) for field in fields)
        expected = message
        for pattern, token in REPLACEMENTS:
            expected = pattern.sub(token, expected)
        expected = cut(expected)
        digest = hashlib.sha256(kind + b":" + endpoint + b":" + expected).hexdigest()[:8]
        checked += 1
        if normalized != expected or fingerprint != digest:
            wrong += 1
            if wrong <= 10:
                print(f"{message!r}: {normalized!r} {fingerprint}, not {expected!r} {digest}")
print(f"checked {checked}, wrong {wrong}")
