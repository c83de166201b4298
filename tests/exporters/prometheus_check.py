"""Looks at page.txt and page.om, the same page in both formats: prometheus_check.py same|parse|promtool DIRECTORY

same      plain readers of both formats find the same families, series and numbers, and each family and series once
parse     the strict parsers of python3-prometheus-client take both, with the same samples
promtool  `promtool check metrics` complains of nothing but of names that are specified as they are
listed    docs/metrics.md lists the families of page.txt; with TBUS_RENEW=1 in the environment it is written anew
"""
import decimal
import math
import os
import re
import subprocess
import sys

# What is known, and stays because the names are specified, and users' queries rest on them. Others follow the conventions.
NO_TOTAL = 'counter metrics should have "_total" suffix'
MILLISECONDS = 'use base unit "seconds" instead of "milliseconds"'
KNOWN = {
    "streaming_total_streams": NO_TOTAL,
    "streaming_completed_streams": NO_TOTAL,
    "streaming_failed_streams": NO_TOTAL,
    "streaming_total_tokens": NO_TOTAL,
    "streaming_backpressure_events": NO_TOTAL,
    "streaming_streams_by_model": NO_TOTAL,
    "streaming_tokens_by_model": NO_TOTAL,
    "streaming_ttft_milliseconds": MILLISECONDS,
    "streaming_itl_milliseconds": MILLISECONDS,
    "streaming_duration_milliseconds": MILLISECONDS,
    "error_total_requests": NO_TOTAL,
    "error_total_errors": NO_TOTAL,
    "error_by_endpoint": NO_TOTAL,
    "error_by_type": NO_TOTAL,
    "error_by_status": NO_TOTAL,
    "error_pattern_count": 'non-histogram and non-summary metrics should not have "_count" suffix',
    "cost_tokens_total": 'non-counter metrics should not have "_total" suffix',  # falls when an estimate is replaced
}
WORDS = {"counter": ["_total", "_created"], "histogram": ["_bucket", "_sum", "_count", "_created"]}
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$", re.S)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:  # strict: broken UTF-8 is an error
        return file.read()


def labels_of(text):
    labels, at = [], 0
    while text and at < len(text):
        match = LABEL.match(text, at)
        assert match, text
        labels.append((match.group(1), match.group(2)))
        at = match.end()
    assert len({name for name, _ in labels}) == len(labels), text
    return tuple(labels)


def families_of(page, is_open):
    """{family: (type, help, {(sample name, labels): number})}, by the order of metadata that each format has."""
    families, name, begun = {}, None, {}
    lines = page.split("\n")
    assert lines.pop() == "", "the last line is not ended"
    if is_open:
        assert lines.pop() == "# EOF"
    for line in lines:
        assert line, "an empty line"
        if line.startswith("# "):
            _, keyword, family, value = line.split(" ", 3)
            order = ["TYPE", "UNIT", "HELP"] if is_open else ["HELP", "TYPE"]
            if keyword == order[0]:
                assert family not in families, f"{family} twice"
                name, begun = family, {}
                families[name] = [None, None, {}]
            assert family == name and keyword in order and keyword not in begun, line
            assert all(order.index(other) < order.index(keyword) for other in begun), line
            begun[keyword] = value
            if keyword == "UNIT":
                assert name.endswith("_" + value), line
            families[name][0] = begun.get("TYPE")
            families[name][1] = begun.get("HELP")
            continue
        match = SAMPLE.match(line)
        assert match, line
        sample, labels, number = match.group(1), labels_of(match.group(2)), match.group(3)
        kind = families[name][0]
        allowed = [name + word for word in WORDS.get(kind, [""])] if is_open or kind == "histogram" else [name]
        assert sample in allowed, f"{sample} below {name}, a {kind}"
        key = (sample, labels)
        assert key not in families[name][2], f"{line} twice"
        families[name][2][key] = number
    return families


def same_number(a, b):
    a, b = float(a), float(b)
    return a == b or (math.isnan(a) and math.isnan(b))


def canonical(bound):
    """A bound as OpenMetrics wants it: as Go's %g, with a point where there is no exponent."""
    if bound == "+Inf":
        return bound
    sign, digits, exponent = decimal.Decimal(repr(float(bound))).normalize().as_tuple()
    exponent += len(digits) - 1
    if digits != (0,) and not -4 <= exponent < 6:
        digits = "".join(map(str, digits))
        return "-" * sign + digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{exponent:+03d}"
    return repr(float(bound))


def compare(text, metrics):
    samples = 0
    for name, (kind, told, series) in text.items():
        other = name[: -len("_total")] if kind == "counter" and name.endswith("_total") else name
        assert other in metrics, f"{other} is missing"
        assert metrics[other][:2] == [kind, told], other
        found = {key: number for key, number in metrics[other][2].items() if not key[0].endswith("_created")}
        assert len(found) == len(series), other
        for (sample, labels), number in series.items():
            if kind == "counter":
                sample = other + "_total"
                assert float(number) >= 0
            if sample.endswith("_bucket"):
                bound = labels[-1][1]
                assert labels[-1][0] == "le"
                labels = labels[:-1] + (("le", canonical(bound)),)
            assert same_number(found[(sample, labels)], number), f"{sample}{labels}"
            samples += 1
    assert len(text) == len(metrics)
    return samples


