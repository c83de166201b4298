"""Clients of `tallybus demo`, and whether its trackers counted what they saw.

host_oracle.py sdk TOOL DIRECTORY PACKAGES   the OpenAI SDK for Node (installed under PACKAGES), through openai_client.mjs
host_oracle.py plain TOOL DIRECTORY          curl and plain sockets
host_oracle.py keys TOOL DIRECTORY           keys that are refused
host_oracle.py inputs TOOL DIRECTORY         what is to be embedded
host_oracle.py phases TOOL DIRECTORY         how long each took
host_oracle.py hostile TOOL DIRECTORY        what is no HTTP, or no whole request
host_oracle.py faults TOOL DIRECTORY         failures that are played
host_oracle.py live TOOL DIRECTORY           how it is doing, on a terminal and elsewhere
host_oracle.py unwanted TOOL DIRECTORY       bodies that are not taken
host_oracle.py away TOOL DIRECTORY           one that goes away before its answer is made
host_oracle.py slow TOOL DIRECTORY           one that does not read
host_oracle.py many TOOL DIRECTORY           many that do not read, or ask for very much
host_oracle.py end TOOL DIRECTORY SIGNAL     under load until a signal comes
host_oracle.py closing TOOL DIRECTORY        while it finishes what it has
host_oracle.py hurry TOOL DIRECTORY          until a second one comes
host_oracle.py taken TOOL DIRECTORY          another host at the same address
host_oracle.py scraped TOOL DIRECTORY        a Prometheus
host_oracle.py memory TOOL DIRECTORY MODULE  while allocations fail, as the module that is preloaded has it

Costs are computed by decimal from a price file of its own. Says "all good" in the end.
"""
import fcntl
import http.client
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 60  # for anything that is waited for
SLOW = "0.2"  # a pace at which an answer takes long: 140 ms a token of gpt-4-turbo, so that it is under way for 20 s

# Digits that no rounding survives.
PRICES = {
    "gpt-4o": ("2.500000000001e-06", "1.0000000000007e-05", "1.250000000003e-06"),
    "gpt-4o-mini": ("1.50000000011e-07", "6.00000000013e-07", "7.5000000017e-08"),
    "gpt-4-turbo": ("1.0000000000019e-05", "3.0000000000023e-05", None),
    "gpt-3.5-turbo": ("5.00000000029e-07", "1.500000000031e-06", None),
    "o1-mini": ("3.000000000037e-06", "1.2000000000041e-05", None),
    "text-embedding-3-small": ("2.0000000043e-08", "0", None),
}
PRICES = {model: tuple(p if p is None else str(Decimal(p).quantize(Decimal("1e-12"))) for p in prices)
          for model, prices in PRICES.items()}


def expect(condition, *said):
    if not condition:
        raise AssertionError(" ".join(str(word) for word in said))


def same(what, got, wanted):
    expect(got == wanted, f"{what}: got {got}, wanted {wanted}")


def cost(model, usage):
    prompt_price, output_price, cached_price = PRICES[model]
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return ((usage["prompt_tokens"] - cached) * Decimal(prompt_price) +
            cached * Decimal(cached_price or prompt_price) +
            usage.get("completion_tokens", 0) * Decimal(output_price))


