"""Looks at page.txt and page.om, the same page in both formats: prometheus_check.py same|parse|promtool DIRECTORY

same      plain readers of both formats find the same families, series and numbers, and each family and series once
parse     the strict parsers of python3-prometheus-client take both, with the same samples
promtool  `promtool check metrics` complains of nothing but of names that are specified as they are
"""
import decimal
import math
import re
import subprocess
import sys

# What is known, and why it stays: the names are specified, and users' queries rest on them.
KNOWN = [
    (r'counter metrics should have "_total" suffix', "specified without, as streaming_total_streams; OpenMetrics has it"),
    (r'non-counter metrics should not have "_total" suffix', "cost_tokens_total falls when an estimate is replaced"),
    (r'use base unit "seconds" instead of "milliseconds"', "specified in milliseconds"),
    (r'non-histogram and non-summary metrics should not have "_count" suffix', "error_pattern_count is a number of things"),
]
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
    return len(text_numbers)


def promtool(directory):
    with open(directory + "/page.txt", "rb") as page:
        run = subprocess.run(["promtool", "check", "metrics"], stdin=page, capture_output=True, text=True)
    complaints = (run.stdout + run.stderr).splitlines()
    unknown = [c for c in complaints if not any(re.search(known, c) for known, _ in KNOWN)]
    assert not unknown, "\n".join(unknown)
    assert run.returncode in (0, 3), f"{run.returncode}"  # 3: only complaints
    return len(complaints)


def main():
    what, directory = sys.argv[1:]
    if what == "same":
        text = families_of(read(directory + "/page.txt"), False)
        metrics = families_of(read(directory + "/page.om"), True)
        print(f"{compare(text, metrics)} samples of {len(text)} families agree")
    elif what == "parse":
        print(f"{parse(directory)} samples taken")
    else:
        print(f"{promtool(directory)} complaints, all known")


if __name__ == "__main__":
    main()