def check_created(families):
    """Each series of a counter or a histogram tells since when it counts."""
    checked = 0
    for family in families:
        if family.type not in ("counter", "histogram"):
            continue
        series = {tuple(sorted((k, v) for k, v in s.labels.items() if k != "le")): s.value * 0 for s in family.samples}
        created = {tuple(sorted(s.labels.items())): s.value for s in family.samples if s.name == family.name + "_created"}
        assert series.keys() == created.keys() and all(at > 0 for at in created.values()), family.name
        checked += len(created)
    assert checked > 0


def parse(directory):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
    from prometheus_client.parser import text_string_to_metric_families as parse_text

    text = list(parse_text(read(directory + "/page.txt")))
    metrics = list(parse_open(read(directory + "/page.om")))
    text_numbers = sorted(repr(float(s.value)) for f in text for s in f.samples)
    open_numbers = sorted(repr(float(s.value)) for f in metrics for s in f.samples if not s.name.endswith("_created"))
    assert text_numbers == open_numbers
    text_labels = sorted(sorted(s.labels.items()) for f in text for s in f.samples if "le" not in s.labels)
    open_labels = sorted(
        sorted(s.labels.items())
        for f in metrics
        for s in f.samples
        if "le" not in s.labels and not s.name.endswith("_created")
    )
    assert text_labels == open_labels
    for page in (metrics, parse_open(read(directory + "/process.om"))):
        check_created(page)
    assert sorted(f.name for f in parse_text(read(directory + "/process.txt"))) == [
        "process_cpu_seconds", "process_max_fds", "process_open_fds", "process_resident_memory_bytes",
        "process_start_time_seconds", "process_virtual_memory_bytes"]
    return len(text_numbers)


def promtool(directory):
    with open(directory + "/page.txt", "rb") as page:
        run = subprocess.run(["promtool", "check", "metrics"], stdin=page, capture_output=True, text=True)
    complaints = (run.stdout + run.stderr).splitlines()
    samples = {re.match("[a-z_]*", line).group() for line in read(directory + "/page.txt").splitlines()}
    wanted = [f"{name} {complaint}" for name, complaint in KNOWN.items() if name in samples]
    assert sorted(complaints) == sorted(wanted), "\n".join(sorted(set(complaints) ^ set(wanted)))
    assert run.returncode in (0, 3), f"{run.returncode}"  # 3: only complaints
    return len(complaints)


SECTIONS = {
    "tallybus_bus_": "The bus", "streaming_": "Streams", "gen_ai_": "Streams, under OpenTelemetry's names", "error_": "Errors and SLO",
    "cost_budget_": "Budgets", "cost_": "Cost", "request_": "Requests", "model_": "Models", "inference_": "Inference",
    "kvcache_": "KV cache", "process_": "The process",
}
LISTED = """# Metrics

Each family of a page, as Prometheus text has it. Prometheus scrapes OpenMetrics where it may, and there each counter ends in
`_total`: the counters here that do not are called `..._total` then. What the figures mean is told in [semantics.md](semantics.md).
Families without series are told all the same, so that a query knows them; `streaming_goodput_ratio` is
there once a limit is set, `tallybus_bus_latency_seconds` once there are samples, `tallybus_bus_loop_cpu_seconds_total` where the loop is
the bus's own, and of the process what the system tells.
"""


def listed(directory):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/metrics.md")
    wanted, section = LISTED, None
    for family, (kind, help_text, series) in families_of(read(directory + "/page.txt"), False).items():
        begun = next(title for prefix, title in SECTIONS.items() if family.startswith(prefix))
        if begun != section:
            wanted += f"\n## {begun}\n\n| name | type | labels | meaning |\n| --- | --- | --- | --- |\n"
            section = begun
        labels = dict.fromkeys(name for _, pairs in series for name, _ in pairs)
        wanted += f"| `{family}` | {kind} | {' '.join(f'`{name}`' for name in labels)} | {help_text} |\n"
    if os.environ.get("TBUS_RENEW"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(wanted)
    assert read(path) == wanted, "docs/metrics.md is not in step: run this test with TBUS_RENEW=1"
    return wanted.count("\n| `")


def main():
    what, directory = sys.argv[1:]
    if what == "same":
        text = families_of(read(directory + "/page.txt"), False)
        metrics = families_of(read(directory + "/page.om"), True)
        print(f"{compare(text, metrics)} samples of {len(text)} families agree")
    elif what == "parse":
        print(f"{parse(directory)} samples taken")
    elif what == "listed":
        print(f"{listed(directory)} families are listed")
    else:
        print(f"{promtool(directory)} complaints, all known")


if __name__ == "__main__":
    main()