class Demo:
    def __init__(self, tool, directory, *options, **environment):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "prices.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write("{" + ",".join(
                f'"{model}": {{"input_cost_per_token": {a}, "output_cost_per_token": {b}' +
                (f', "cache_read_input_token_cost": {c}' if c else "") + "}" for model, (a, b, c) in PRICES.items()) + "}")
        self.process = subprocess.Popen(
            [tool, "demo", "--listen", "0", "--web", "0", "--prices", path, *options],
            stdout=subprocess.PIPE, stderr=open(os.path.join(directory, "stderr"), "w+", encoding="utf-8"), text=True,
            env={**os.environ, **environment})
        self.stderr = os.path.join(directory, "stderr")
        self.api, self.web = self.wait_for(self.addresses)

    def said(self):
        with open(self.stderr, encoding="utf-8") as file:
            return file.read()

    def addresses(self):
        expect(self.process.poll() is None, "the host ended:", self.said())
        found = re.findall(r"serving the \w+ at (http://[\w.:]+/\w+)\b", self.said())
        return (found[0], found[1].removesuffix("/metrics")) if len(found) == 2 else None

    @staticmethod
    def wait_for(look, left=()):
        """Until it finds something; where it does not, what is left to say is said."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            found = look()
            if found:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{look.__name__}: waited for {LIMIT_S} s; {'; '.join(left)}")

    def get(self, path):
        with urllib.request.urlopen(self.web + path, timeout=LIMIT_S) as answer:
            return json.loads(answer.read(), parse_float=Decimal)

    def all_delivered(self):
        bus = self.get("/metrics/bus")
        return bus["delivered"] == bus["published"]

    def settle(self, streams, requests):
        """Waits until so many streams and requests are over and every event is delivered: the bus is asked last, for
        the events that handlers publish."""
        def all_over():
            streaming, of = self.get("/metrics/streaming"), self.get("/metrics/requests")["all"]
            return (streaming["total_streams"] == streams and streaming["active_streams"] == 0 and
                    of["responses"] == requests and self.all_delivered())
        self.wait_for(all_over)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        out, _ = self.process.communicate(timeout=LIMIT_S)
        expect(self.process.returncode == 0, "exit code", self.process.returncode, self.said())
        return out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def check_cost(demo, total, usages, refused):
    """What was refused is told with no tokens and costs nothing."""
    costs = demo.get("/metrics/costs")
    same("cost", Decimal(costs["total_usd"]), total)
    same("requests", costs["requests"], len(usages) + refused)
    same("prompt tokens", costs["prompt_tokens"], sum(u["prompt_tokens"] for _, u in usages))
    same("completion tokens", costs["completion_tokens"], sum(u.get("completion_tokens", 0) for _, u in usages))
    for row in costs["by_model"]:
        same("cost of " + row["name"], Decimal(row["usd"]), sum(cost(m, u) for m, u in usages if m == row["name"]))


def check_hung_up(demo, streams, model, prompt, whole):
    """Each stream, by its id, is billed as far as it went: beyond what its client had seen, and not to the whole answer."""
    demo.settle(len(streams), len(streams))
    usages = []
    for stream, (seen, cached) in streams.items():
        info = demo.get("/metrics/streaming/" + stream)
        same("status of the stream that was hung up on", info["status"], "cancelled")
        expect(seen <= info["tokens"] < whole, info["tokens"], "tokens of", whole, "of the stream that was hung up on")
        usages.append((model, {"prompt_tokens": prompt, "completion_tokens": info["tokens"],
                               "prompt_tokens_details": {"cached_tokens": cached}}))
    check_cost(demo, sum(cost(m, u) for m, u in usages), usages, 0)
    same("cancelled", demo.get("/metrics/streaming")["cancelled_streams"], len(streams))
    same("excluded", demo.get("/metrics/errors")["excluded"], len(streams))


# --- The SDK ---

ERRORS = [
    ("over budget", "RateLimitError", 429, "insufficient_quota"),
    ("unknown key", "AuthenticationError", 401, "invalid_api_key"),
    ("unknown model", "NotFoundError", 404, "model_not_found"),
    ("no model", "NotFoundError", 404, "model_not_found"),
    ("bad request", "BadRequestError", 400, "invalid_request"),
    ("too large", "APIError", 413, "request_too_large"),
    ("internal", "InternalServerError", 500, "internal_error"),
    ("midway", "APIError", None, "upstream_error"),
]


# Milliseconds to the first token that the models take at least, at the pace of these tests.
PACE = 4
LEAST_MS = {"gpt-4o": 180 / PACE, "gpt-4o-mini": 120 / PACE, "gpt-4-turbo": 300 / PACE, "o1-mini": 450 / PACE,
            "gpt-3.5-turbo": 90 / PACE}


def check_ttft(demo, streams):
    """The host's figure begins with the request's headers and ends when the token is made: it is no more than
    the client saw, and no less than the model takes."""
    ways = []
    for stream in streams:
        info = demo.get("/metrics/streaming/" + stream["id"])
        same("tokens of " + stream["id"], info["tokens"], stream["pieces"])
        same("status", info["status"], "completed")
        expect(float(info["ttft_ms"]) >= LEAST_MS[stream["model"]], stream["model"], "answered in", info["ttft_ms"], "ms")
        ways.append(stream["first_ms"] - float(info["ttft_ms"]))
    expect(min(ways) >= 0, "the first tokens came so many ms after they were made:", ways)


def check_phases(demo, model, streams, count):
    """Of a model whose requests were all answered in full: phases lie one behind another within the whole. Where all were
    streams, the gaps between tokens are those that they had."""
    row = next(row for row in demo.get("/metrics/inference")["models"] if row["model"] == model)
    phases = [row[phase] for phase in ("queue_ms", "prefill_ms", "decode_ms", "total_ms")]
    same("phases that were told", [phase["count"] for phase in phases], [count] * 4)
    *parts, total = [float(phase["avg"]) for phase in phases]
    expect(0 < sum(parts) <= total + 1, model, "took", parts, "ms of", total)
    if len(streams) < count:
        return
    gaps = [float(demo.get("/metrics/streaming/" + stream)["itl_avg_ms"]) for stream in streams]
    itl, gap = float(row["itl_ms"]["avg"]), sum(gaps) / len(gaps)
    expect(abs(itl - gap) < gap / 8, "the gaps between tokens were", gap, "ms and not", itl)


def sdk(tool, directory, packages):
    # Enough for one: (1 + 4 + 3) prompt tokens and 5 of the answer.
    once = cost("gpt-4o", {"prompt_tokens": 8, "completion_tokens": 5})
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "4", "--key", "sk-rich",
              "--key", f"sk-poor={once}") as demo, \
         Demo(tool, os.path.join(directory, "slow"), "--load", "0", "--faults", "0", "--pace", SLOW, "--key", "sk-rich") as late:
        out = subprocess.run(["node", os.path.join(HERE, "openai_client.mjs"), packages, demo.api, "sk-rich", "sk-poor",
                              late.api], check=True, stdout=subprocess.PIPE, timeout=3 * LIMIT_S, text=True).stdout
        seen = json.loads(out)
        streams = seen["streams"]
        same("models", "gpt-4o" in seen["models"] and len(seen["models"]) == 7, True)
        same("model", (seen["model"]["id"], seen["model"]["object"]), ("gpt-4o", "model"))
        same("errors", [(e["what"], e["name"], e["status"], e["code"]) for e in seen["errors"]], ERRORS)
        same("streams", len(streams), 24)
        for stream in streams:
            same("pieces", stream["pieces"], stream["usage"]["completion_tokens"])
            expect(stream["text"] and stream["finish"] in ("stop", "length"), stream)
        for request in seen["requests"]:
            same("words", len(request["text"].split()), request["usage"]["completion_tokens"])
        same("finish", sorted(r["finish"] for r in seen["requests"]), ["length", "length", "stop", "stop"])
        pairs = zip(*[[x for vector in e["vectors"] for x in vector] for e in seen["embeddings"]])
        expect(all(abs(a - b) < 1e-7 for a, b in pairs), "embeddings as base64 and as numbers differ")

        # 4 plain, 24 streams, 2 embeddings, 1 of the poor, 7 errors; 25 streams: one broke off
        demo.settle(25, 38)
        usages = [(r["model"], r["usage"]) for r in seen["requests"]] + [(s["model"], s["usage"]) for s in streams]
        usages += [("text-embedding-3-small", e["usage"]) for e in seen["embeddings"]]
        usages.append(("gpt-4o", {"prompt_tokens": 8, "completion_tokens": 5}))
        check_cost(demo, sum(cost(m, u) for m, u in usages), usages, 5)
        check_ttft(demo, streams)
        check_phases(demo, "gpt-3.5-turbo", [s["id"] for s in streams if s["model"] == "gpt-3.5-turbo"], 20)

        streaming, errors, budgets = demo.get("/metrics/streaming"), demo.get("/metrics/errors"), demo.get("/metrics/budgets")
        same("completed", streaming["completed_streams"], 24)
        same("failed", streaming["failed_streams"], 1)
        same("cancelled", streaming["cancelled_streams"], 0)
        same("negative intervals", streaming["negative_intervals"], 0)
        same("errors of the server", (errors["failed"], errors["errors"]), (2, 2))
        same("excluded", errors["excluded"], 0)
        same("denied", budgets["denied"], 1)
        same("reservations", budgets["reservations"], 0)
        same("settled", Decimal(budgets["settled_usd"]), sum(cost(m, u) for m, u in usages))
        poor = [b for b in budgets["budgets"] if Decimal(b["limit_usd"]) == once]
        same("the poor key", [(Decimal(b["used_usd"]), Decimal(b["remaining_usd"])) for b in poor], [(once, 0)])
        bus = demo.get("/metrics/bus")
        same("published and delivered", bus["published"], bus["delivered"])
        expect(not any(bus["undelivered"].values()), bus["undelivered"])
        # The first one leaves the beginning of its prompt in the cache.
        hung_up = {stream: (2, cached) for stream, cached in zip(seen["hung_up"], (0, 128))}
        same("hung up", len(hung_up), 2)
        whole = seen["requests"][-1]["usage"]
        check_hung_up(late, hung_up, "gpt-4-turbo", whole["prompt_tokens"], whole["completion_tokens"])
        late.end()
        demo.end()


def tokens_of(text):
    return (len(text.encode()) + 3) // 4


# --- curl and sockets ---

def curl(demo, path, body, *options):
    out = subprocess.run(["curl", "-sS", "-N", "-m", str(LIMIT_S), "-w", "\n%{http_code}", demo.api + path,
                          "-H", "Authorization: Bearer sk-rich", *options, "--data-binary", "@-"],
                         input=body, check=True, stdout=subprocess.PIPE).stdout.decode()
    text, _, status = out.rpartition("\n")
    return int(status), text


def chat(model, text, **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


def read_events(text):
    events = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    same("the last event", events[-1], "[DONE]")
    return [json.loads(event) for event in events[:-1]]


def hang_up(demo, pieces):
    """A client that closes its socket after so many tokens; returns the stream's id."""
    body = chat("gpt-4-turbo", "hang up", stream=True)
    with post(demo, body, length=len(body)) as client:
        got = b""
        while got.count(b'"content":"') < pieces:
            more = client.recv(4096)
            expect(more, "the host hung up first")
            got += more
    return re.search(rb'"id":"([^"]+)"', got).group(1).decode()


