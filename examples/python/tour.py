"""A tour: workers publish, handlers count, trackers are read, and what goes wrong is told.

    TALLYBUS_LIBRARY=build/demo/libtallybus.so python3 examples/python/tour.py
"""

import decimal
import threading

import tallybus

WORKERS = 3
REQUESTS = 4  # of each worker


def work(bus, worker):
    for i in range(REQUESTS):
        request_id = f"req-{worker}-{i}"
        bus.publish("request.started", request_id=request_id, endpoint="/v1/chat/completions", model="gpt-4o")
        bus.publish(
            "request.completed",
            request_id=request_id,
            user_id=f"user-{worker}",
            endpoint="/v1/chat/completions",
            model="gpt-4o",
            duration_ms=120.5,
            status_code=200,
            input_tokens=1000,
            output_tokens=100 + worker,
            metadata={"region": "eu"},
        )


class Tokens:
    """Counts on the bus's thread, where handlers are called one at a time: no lock is needed until others read."""

    def __init__(self):
        self.by_user = {}

    def on_completed(self, topic, event):
        user = event["user_id"]
        self.by_user[user] = self.by_user.get(user, 0) + event["output_tokens"]


def show_refusals(bus):
    for topic, fields in [
        ("request.complete", {}),
        ("request.completed", {"modle": "gpt-4o"}),
        ("request.completed", {"status_code": "200"}),
        ("request.completed", {"input_tokens": 2**63}),
    ]:
        try:
            bus.publish(topic, **fields)
        except tallybus.Error as error:
            print(f"refused ({error.name}): {error}")


def main():
    tokens = Tokens()
    failures = []
    threads = set()

    def stumble(topic, event):
        threads.add(threading.get_ident())
        raise ValueError(f"can not handle {topic}")

    with tallybus.Bus(on_exception=failures.append) as bus:
        print("tallybus", tallybus.version())
        trackers = bus.telemetry()
        counting = bus.subscribe("request.completed", tokens.on_completed, priority=5, name="tokens")
        stumbling = bus.subscribe("request.started", stumble, isolated=True, name="stumbling")

        workers = [threading.Thread(target=work, args=(bus, worker)) for worker in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        # What was published before is handled when these return.
        counting.close()
        stumbling.close()
        for user, count in sorted(tokens.by_user.items()):
            print(f"{user}: {count} tokens")
        print(f"handlers failed, the first with {failures[0]!r}; on a thread of their own: "
              f"{len(threads) == 1 and threading.get_ident() not in threads}")

        show_refusals(bus)

        cost = trackers.read()["cost"]
        print(f"{cost['requests']} requests cost {decimal.Decimal(cost['total_usd'])} USD")
        # With what the cost tracker says of each request: usage.priced.
        print(f"{bus.stats()['published']} events published")


if __name__ == "__main__":
    main()
