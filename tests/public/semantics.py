#!/usr/bin/env python3
"""semantics.py SOURCE: each definition of docs/semantics.md is cited by a test, each citation has a definition, and each
figure of the snapshots and of the Prometheus pages is named there."""
import pathlib
import re
import sys

source = pathlib.Path(sys.argv[1])
text = (source / "docs/semantics.md").read_text()
anchors = re.findall(r'<a id="([a-z_.]+)"></a>', text)
cited = set()
for test in (source / "tests").rglob("test_*.c"):
    for list_ in re.findall(r"/\* semantics: ([a-z_. ]+) \*/\nTest\(", test.read_text()):
        cited.update(list_.split())
wrong = [f"{name}: defined twice" for name in set(anchors) if anchors.count(name) > 1]
wrong += [f"{name}: no test cites it" for name in anchors if name not in cited]
wrong += [f"{name}: cited by a test, and not defined" for name in sorted(cited - set(anchors))]

STRUCTS = """streaming_snapshot streaming_model stream_info errors_snapshot slo_status error_pattern cost_snapshot cost_sum
budget_status budgets_snapshot traffic model requests_snapshot models_snapshot inference_figures inference_worker inference_level
inference_snapshot kvcache_figures kvcache_snapshot distribution""".split()
# What names, counts or lists rows is no figure.
ASIDE = re.compile(r".*_count|rows|slo|slos|slo_of_all|all|models|endpoints|workers|worker|model|endpoint|name|reason|type|normalized|"
                   r"request_ids|has_more_\w+|\w+_full|operation_name|provider_name|findings_\w+|p9[059]")
headers = "".join(path.read_text() for path in sorted((source / "include/tallybus").glob("*.h")))
named = set(re.findall(r"`([a-z0-9_]+)`", text))
figures = 0
for struct in STRUCTS:
    body = re.search(rf"typedef struct tbus_{struct} {{\n(.*?)\n}} tbus_{struct}_t;", headers, re.S).group(1)
    for declaration in re.sub(r"/\*.*?\*/", "", body, flags=re.S).split(";"):
        for name in re.findall(r"(\w+)(?:\[\w+\])*(?=,|$)", declaration.strip()):
            figures += 1
            if name not in named and not ASIDE.fullmatch(name):
                wrong.append(f"tbus_{struct}_t.{name}: not in docs/semantics.md")

# A metric is named there as such, or by the member that it shows.
UNITS = [(f"_{figure}_seconds", "_ms") for figure in ("average", "min", "max")]
UNITS += [("_milliseconds", "_ms"), ("_seconds", "_ms"), ("_usd", ""), ("_ratio", ""), ("_ratio", "_rate"), ("_total", ""), ("", "")]
metrics = set()
for page in (source / "exporters").glob("prometheus*.c"):
    for tracker, rest in re.findall(r'"(streaming|error|cost_budget|cost|request|model|inference|kvcache)_([a-z0-9_]+)"',
                                    page.read_text()):
        metrics.add(f"{tracker}_{rest}")
        stem = re.sub(r"_by_[a-z]+", "", rest)
        names = {f"{tracker}_{stem}", f"{tracker}_{rest}"}
        names |= {stem.removesuffix(unit) + short for unit, short in UNITS if stem.endswith(unit)}
        if not names & named:
            wrong.append(f"{tracker}_{rest}: not in docs/semantics.md")

assert len(metrics) > 50, metrics
assert len(anchors) > 40 and figures > 100, (len(anchors), figures)
print("\n".join(wrong))
sys.exit(bool(wrong))
