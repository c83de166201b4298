"""Has a real Prometheus scrape a server and asks it for every series: prometheus_server.py PORT DIRECTORY

What its API answers must be what the page says. The process's own figures and the bus's go on meanwhile: of them only the
names are compared.
"""
import contextlib
import http.client
import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from prometheus_check import families_of  # noqa: E402

PATIENCE_S = 120
# A scrape that takes longer than its time makes all series stale until the next one.
CONFIG = """
global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 500ms}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: tallybus
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def query(port, expression):
    """What is found at this moment: nothing where the last scrape failed."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url, timeout=60) as reply:
        return json.load(reply)["data"]["result"]


def wait_until_up(server, own_port, port):
    """False: the Prometheus ended. Another one that has its port does not scrape this server."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if server.poll() is not None:
            return False
        try:
            if any(float(series["value"][1]) == 1 for series in query(own_port, f'up{{instance="127.0.0.1:{port}"}}')):
                return True
        except (OSError, http.client.HTTPException, ValueError):
            pass
        time.sleep(0.1)
    raise AssertionError("prometheus has not scraped the server")


def unescaped(value):
    return value.replace("\\\\", "\0").replace('\\"', '"').replace("\\n", "\n").replace("\0", "\\")


class Missing(AssertionError):
    """A series that is not there, which may be so for a moment: see query()."""


def compare(page, results):
    found = {}
    for series in results:
        labels = {k: v for k, v in series["metric"].items() if k not in ("__name__", "job", "instance") and v != ""}
        found[(series["metric"]["__name__"], tuple(sorted(labels.items())))] = float(series["value"][1])
    compared = 0
    for name, (_, _, samples) in families_of(page, True).items():
        for (sample, labels), number in samples.items():
            if sample.endswith("_created"):
                continue
            key = (sample, tuple(sorted((k, unescaped(v)) for k, v in labels if v != "")))
            if key not in found:
                raise Missing(f"{key} is missing")
            if name.startswith(("process_", "tallybus_bus_")):
                continue
            number, got = float(number), found[key]
            assert number == got or (math.isnan(number) and math.isnan(got)), f"{key}: {number}, and {got}"
            compared += 1
    return compared


def start(config, directory, own_port):
    with open(os.path.join(directory, "prometheus.log"), "wb") as log:
        return subprocess.Popen(
            [
                "prometheus",
                "--config.file=" + config,
                "--storage.tsdb.path=" + os.path.join(directory, "data"),
                f"--web.listen-address=127.0.0.1:{own_port}",
            ],
            stdout=log,
            stderr=log,
        )


def stop(server):
    server.kill()
    server.wait()


def port_was_taken(directory):
    with open(os.path.join(directory, "prometheus.log"), encoding="utf-8", errors="replace") as log:
        return "address already in use" in log.read()


@contextlib.contextmanager
def scraping(port, directory):
    """A Prometheus that has scraped the server at a port, and knows the rules; gives its own port."""
    rules = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/prometheus/rules.yml")
    config = os.path.join(directory, "prometheus.yml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(port=port, rules=os.path.normpath(rules)))
    with contextlib.ExitStack() as started:
        while True:
            own_port = free_port()
            server = start(config, directory, own_port)
            started.callback(stop, server)
            if wait_until_up(server, own_port, port):
                break
            assert port_was_taken(directory), "prometheus ended"
        yield own_port


def rules_of(port):
    """Each rule's name and health."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/rules", timeout=60) as reply:
        groups = json.load(reply)["data"]["groups"]
    return [(rule["name"], rule["health"]) for group in groups for rule in group["rules"]]


def compare_all(page, own_port):
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return compare(page, query(own_port, '{job="tallybus"}'))
        except Missing:
            if time.monotonic() >= end:
                raise
        time.sleep(0.1)


def main():
    port, directory = int(sys.argv[1]), sys.argv[2]
    with scraping(port, directory) as own_port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            page = reply.read().decode()
        print(f"{compare_all(page, own_port)} series agree")


if __name__ == "__main__":
    main()
