#!/usr/bin/env python3
"""check_reference.py HTML: the reference has every function of the headers with what its comment says, and every field of
every options struct with what is said of it."""
import html
import pathlib
import re
import sys

PAGES = pathlib.Path(sys.argv[1])
HEADERS = pathlib.Path(__file__).parent.parent / "include"
wrong = []


def words(text):
    return re.sub(r"[^a-zA-Z0-9]+", " ", text).strip()


def page(name):
    escaped = name.replace("_", "__").replace("/", "_2").replace(".", "_8")
    for path in (PAGES / f"{escaped}.html", PAGES / f"{escaped.removeprefix('tallybus_2')}.html"):
        if path.exists():
            return words(html.unescape(re.sub("<[^>]*>", " ", path.read_text())))
    wrong.append(f"there is no page {escaped}.html")
    return ""


def expect(shown, what, text, name):
    beginning = " ".join(words(text).split()[:6])
    if words(name) not in shown or beginning not in shown:
        wrong.append(f"{what}: not shown, or not with '{beginning}'")


functions = fields = 0
for header in sorted(HEADERS.rglob("*.h")):
    source = header.read_text()
    shown = page(header.relative_to(HEADERS).as_posix())
    for comment, name in re.findall(r"/\*((?:(?!\*/).)*)\*/\nTBUS_API [^;]*?\b(tbus_\w+)\(", source, re.S):
        functions += 1
        expect(shown, f"{header.name}: {name}()", comment, name)
    for struct, body in re.findall(r"typedef struct (\w+_options) \{\n(.*?)\n\} ", source, re.S):
        shown_struct = page(f"struct{struct}_t")
        for name, comment in re.findall(r"\b(\w+); +/\*((?:(?!\*/).)*)\*/", body, re.S):
            fields += 1
            expect(shown_struct, f"{struct}.{name}", comment, name)

assert functions > 100 and fields > 40, (functions, fields)
print("\n".join(wrong) or f"{functions} functions and {fields} fields are shown with what is said of them")
sys.exit(bool(wrong))