REFUSED = [
    (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b"\xff\xfe", 400), (b'{"model":"gpt-4o"}', 400),
    (b'{"model":5,"messages":[]}', 400), (b'{"model":"gpt-4o","messages":[7]}', 400),
    (b'{"model":"gpt-4o","messages":[{"role":"user","content":[7]}]}', 400),
    (chat("gpt-4o", "x", max_tokens=0), 400), (chat("gpt-4o", "x", max_tokens=-1), 400),
    (chat("gpt-4o", "x", max_tokens=1e300), 400), (chat("gpt-4o", "x", n=2), 400),
    (chat("gpt-4o", "x", stream="yes"), 400), (chat("gpt-17", "x"), 404), (chat("text-embedding-3-small", "x"), 404),
    (chat("gpt-3.5-turbo", "x" * 70000), 400), (b"[" * 100000, 400), (chat("gpt-4o", "x" * 1100000), 413),
]


# What is JSON and not read is not called "not JSON".
TROUBLE = [
    (b'{"max_tokens":1e400}', "a number in the body is too large"), (b'{"a":%d}' % 2**64, "a number in the body is too large"),
    (b"[" * 5000 + b"]" * 5000, "the body is nested too deeply"), (b'{"a":1,"a":1}', "a name comes twice"),
    (b'{"a":"\\u0000"}', "a text of the body has a NUL"), (b'{"a":NaN}', "the body is not JSON"),
]


def plain(tool, directory):
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "4", "--key", "sk-rich") as demo:
        usages = []
        for i, (body, wanted) in enumerate(REFUSED):
            status, text = curl(demo, "/chat/completions", body)
            same(f"status of refused body {i}", status, wanted)
            error = json.loads(text)["error"]
            same("error", (sorted(error), error["type"]), (["code", "message", "param", "type"], "invalid_request_error"))
        for body, said in TROUBLE:
            status, text = curl(demo, "/chat/completions", body)
            same("status", status, 400)
            expect(json.loads(text)["error"]["message"].startswith(said), text, "and not", said)
        body = {"model": "text-embedding-3-small", "input": "x", "dimensions": 1}
        same("format", curl(demo, "/embeddings", json.dumps({**body, "encoding_format": "zip"}).encode())[0], 400)
        same("format", curl(demo, "/embeddings", json.dumps({**body, "encoding_format": 7}).encode())[0], 400)
        refused = len(REFUSED) + len(TROUBLE) + 2
        same("path", curl(demo, "/nothing", b"{}")[0], 404)
        same("method", curl(demo, "/models", b"{}")[0], 405)

        status, text = curl(demo, "/chat/completions", chat("gpt-4o-mini", "hello", max_tokens=9))
        same("status", status, 200)
        usages.append(("gpt-4o-mini", json.loads(text)["usage"]))
        same("prompt tokens", usages[0][1]["prompt_tokens"], tokens_of("hello") + 7)

        body = chat("gpt-4o", "hello", stream=True, stream_options={"include_usage": True})
        status, text = curl(demo, "/chat/completions", body)
        events = read_events(text)
        usage = events[-1]["usage"]
        pieces = [e["choices"][0]["delta"]["content"] for e in events[:-2]]
        same("the usage's choices", events[-1]["choices"], [])
        same("pieces", len(pieces), usage["completion_tokens"])
        usages.append(("gpt-4o", usage))
        same("the same prompt's answer", "".join(pieces),
             json.loads(curl(demo, "/chat/completions", chat("gpt-4o", "hello"))[1])["choices"][0]["message"]["content"])
        usages.append(("gpt-4o", usage))

        body = chat("gpt-4o", "hello", stream=True, max_tokens=3)
        events = read_events(curl(demo, "/chat/completions", body)[1])
        expect(all("usage" not in event for event in events), "usage that was not asked for")
        usages.append(("gpt-4o", {"prompt_tokens": tokens_of("hello") + 7, "completion_tokens": 3}))

        whole = json.loads(curl(demo, "/chat/completions", chat("gpt-4-turbo", "hang up"))[1])["usage"]
        usages.append(("gpt-4-turbo", whole))
        demo.settle(2, refused + 5)
        check_cost(demo, sum(cost(m, u) for m, u in usages), usages, refused)
        demo.end()

    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", SLOW, "--key", "sk-rich") as demo:
        hung_up = {hang_up(demo, n): (n, 0) for n in (1, 2, 5)}
        same("hung up", len(hung_up), 3)
        check_hung_up(demo, hung_up, "gpt-4-turbo", tokens_of("hang up") + 7, whole["completion_tokens"])
        demo.end()


