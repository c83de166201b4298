"""Each line, in hex: message, normalized message. Works the latter out again with one regular expression of all rules,
and Python's own notion of an IPv6 address."""
import re
import socket
import sys

sys.dont_write_bytecode = True
import code_points

ALNUM = rb"[0-9A-Za-z]"
HEX = rb"[0-9a-fA-F]"
UNIT = rb"(?:ns|us|\xc2\xb5s|\xce\xbcs|ms|s|m|h)"
WORD = (
    rb"(?:d|days?|hrs?|hours?|mins?|minutes?|secs?|seconds?|milliseconds?|microseconds?|nanoseconds?|ns|us|\xc2\xb5s"
    rb"|\xce\xbcs|ms|s|m|h)"
)
# Groups are not possessive: such ones fail here and there in the Python of Debian 12. It makes no difference: what may
# follow them never begins with what they would give back.
NUMBER = rb"[0-9]++(?:\.[0-9]++)?"
RULES = [
    (b"QUOTED", rb'"[^"\n\0]*"|`[^`\n\0]*`|(?<![0-9A-Za-z])' + rb"'[^'\n\0]*'(?![0-9A-Za-z])"),
    (
        b"URL",
        rb"(?<![0-9A-Za-z+.-])[A-Za-z][0-9A-Za-z+.-]{1,15}+://[^\x00-\x20\"'`<>]*[^\x00-\x20\"'`<>.,;:!?)\]}]",
    ),
    (
        b"EMAIL",
        rb"(?<![0-9A-Za-z._%+-])[0-9A-Za-z._%+-]{1,64}+@[0-9A-Za-z-]{1,63}+(?:\.[0-9A-Za-z-]{1,63}+)+",
    ),
    (b"UUID", HEX + rb"{8}-" + HEX + rb"{4}-" + HEX + rb"{4}-" + HEX + rb"{4}-" + HEX + rb"{12}"),
    (b"REQUEST_ID", rb"req-[0-9A-Za-z]+"),
    (
        b"DATE",
        rb"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])"
        rb"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    ),
    (b"TIME", rb"(?<![0-9:])[0-9]{2}:[0-9]{2}:[0-9]{2}(?![0-9:])(?:[.,][0-9]+)?"),
    (b"IP6", rb"(?<![0-9A-Za-z:.])[0-9a-fA-F:][0-9a-fA-F:.]{0,44}(?![0-9A-Za-z:.])"),
    (b"IP", rb"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9])(?!\.[0-9])"),
    (b"HASH", rb"(?<![0-9A-Za-z])(?=[0-9]*[a-fA-F])" + HEX + rb"{16,}+(?![0-9A-Za-z])"),
    (b"ADDR", rb"0x" + HEX + rb"+"),
    (
        b"DURATION",
        rb"(?<![0-9A-Za-z._])" + NUMBER + rb"(?:" + UNIT + rb"(?=[0-9])" + NUMBER + rb")* ?" + WORD + rb"(?![0-9A-Za-z_])",
    ),
    (b"NUM", rb"[0-9]+"),
]
PATTERNS = [(name, re.compile(rule)) for name, rule in RULES]


def ipv6_end(candidate):
    """How much of a candidate is an address; 0 = nothing."""
    text = candidate.rstrip(b".")
    if text.endswith(b":") and not text.endswith(b"::") and len(text) > 1:
        text = text[:-1]
    if b":" not in text or not re.search(HEX, candidate):
        return 0
    try:
        socket.inet_pton(socket.AF_INET6, text.decode())
    except OSError:
        return 0
    return len(text)


def match_at(message, at):
    for name, pattern in PATTERNS:
        match = pattern.match(message, at)
        if not match:
            continue
        if name == b"IP6":
            length = ipv6_end(match.group())
            if length:
                return b"<IP>", at + length
            continue
        return b"<" + name + b">", match.end()
    return None


def normalize(message):
    result, at = bytearray(), 0
    while at < len(message):
        found = match_at(message, at)
        if found:
            result += found[0]
            at = found[1]
        else:
            result.append(message[at])
            at += 1
    return code_points.cut(bytes(result))


checked = wrong = 0
with open(sys.argv[1], encoding="ascii") as cases:
    for line in cases:
        message, normalized = (bytes.fromhex(field) for field in line.rstrip("\n").split(" "))
        checked += 1
        expected = normalize(message)
        if normalized != expected:
            wrong += 1
            if wrong <= 10:
                print(f"{message!r}: {normalized!r}, not {expected!r}")
print(f"checked {checked}, wrong {wrong}")
