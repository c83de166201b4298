"""python_check.py SOURCE: checks examples/python/, with the library that TALLYBUS_LIBRARY names."""

import os
import subprocess
import sys
import threading
import unittest
from decimal import Decimal

SOURCE = sys.argv.pop(1)

import tallybus  # noqa: E402: on PYTHONPATH

WAIT_S = 60  # for what happens at once


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=WAIT_S
    )


class Tour(unittest.TestCase):
    def test_says_what_happened(self):
        tour = subprocess.run(
            [sys.executable, os.path.join(SOURCE, "examples", "python", "tour.py")],
            capture_output=True, text=True, timeout=WAIT_S,
        )
        self.assertEqual(tour.stderr, "")
        self.assertEqual(tour.returncode, 0)
        tokens = [4 * (100 + worker) for worker in range(3)]
        cost = (12 * 1000 * Decimal(5) + sum(tokens) * Decimal(15)) / 1000000  # USD per million: 5 in, 15 out
        self.assertEqual(
            tour.stdout.splitlines(),
            [f"tallybus {tallybus.version()}"]
            + [f"user-{worker}: {count} tokens" for worker, count in enumerate(tokens)]
            + [
                "handlers failed, the first with ValueError('can not handle request.started'); "
                "on a thread of their own: True",
                "refused (UV_EINVAL): there is no event type 'request.complete'",
                "refused (UV_EINVAL): event type 'request.completed' has no field 'modle'",
                "refused (UV_EINVAL): field 'status_code' wants a number, got a string",
                "refused (UV_EINVAL): not JSON: too big integer near '9223372036854775808' (byte 65)",
                f"12 requests cost {cost} USD",
                "36 events published",
            ],
        )


class Library(unittest.TestCase):
    def test_that_is_not_there_is_told_with_the_way_out(self):
        result = run("import tallybus", TALLYBUS_LIBRARY="/nowhere/libtallybus.so")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("ImportError: tallybus: /nowhere/libtallybus.so", result.stderr)
        self.assertIn("set TALLYBUS_LIBRARY", result.stderr)

    def test_bus_left_open_is_drained_when_the_program_ends(self):
        result = run(
            "import tallybus\n"
            "bus = tallybus.Bus()\n"
            "bus.subscribe('cache.miss', lambda topic, event: print(event['cache_type'], flush=True))\n"
            "bus.telemetry()\n"
            "for i in range(100): bus.publish('cache.miss', cache_type=str(i))\n"
        )
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.split(), [str(i) for i in range(100)])

    def test_exceptions_are_shown_as_tracebacks(self):
        result = run(
            "import tallybus\n"
            "def stumble(topic, event): raise KeyError('lost')\n"
            "with tallybus.Bus() as bus:\n"
            "    bus.subscribe('cache.miss', stumble)\n"
            "    bus.publish('cache.miss')\n"
        )
        self.assertEqual(result.returncode, 0)
        self.assertIn("Traceback", result.stderr)
        self.assertIn("KeyError: 'lost'", result.stderr)