# --- Keys that are refused ---

def keys(tool, directory):
    """Who is not known, or has spent its budget, is told so as OpenAI does, and when to come again."""
    def ask_as(key):
        request = urllib.request.Request(demo.api + "/chat/completions", chat("gpt-4o", "hello"),
                                         {"Authorization": key} if key else {})
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.load(error)

    def check_error(said, kind, code):
        same("error", sorted(said), ["error"])
        same("error's parts", sorted(said["error"]), ["code", "message", "param", "type"])
        same("error", (said["error"]["type"], said["error"]["param"], said["error"]["code"]), (kind, None, code))

    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "50", "--key", "sk-rich", "--key", "sk-poor=0") as demo:
        for key in (None, "Bearer sk-nobody", "Bearer ", "Bearer sk-ric", "Bearer sk-richer", "Basic sk-rich"):
            status, headers, said = ask_as(key)
            same("status", status, 401)
            same("what is wanted", headers["WWW-Authenticate"], "Bearer")
            same("headers for who is to come again", (headers["Retry-After"], headers["X-Should-Retry"]), (None, None))
            check_error(said, "invalid_request_error", "invalid_api_key")
        status, headers, said = ask_as("Bearer sk-poor")
        same("status", status, 429)
        expect(1 <= int(headers["Retry-After"]) <= 86400, "a day's budget is there again in", headers["Retry-After"], "s")
        same("what the SDK is told", headers["X-Should-Retry"], "false")
        same("what is wanted", headers["WWW-Authenticate"], None)
        check_error(said, "insufficient_quota", "insufficient_quota")
        same("status of who can pay", ask_as("bearer sk-rich")[0], 200)
        demo.settle(0, 8)
        same("denied", demo.get("/metrics/budgets")["denied"], 1)
        same("failed", demo.get("/metrics/errors")["failed"], 0)
        demo.end()


# --- What is to be embedded ---

WRONG_INPUTS = ["", [], [""], ["a", ""], [[]], [[1], []], [1, "a"], ["a", 1], ["a", [1]], [[1], "a"], [1, [1]], [-1], [1, -1],
                [[1], [-1]], [1.5], [True], [None], {"a": 1}, None, 7, True, [[[1]]], [["a"]], ["x"] * 2049, [[1]] * 2049,
                [[1] * 8000] * 38]


def inputs(tool, directory):
    """Texts and tokens, one or many, up to what OpenAI takes; an input may be as long as the model's context, each."""
    model, usages = "text-embedding-3-small", []
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "50", "--key", "sk-rich") as demo:
        def embed(given, **more):
            body = {"model": model, "input": given, "dimensions": 4, **more}
            status, text = curl(demo, "/embeddings", json.dumps(body, separators=(",", ":")).encode())
            return status, json.loads(text)

        def vectors_of(given, tokens, **more):
            status, said = embed(given, **more)
            same("status", (status, said.get("error")), (200, None))
            same("usage", said["usage"], {"prompt_tokens": tokens, "total_tokens": tokens})
            same("indices", [row["index"] for row in said["data"]], list(range(len(said["data"]))))
            usages.append((model, said["usage"]))
            return [row["embedding"] for row in said["data"]]

        texts = ["word " * (i % 7 + 1) + str(i) for i in range(2048)]
        tokens = [[i, i * 7 % 100000] + [1] * (i % 3) for i in range(2048)]
        of_texts = vectors_of(texts, sum(tokens_of(text) for text in texts))
        of_tokens = vectors_of(tokens, sum(len(one) for one in tokens))
        same("vectors", (len(of_texts), len(of_tokens)), (2048, 2048))
        same("their components", {len(vector) for vector in of_texts + of_tokens}, {4})
        same("different vectors", len({tuple(vector) for vector in of_texts + of_tokens}), 2 * 2048)
        for i in (0, 5, 2047):
            same("the vector of a text alone", vectors_of(texts[i], tokens_of(texts[i])), [of_texts[i]])
            same("the vector of tokens alone", vectors_of(tokens[i], len(tokens[i])), [of_tokens[i]])
        longest = "x" * (4 * 8191)
        same("long texts", len(vectors_of([longest] * 3, 3 * 8191)), 3)
        same("long lists", len(vectors_of([[1] * 8191] * 3, 3 * 8191)), 3)
        same("as base64", len(vectors_of(["a"] * 500, 500, dimensions=1536, encoding_format="base64")), 500)
        for given in WRONG_INPUTS:
            status, said = embed(given)
            same(f"status of {str(given)[:40]}", (status, said["error"]["code"]), (400, "invalid_request"))
        for given in (longest + "x", ["a", longest + "x"], [1] * 8192, [[1], [1] * 8192]):
            status, said = embed(given)
            same(f"status of {str(given)[:40]}", (status, said["error"]["code"]), (400, "context_length_exceeded"))
        refused = len(WRONG_INPUTS) + 4
        demo.settle(0, len(usages) + refused)
        check_cost(demo, sum(cost(m, u) for m, u in usages), usages, refused)
        demo.end()


# --- The phases of a request ---

def phases(tool, directory):
    """With and without streaming."""
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "4", "--key", "sk-rich") as demo:
        streams, tokens = [], 16
        for i in range(3):
            for model, streamed in (("gpt-4-turbo", True), ("gpt-4o", False)):
                status, text = curl(demo, "/chat/completions", chat(model, f"hello {i}", stream=streamed, max_tokens=tokens))
                same("status", status, 200)
                if streamed:
                    streams.append(read_events(text)[0]["id"])
        demo.settle(3, 6)
        check_phases(demo, "gpt-4-turbo", streams, 3)
        check_phases(demo, "gpt-4o", [], 3)
        row = next(row for row in demo.get("/metrics/inference")["models"] if row["model"] == "gpt-4o")
        itl, decode = float(row["itl_ms"]["avg"]), float(row["decode_ms"]["avg"])
        expect(abs(itl - decode / (tokens - 1)) < 0.01, "a token took", itl, "ms of", decode)
        demo.end()


# --- Hostile clients ---

