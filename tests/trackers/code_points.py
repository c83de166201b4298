"""Where a normalized message ends."""


def cut(text):
    """The first 200 code points of any bytes: a continuation byte counts only where it continues nothing."""
    points = wanted = 0
    for at, byte in enumerate(text):
        if byte & 0xC0 == 0x80 and wanted > 0:
            wanted -= 1
            continue
        if points == 200:
            return text[:at]
        points += 1
        wanted = 3 if 0xF0 <= byte <= 0xF7 else 2 if 0xE0 <= byte <= 0xEF else 1 if 0xC0 <= byte <= 0xDF else 0
    return text