class Events(unittest.TestCase):
    def setUp(self):
        self.exceptions = []
        self.bus = tallybus.Bus(on_exception=self.exceptions.append)
        self.events = []

    def tearDown(self):
        self.bus.close()

    def hear(self, topic, event):
        self.events.append((topic, event))

    def refused(self, name, words, topic, **fields):
        with self.assertRaises(tallybus.Error) as caught:
            self.bus.publish(topic, **fields)
        self.assertEqual(caught.exception.name, name)
        self.assertIn(words, str(caught.exception))

    def test_come_back_exact(self):
        self.bus.subscribe("request.completed", self.hear)
        fields = {
            "time_ns": 1700000000123456789,
            "request_id": 'Ünï "\\ \n \U0001F642',
            "api_key": "sk-mine-0123456789",
            "model": "",
            "duration_ms": 0.1,
            "input_tokens": 2**53 + 1,
            "output_tokens": -(2**63),
            "batch": True,
            "metadata": {"a": "b", "": ""},
        }
        self.bus.publish("request.completed", finish_reason=None, **fields)
        self.bus.close()
        (topic, event), = self.events
        self.assertEqual(topic, "request.completed")
        self.assertEqual({name: event[name] for name in fields}, fields)
        self.assertNotIn("finish_reason", event)
        self.assertEqual(self.exceptions, [])

    def test_that_are_wrong_are_refused_with_words(self):
        self.refused("UV_EINVAL", "wants a string, got an object", "cache.miss", cache_type={})
        self.refused("UV_EINVAL", "not JSON", "cache.miss", cache_type="\ud800")
        self.refused("UV_EINVAL", "\\u0000", "cache.miss", cache_type="\0")
        self.refused("UV_EINVAL", "wants a whole number", "cache.hit", cached_tokens=0.5)
        with self.assertRaises(ValueError):
            self.bus.publish("cache.hit", speedup_ms=float("nan"))
        with self.assertRaises(tallybus.Error) as caught:
            self.bus.subscribe("cache.mist", self.hear)
        self.assertEqual(caught.exception.name, "UV_ENOENT")
        self.assertEqual(str(caught.exception), "there is no event type 'cache.mist'")
        with self.assertRaises(tallybus.Error) as caught:
            self.bus.subscribe("cache..mist", self.hear)
        self.assertEqual(str(caught.exception), "invalid argument")
        with self.assertRaises(ValueError):
            self.bus.subscribe("cache.miss\0", self.hear)
        with self.assertRaises(ValueError):
            self.bus.subscribe("cache.miss", self.hear, 2**31)
        self.assertEqual(tallybus._subscriptions, {})

    def test_of_other_subscribers_are_not_lost_to_one_that_raises(self):
        def stumble(topic, event):
            raise SystemExit(1)

        self.bus.subscribe("cache.*", stumble, priority=2, name="stumbling")
        self.bus.subscribe("cache.*", self.hear, priority=1)
        for _ in range(3):
            self.bus.publish("cache.miss")
        self.wait_until_delivered()
        stumbling, = (each for each in self.bus.stats()["subscribers"] if each["name"] == "stumbling")
        self.assertEqual(stumbling["errors"], 3)
        self.bus.close()
        self.assertEqual(len(self.events), 3)
        self.assertEqual([type(each) for each in self.exceptions], [SystemExit] * 3)

    def wait_until_delivered(self):
        delivered = threading.Event()
        waiting = self.bus.subscribe("decode.started", lambda topic, event: delivered.set())
        self.bus.publish("decode.started")
        self.assertTrue(delivered.wait(WAIT_S))
        waiting.close()

    def test_can_be_stopped_by_priority(self):
        self.bus.subscribe("cache.miss", lambda topic, event: tallybus.STOP, priority=2)
        self.bus.subscribe("cache.hit", lambda topic, event: True, priority=2)
        self.bus.subscribe("cache.*", self.hear, priority=1)
        self.bus.publish("cache.miss")
        self.bus.publish("cache.hit")
        self.bus.close()
        self.assertEqual([topic for topic, _ in self.events], ["cache.hit"])
        self.assertEqual(self.exceptions, [])

    def test_may_be_published_and_subscriptions_ended_in_handlers(self):
        def once(topic, event):
            self.hear(topic, event)
            subscription.close()
            self.bus.publish("cache.hit", cached_tokens=len(self.events))

        subscription = self.bus.subscribe("cache.miss", once)
        self.bus.subscribe("cache.hit", self.hear)
        self.bus.publish("cache.miss")
        self.wait_until_delivered()
        self.bus.publish("cache.miss")
        self.wait_until_delivered()
        self.assertEqual([topic for topic, _ in self.events], ["cache.miss", "cache.hit"])
        self.assertEqual(self.exceptions, [])
        subscription.close()  # again

    def test_from_many_threads_are_handled_one_at_a_time(self):
        inside, overlaps = threading.Lock(), []

        def handle(topic, event):
            if not inside.acquire(blocking=False):
                overlaps.append(event)
            self.hear(topic, event)
            inside.release()

        def publish(thread):
            for i in range(500):
                self.bus.publish("decode.completed", output_tokens=thread * 500 + i)

        subscription = self.bus.subscribe("decode.completed", handle, isolated=True)
        threads = [threading.Thread(target=publish, args=(i,)) for i in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        subscription.close()
        self.assertEqual(sorted(event["output_tokens"] for _, event in self.events), list(range(1500)))
        self.assertEqual(overlaps, [])

    def test_that_came_last_are_told_inside_of_the_handler_that_subscribes(self):
        tallybus._check(tallybus._lib.tbus_keep_last(self.bus._handle, b"cache.hit"))

        def subscribe_and_close(topic, event):
            self.bus.subscribe("cache.hit", self.hear, wants_last=True)
            self.events.append(("told before", len(self.events)))
            self.bus.close()

        self.bus.subscribe("cache.miss", subscribe_and_close)
        self.bus.publish("cache.hit")
        self.bus.publish("cache.miss")
        self.wait_until_delivered()
        self.assertEqual([topic for topic, _ in self.events], ["cache.hit", "told before"])
        self.assertEqual([str(each) for each in self.exceptions],
                         ["a handler can not close its bus: it would wait for itself"])

    def test_are_refused_by_python_from_when_the_bus_closes(self):
        """Not by the library, but for the call that had begun: its bus may be gone the moment after."""
        in_handler, refusals = threading.Event(), []

        def publish_until_refused(topic, event):
            in_handler.set()
            while len(refusals) < 100 and "the bus is closed" not in refusals:
                try:
                    self.bus.publish("cache.hit")
                except tallybus.Error as error:
                    refusals.extend([str(error)] if error.name == "UV_ESHUTDOWN" else [])

        self.bus.subscribe("cache.miss", publish_until_refused)
        self.bus.publish("cache.miss")
        self.assertTrue(in_handler.wait(WAIT_S))
        self.bus.close()
        self.assertEqual(refusals[1:] or refusals, ["the bus is closed"])

    def test_end_with_the_bus(self):
        def close(topic, event):
            self.bus.close()

        subscription = self.bus.subscribe("cache.miss", close)
        trackers = self.bus.telemetry()
        self.bus.publish("cache.miss")
        self.bus.close()
        self.assertEqual([each.name for each in self.exceptions], ["UV_EBUSY"])
        self.bus.close()
        subscription.close()
        self.refused("UV_ESHUTDOWN", "the bus is closed", "cache.miss")
        for call in (self.bus.stats, trackers.read, self.bus.telemetry, lambda: self.bus.subscribe(">", close)):
            with self.assertRaises(tallybus.Error):
                call()
        self.assertEqual(tallybus._subscriptions, {}, "handlers are let go")


unittest.main(verbosity=1)