def hostile(tool, directory):
    """What is no request, half of one, or two at once, harms nobody; what was asked properly is answered and counted."""
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "20", "--key", "sk-rich") as demo:
        host, port = re.match(r"http://([\d.]+):(\d+)", demo.api).groups()
        body = chat("gpt-3.5-turbo", "hello", stream=True, max_tokens=4)
        good = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-rich\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        bad = [b"", b"\0" * 1000, b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\r\n" * 5000, b"X" * 100000, good[:-1],
               good[:60], good.replace(b"Content-Length: ", b"Content-Length: -"),
               good.replace(b"Content-Length: ", b"Content-Length: 99999999999999999999"),
               good.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked"),
               b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + b"k" * 60000 + b"\r\n\r\n"]
        for words in bad * 3:
            with socket.create_connection((host, int(port)), timeout=LIMIT_S) as client:
                try:
                    client.sendall(words)
                except OSError:
                    pass # it was cut off, which is its right
        before = demo.get("/metrics/requests")["all"]["requests"]

        # Two requests in one packet are answered one after the other, in one connection.
        with socket.create_connection((host, int(port)), timeout=LIMIT_S) as client:
            client.sendall(good * 2)
            got = b""
            while got.count(b"data: [DONE]") < 2:
                more = client.recv(65536)
                expect(more, "the host hung up on two requests at once:", got)
                got += more
        same("pieces", got.count(b'"content":"'), 8)
        # Those that were cut short may end later than these two: they are the same or nothing.
        demo.wait_for(lambda: demo.get("/metrics/streaming")["active_streams"] == 0 and
                      demo.get("/metrics/requests")["all"]["in_flight"] == 0)
        streaming, requests = demo.get("/metrics/streaming"), demo.get("/metrics/requests")["all"]
        expect(requests["requests"] >= before + 2, requests)
        same("streams", streaming["completed_streams"] + streaming["cancelled_streams"], streaming["total_streams"])
        expect(streaming["completed_streams"] >= 2, streaming)
        demo.end()


# --- Failures that are played ---

def faults(tool, directory):
    """Where every request fails, each client is told how, and the trackers count just that."""
    codes = {500: "internal_error", 502: "upstream_error", 503: "overloaded"}
    with Demo(tool, directory, "--load", "0", "--faults", "1000", "--pace", "50", "--key", "sk-rich") as demo:
        def failure_of(path, body):
            status, text = curl(demo, path, body)
            if status != 200:
                return status, json.loads(text)["error"]
            expect(b'"stream": true' in body, "an answer of", text)
            events = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
            expect(all("choices" in json.loads(event) for event in events[:-1]), text)
            return 200, json.loads(events[-1])["error"]

        embeddings = json.dumps({"model": "text-embedding-3-small", "input": "x"}).encode()
        seen = {"whole": [], "stream": [], "embeddings": []}
        for i in range(60):
            seen["whole"].append(failure_of("/chat/completions", chat("gpt-4o", f"hello {i}")))
            seen["stream"].append(failure_of("/chat/completions", chat("gpt-4o", f"hello {i}", stream=True)))
            seen["embeddings"].append(failure_of("/embeddings", embeddings))
        # All of them are drawn in sixty, but for one time in ten billion.
        same("statuses", {kind: sorted({status for status, _ in list}) for kind, list in seen.items()},
             {"whole": [500, 502, 503], "stream": [200, 500, 503], "embeddings": [500, 503]})
        counts = dict.fromkeys(codes, 0)
        for status, error in sum(seen.values(), []):
            status = 502 if status == 200 else status
            same("error", (sorted(error), error["type"], error["code"]),
                 (["code", "message", "param", "type"], "server_error", codes[status]))
            counts[status] += 1
        broken = sum(status == 200 for status, _ in seen["stream"])
        demo.settle(60, 180)
        errors, streaming = demo.get("/metrics/errors"), demo.get("/metrics/streaming")
        same("errors", (errors["requests"], errors["failed"], errors["errors"], errors["excluded"]), (180, 180, 180, 0))
        same("by status", {row["status_code"]: row["errors"] for row in errors["by_status"]}, counts)
        same("by type", {row["name"]: row["errors"] for row in errors["by_type"]},
             {codes[status]: count for status, count in counts.items()})
        same("streams", (streaming["failed_streams"], streaming["completed_streams"]), (60, 0))
        expect(0 < broken < 60 and streaming["total_tokens"] > 0, broken, "streams broke off")
        check_cost(demo, 0, [], 0)
        same("reservations", demo.get("/metrics/budgets")["reservations"], 0)
        demo.end()


# --- How it is doing ---

HOW_IT_IS = (r"\d+ requests \(\d+/s\), \d+ active, \d+ tokens, TTFT \d+ ms, [\d.]+ USD, "
             r"\d+ failed, \d+ over budget, \d+ hung up")


def live(tool, directory):
    """On a terminal it is one line that is renewed and fits; elsewhere there is a line now and then."""
    load = ("--load", "50", "--faults", "0", "--pace", "20")
    with Demo(tool, directory, *load) as demo:
        lines = Demo.wait_for(lambda: re.findall(r"^tallybus: (.* active, .*)$", demo.said(), re.M))
        expect(all(re.fullmatch(HOW_IT_IS, line) for line in lines), lines)
        expect("\r" not in demo.said() and "\033" not in demo.said(), "a line is renewed where there is no terminal")
        demo.end()

    columns = 40
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([tool, "demo", "--listen", "0", "--web", "0", *load], stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said, end = "", time.monotonic() + LIMIT_S
    try:
        while said.count("\r\033[K  ") < 3 and time.monotonic() < end:
            said += os.read(ours, 65536).decode()
        process.terminate()
        while True:
            said += os.read(ours, 65536).decode()
    except OSError:
        pass # its last writer has closed the terminal
    finally:
        os.close(ours)
        process.kill()
        same("exit code", process.wait(), 0)
    first, *renewed = said.split("\r\033[K")
    expect(len(renewed) >= 4, said)
    *shown, after = renewed
    for line in shown:
        expect(re.match(r"  \d+ requests \(\d+/s\), ", line) and len(line) < columns, repr(line))
    expect(first.count("serving the") == 2 and first.endswith("\n"), first)
    expect(" active" not in after, "the line stayed:", after)


# --- Bodies that are not wanted ---

def post(demo, body, key="sk-rich", length=None, headers=""):
    host, port = re.match(r"http://([\d.]+):(\d+)", demo.api).groups()
    client = socket.create_connection((host, int(port)), timeout=LIMIT_S)
    client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{headers}"
                   .encode())
    if length is not None:
        client.sendall(b"Content-Length: %d\r\n\r\n" % length)
    client.sendall(body)
    return client


def read_reply(client):
    """The next answer on a connection: its status, and what its JSON says."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = client.recv(65536)
        expect(more, "hung up before an answer:", got)
        got += more
    head, body = got.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(body) < length:
        more = client.recv(65536)
        expect(more, "hung up within an answer:", got)
        body += more
    return int(head.split()[1]), json.loads(body)


def chunked(body):
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[i:i + 50000] for i in range(0, len(body), 50000))) + b"0\r\n\r\n"


def unwanted(tool, directory):
    """Who sends all of a body before reading finds an answer, though the body is not taken; the connection goes on."""
    small, large = chat("gpt-4o", "x", max_tokens=1), chat("gpt-4o", "x" * 3000000)
    MIB = 1024 * 1024
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "20", "--key", "sk-rich") as demo:
        for body, length in ((large, len(large)), (chunked(large), None)):
            for key, status in (("sk-rich", 413), ("sk-nobody", 401)):
                with post(demo, body, key, length) as client:
                    same("status", read_reply(client)[0], status)
                    client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-rich\r\n\r\n")
                    same("status", read_reply(client)[0], 200)
        # Far too large, or asked beforehand: nothing of the body is waited for.
        with post(demo, b"", length=64 * MIB + 1) as client:
            same("status", read_reply(client)[0], 413)
        for key, length, status in (("sk-rich", len(large), 413), ("sk-nobody", len(small), 401)):
            with post(demo, b"", key, length, "Expect: 100-continue\r\n") as client:
                same("status", read_reply(client)[0], status)
        with post(demo, b"", length=len(small), headers="Expect: 100-continue\r\n") as client:
            expect(client.recv(65536).startswith(b"HTTP/1.1 100 "), "the host does not let a body come")
            client.sendall(small)
            same("status", read_reply(client)[0], 200)
        # What all together may take has an end; a stranger's body takes nothing, and what is closed is given back.
        strangers = [post(demo, b" " * (MIB - 1), "sk-nobody", MIB) for _ in range(20)]
        half = [post(demo, b" " * (MIB - 1), length=MIB) for _ in range(128)]
        def status_of_last():
            with post(demo, small + b" " * 1000, length=len(small) + 1000) as client:
                status, said = read_reply(client)
            expect(status in (200, 503), status, said)
            if status == 503:
                same("message", said["error"]["message"], "too many requests are being read")
            return status
        demo.wait_for(lambda: status_of_last() == 503)
        for client in half:
            client.close()
        demo.wait_for(lambda: status_of_last() == 200)
        for client in strangers:
            client.close()
        demo.end()


# --- A client that goes away before its answer is made ---

def away(tool, directory):
    """Whose answer is waited for as a whole is not served on either: what was generated by then is billed."""
    body, prompt = chat("gpt-4-turbo", "hang up"), tokens_of("hang up") + 7
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "50", "--key", "sk-rich") as demo:
        whole = json.loads(curl(demo, "/chat/completions", body)[1])["usage"]["completion_tokens"]
        demo.end()
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", SLOW, "--key", "sk-rich") as demo:
        with post(demo, body, length=len(body)):
            demo.wait_for(lambda: demo.get("/metrics/requests")["all"]["in_flight"] == 1)
        demo.settle(0, 1)
        same("excluded", demo.get("/metrics/errors")["excluded"], 1)
        costs = demo.get("/metrics/costs")
        made = costs["completion_tokens"]
        expect(0 <= made < whole, "the host generated", made, "tokens of", whole)
        same("cost", Decimal(costs["total_usd"]), cost("gpt-4-turbo", {"prompt_tokens": prompt, "completion_tokens": made}))
        budgets = demo.get("/metrics/budgets")
        same("reservations", budgets["reservations"], 0)
        same("settled", Decimal(budgets["settled_usd"]), Decimal(costs["total_usd"]))
        demo.end()


# --- A client that does not read ---

def slow(tool, directory):
    """The model waits for a client that does not read, which is told; in the end nothing is missing."""
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "20", "--key", "sk-rich") as demo:
        host, port = re.match(r"http://([\d.]+):(\d+)", demo.api).groups()
        # The longest answer of some prompts: found by asking for each as a whole.
        texts = ["tell me %d" % i for i in range(40)]
        usages = [json.loads(curl(demo, "/chat/completions", chat("gpt-3.5-turbo", text))[1])["usage"] for text in texts]
        longest = max(range(len(texts)), key=lambda i: usages[i]["completion_tokens"])
        tokens = usages[longest]["completion_tokens"]
        expect(tokens > 150, "the longest answer has", tokens, "tokens")
        body = chat("gpt-3.5-turbo", texts[longest], stream=True)
        with socket.socket() as client:
            client.settimeout(LIMIT_S)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.connect((host, int(port)))
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-rich\r\n"
                           b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            demo.wait_for(lambda: demo.get("/metrics/streaming")["backpressure_events"] > 0)
            same("active", demo.get("/metrics/streaming")["active_streams"], 1)
            got = b""
            while b"data: [DONE]" not in got:
                more = client.recv(4096)
                expect(more, "the host hung up")
                got += more
        same("pieces", got.count(b'"content":"'), tokens)
        demo.settle(1, len(texts) + 1)
        same("tokens", demo.get("/metrics/streaming")["total_tokens"], tokens)
        same("completed", demo.get("/metrics/streaming")["completed_streams"], 1)
        demo.end()


# --- Many clients that do not read ---

def ask(demo, path, body, key=b"Bearer sk-rich", times=1):
    """A client that has asked, so many times without waiting, and takes as little as it can."""
    host, port = re.match(r"http://([\d.]+):(\d+)", demo.api).groups()
    client = socket.socket()
    client.settimeout(LIMIT_S)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    client.connect((host, int(port)))
    client.sendall(b"POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s" %
                   (path, key, len(body), body) * times)
    return client


def status_of(client):
    got = b""
    while len(got) < 12:
        more = client.recv(12 - len(got))
        expect(more, "no answer, but", got)
        got += more
    return int(got[9:])


def many(tool, directory):
    """Neither answers that nobody takes nor requests that wait for long take all memory, or keep others out."""
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "1", "--key", "sk-rich",
              "--key", "sk-poor=0") as demo:
        body = json.dumps({"model": "text-embedding-3-large", "input": ["x"] * 32}).encode()
        clients = [ask(demo, b"embeddings", body) for _ in range(120)]
        statuses = [status_of(client) for client in clients]
        same("statuses", sorted(set(statuses)), [200, 503])
        expect(40 < statuses.count(200) < 100, statuses.count(200), "long answers at once")
        refused = clients[statuses.index(503)].makefile("rb").read1(65536).decode()
        expect('"code":"overloaded"' in refused, refused)
        for client in clients:
            client.close()
        demo.wait_for(lambda: curl(demo, "/embeddings", body)[0] == 200)

        # Those whose long answers were refused keep no room, though they do not take the refusal either.
        body = json.dumps({"model": "text-embedding-3-large", "input": ["x"] * 32}).encode()
        clients = [ask(demo, b"embeddings", body, b"Bearer sk-poor", times=120) for _ in range(100)]
        for client in clients:
            same("status", status_of(client), 429)
        denied = []
        def all_wait():
            denied.append(demo.get("/metrics/budgets")["denied"])
            return denied[-20:] == denied[-1:] * 20
        demo.wait_for(all_wait)
        expect(denied[-1] < 120 * len(clients), "every client was sent all of its refusals")
        for i in range(5):
            same("status of a chat", curl(demo, "/chat/completions", chat("gpt-3.5-turbo", f"hi {i}", max_tokens=1))[0], 200)
        for client in clients:
            client.close()

        # 140 MB of prompts, whose prefill takes seconds.
        body = chat("gpt-4-turbo", "x" * 480000, max_tokens=1)
        clients = [ask(demo, b"chat/completions", body) for _ in range(300)]
        with ask(demo, b"embeddings", json.dumps({"model": "text-embedding-3-small", "input": "x"}).encode(),
                 b"bearer sk-rich") as client:
            same("status of one more", status_of(client), 200)
        for client in clients:
            client.close()
        demo.end()


# --- The end ---

def end(tool, directory, name):
    with Demo(tool, directory, "--load", "80", "--faults", "50", "--pace", "4", "--json") as demo:
        demo.wait_for(lambda: demo.get("/metrics/streaming")["completed_streams"] > 20)
        report = json.loads(demo.end(getattr(signal, name)))
        events, streams = report["events"], report["streaming"]
        same("delivered", events["delivered"], events["published"])
        same("refused", events["refused"], 0)
        same("active", streams["active_streams"], 0)
        same("streams", streams["completed_streams"] + streams["failed_streams"] + streams["cancelled_streams"],
             streams["total_streams"])
        expect(streams["completed_streams"] > 20, streams)


def closing(tool, directory):
    """While it finishes what it has, who is connected is refused, who comes is turned away, and the address is its own."""
    body = chat("gpt-4-turbo", "hello", stream=True, max_tokens=40)
    get = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-rich\r\n\r\n"
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "0.2", "--key", "sk-rich", "--json") as demo:
        host, port = re.match(r"http://([\d.]+):(\d+)", demo.api).groups()
        another = [tool, "demo", "--listen", port, "--web", "0", "--load", "0", "--duration", "0.1"]

        def is_turned_away():
            with socket.create_connection((host, int(port)), timeout=LIMIT_S) as client:
                try:
                    client.sendall(get)
                    return client.recv(1) == b""
                except ConnectionError:
                    return True

        with socket.create_connection((host, int(port)), timeout=LIMIT_S) as kept, post(demo, body, length=len(body)) as client:
            kept.sendall(get)
            same("status", read_reply(kept)[0], 200)
            demo.wait_for(lambda: demo.get("/metrics/streaming")["active_streams"] == 1)
            demo.process.send_signal(signal.SIGTERM)
            demo.wait_for(is_turned_away)
            kept.sendall(get)
            status, said = read_reply(kept)
            same("refused", (status, said["error"]["code"]), (503, "shutting_down"))
            run = subprocess.run(another, capture_output=True, text=True, timeout=LIMIT_S)
            expect(run.returncode == 3 and "address already in use" in run.stderr, run.returncode, run.stderr)
            got = b""
            while b"data: [DONE]" not in got:
                more = client.recv(65536)
                expect(more, "what was under way was cut off:", got)
                got += more
        same("pieces", got.count(b'"content":"'), 40)
        out, _ = demo.process.communicate(timeout=LIMIT_S)
        same("exit code", demo.process.returncode, 0)
        same("completed", json.loads(out)["streaming"]["completed_streams"], 1)
        run = subprocess.run(another, capture_output=True, text=True, timeout=LIMIT_S)
        same("exit code of another one at this address", run.returncode, 0)


def hurry(tool, directory):
    """Who asks it to end, and asks again, does not wait for what is under way."""
    body = chat("gpt-4-turbo", "hello", stream=True)
    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "0.02", "--key", "sk-rich", "--json") as demo:
        with post(demo, body, length=len(body)) as client:
            demo.wait_for(lambda: demo.get("/metrics/streaming")["active_streams"] == 1)
            demo.process.send_signal(signal.SIGINT)
            demo.wait_for(lambda: "finishing what is under way: 1 requests" in demo.said())
            def cut_off():
                demo.process.send_signal(signal.SIGINT) # at once it is taken for the same one
                return "cutting off what is under way: " in demo.said()
            demo.wait_for(cut_off)
            expect("cutting off what is under way: asked again" in demo.said(), "it waited all the same:", demo.said())
            report = json.loads(demo.ended())
            got = b""
            while more := client.recv(65536):
                got += more
        expect(b"the server is shutting down" in got, got)
        streams = report["streaming"]
        same("streams", (streams["total_streams"], streams["failed_streams"], streams["active_streams"]), (1, 1, 0))
        same("delivered", report["events"]["delivered"], report["events"]["published"])


# --- A Prometheus ---

def scraped(tool, directory):
    """A Prometheus that scrapes the host gives its trackers' figures back, and its rules hold for them."""
    sys.path.insert(0, os.path.join(HERE, "../exporters"))
    from prometheus_server import query, rules_of, scraping

    def figures():
        streaming, errors, costs = (demo.get("/metrics/" + name) for name in ("streaming", "errors", "costs"))
        requests, models = demo.get("/metrics/requests")["all"], demo.get("/metrics/models")["models"]
        same("requests", (requests["requests"], streaming["completed_streams"]), (10, 4))
        return {
            "request_total": requests["requests"], "request_errors_total": requests["errors"],
            "request_latency_seconds{quantile='0.99'} * 1000": requests["latency_ms"]["p99"],
            "streaming_completed_streams_total": streaming["completed_streams"],
            "streaming_total_tokens_total": streaming["total_tokens"],
            "error_total_errors_total": errors["errors"], "error_rate": errors["error_rate"],
            "cost_total_usd": costs["total_usd"], "cost_by_model_usd{model='gpt-4o'}": costs["total_usd"],
            "model_requests_total{model='gpt-4o'}": next(m["requests"] for m in models if m["name"] == "gpt-4o"),
        }

    wrong = []
    def all_agree():
        wrong.clear()
        for expression, figure in figures().items():
            got = [float(series["value"][1]) for series in query(port, expression)]
            if len(got) != 1 or abs(got[0] - float(figure)) > 1e-12 * abs(got[0]):
                wrong.append(f"{expression} is {got}, and not {figure}")
        return not wrong

    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "20", "--key", "sk-rich") as demo, \
         scraping(int(demo.web.rsplit(":", 1)[1]), directory) as port:
        for i in range(8):
            curl(demo, "/chat/completions", chat("gpt-4o", f"hello {i}", stream=i % 2 == 0, max_tokens=10 + i))
        same("failed", curl(demo, "/chat/completions", chat("gpt-4o-mini", "x"), "-H", "X-Demo-Fault: before")[0], 500)
        same("refused", curl(demo, "/chat/completions", b"{")[0], 400)
        demo.settle(4, 10)
        demo.wait_for(all_agree, wrong)
        demo.wait_for(lambda: all(health != "unknown" for _, health in rules_of(port)))
        rules = rules_of(port)
        expect(len(rules) > 10 and all(health == "ok" for _, health in rules), rules)
        demo.end()


# --- A port that is taken ---

def taken(tool, directory):
    """A second host at an address is refused, and says how to go on; it does not share the first one's requests."""
    with Demo(tool, directory, "--load", "0") as demo:
        for option, url in (("--listen", demo.api), ("--web", demo.web)):
            other = "--web" if option == "--listen" else "--listen"
            port = re.search(r":(\d+)", url.removeprefix("http:")).group(1)
            run = subprocess.run([tool, "demo", option, port, other, "0", "--load", "0"], capture_output=True, text=True,
                                 timeout=LIMIT_S)
            same("exit code", run.returncode, 3)
            expect("address already in use" in run.stderr and option in run.stderr, run.stderr)
        demo.end()


# --- Without memory ---

def exchange(demo, body):
    """All that comes for a request that ends its connection; nothing where the host hangs up."""
    got = b""
    try:
        with post(demo, body, length=len(body), headers="Connection: close\r\n") as client:
            while more := client.recv(65536):
                got += more
    except ConnectionError:
        pass
    return got


def outcome_of(got):
    """Whether an answer is good and whole, and whether it tells an error: then it is OpenAI's, whatever failed."""
    head, _, body = got.partition(b"\r\n\r\n")
    if not head:
        return False, False # without memory the host may hang up
    if b"text/event-stream" in head:
        return b"data: [DONE]" in body, False
    try:
        status, said = int(head.split()[1]), json.loads(body)
    except ValueError:
        raise AssertionError(got) from None
    if status == 200:
        same("answer", said["object"] in ("chat.completion", "list"), True)
    else:
        same("error", sorted(said["error"]), ["code", "message", "param", "type"])
    return status == 200, status >= 500


def memory(tool, directory, preload):
    """While one allocation in so many fails, requests may fail, and nothing else; afterwards all is as before."""
    def figures():
        costs, streaming = demo.get("/metrics/costs"), demo.get("/metrics/streaming")
        requests = demo.get("/metrics/requests")["all"]
        return [Decimal(costs["total_usd"]), costs["completion_tokens"], streaming["completed_streams"],
                streaming["total_tokens"], requests["requests"], requests["responses"]]

    with Demo(tool, directory, "--load", "0", "--faults", "0", "--pace", "50", "--key", "sk-rich", "--json",
              LD_PRELOAD=preload, FAIL_ONE_IN="40") as demo:
        bodies = [chat("gpt-3.5-turbo", f"request {i}", stream=i % 2 == 0, max_tokens=1 + i % 20) for i in range(300)]
        bodies += [json.dumps({"model": "text-embedding-3-small", "input": ["x"] * (i % 9 + 1)}).encode() for i in range(30)]
        demo.process.send_signal(signal.SIGUSR1)
        demo.wait_for(lambda: "memory is short" in demo.said())
        good, failed = 0, 0
        for i, body in enumerate(bodies):
            is_good, is_failed = outcome_of(exchange(demo, body))
            good, failed = good + is_good, failed + is_failed
            try:
                demo.get("/metrics/streaming" if i % 3 else "/metrics/requests")
            except (OSError, http.client.HTTPException):
                pass # the host says that it has no memory, or nothing
        demo.process.send_signal(signal.SIGUSR2)
        demo.wait_for(lambda: "memory is back" in demo.said())
        expect(0 < good < len(bodies), good, "of", len(bodies), "were answered")
        expect(failed > 0, "nobody was told of an error")
        demo.wait_for(lambda: demo.get("/metrics/requests")["all"]["in_flight"] == 0 and
                      demo.get("/metrics/streaming")["active_streams"] == 0 and
                      demo.all_delivered())

        before, usages = figures(), []
        for i in range(20):
            body = {"model": "gpt-4o-mini", "text": f"again {i}", "max_tokens": i + 1}
            status, text = curl(demo, "/chat/completions", chat(**body))
            same("status", status, 200)
            usages.append(json.loads(text)["usage"])
            read_events(curl(demo, "/chat/completions", chat(**body, stream=True))[1])
        demo.wait_for(lambda: demo.get("/metrics/requests")["all"]["responses"] == before[5] + 40 and
                      demo.all_delivered())
        tokens = sum(usage["completion_tokens"] for usage in usages)
        same("figures", [now - then for now, then in zip(figures(), before)],
             [2 * sum(cost("gpt-4o-mini", usage) for usage in usages), 2 * tokens, 20, tokens, 40, 40])
        report = json.loads(demo.end())
        events, streams = report["events"], report["streaming"]
        same("delivered", events["delivered"], events["published"])
        same("streams", streams["completed_streams"] + streams["failed_streams"] + streams["cancelled_streams"],
             streams["total_streams"])


def main():
    parts = (sdk, plain, keys, inputs, phases, hostile, faults, live, unwanted, away, slow, many, end, closing, hurry, taken, scraped, memory)
    {part.__name__: part for part in parts}[sys.argv[1]](*sys.argv[2:])
    print("all good")


if __name__ == "__main__":
    main()
