"""tallybus in Python, through ctypes: no compiler, no package, only the shared library.

    with tallybus.Bus() as bus:
        bus.subscribe("request.*", lambda topic, event: print(topic, event["model"]))
        bus.publish("request.completed", model="gpt-4o", output_tokens=340)

Events go both ways as JSON by field name: see tbus_publish_json_strict() and tbus_subscribe_json() in tallybus/json.h,
and catalogue.def for the types and their fields. What one has to know:

Threads. A bus opened here has a loop thread of its own, made by the C library. Handlers run on that thread, one at a
    time, or on one of their own with `isolated=True`; ctypes lets Python know of such a thread when it first calls in.
    Everything of a Bus may be called from any Python thread, and from handlers too, but for close(), and for a
    Telemetry's close() in an isolated handler.
The GIL. ctypes.CDLL gives the GIL back for as long as a C function runs, and each handler takes it. That must be so:
    publish() may wait for room in the queue, and unsubscribing and closing wait for handlers, which could not run
    otherwise (ctypes.PyDLL would wait for ever). For the same reason do not close or unsubscribe while you hold a lock
    that a handler takes. A handler in Python costs microseconds, and other Python threads delay it: where that would
    hold up the bus, isolate it.
Ownership. publish() copies. What a handler gets is a copy, too, made before it is called, and may be kept. Texts that
    the library hands out are copied and given back at once. A handler is kept alive until its subscription has ended.
Exceptions. One that leaves a handler is shown by `on_exception` (by default as a traceback on stderr), counted by the
    bus as an error of that handler, and harms nobody else; a handler that keeps failing is skipped for a while. All
    that the library refuses is raised as tallybus.Error, with its words.
The end. Close the bus (or use `with`): that delivers what is queued. A bus that is still open when the program ends is
    closed by atexit, while handlers can still run; a process that forks must open its own.
"""

import atexit
import ctypes
import ctypes.util
import errno
import itertools
import json
import os
import sys
import threading
import traceback

STOP = object()  # from a handler: no subscriber of lower priority sees this event

_STOP = 1
_ISOLATED = 1
_WHY_BYTES = 512
_HANDLER_FAILED = -errno.ECANCELED  # UV_ECANCELED: what the bus is told of a handler that raised


class Error(Exception):
    """What the library refused. `code` is libuv's, `name` its name: "UV_EINVAL", "UV_ENOBUFS", ..."""

    def __init__(self, code, why=""):
        self.code = code
        self.name = "UV_" + _lib.uv_err_name(code).decode()
        super().__init__(why or _lib.uv_strerror(code).decode())


# --- The library ---


def _load():
    """The library that TALLYBUS_LIBRARY names, or the one that the system finds."""
    path = os.environ.get("TALLYBUS_LIBRARY") or ctypes.util.find_library("tallybus") or "libtallybus.so.0"
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"tallybus: {error}; set TALLYBUS_LIBRARY to the path of libtallybus.so") from error


_lib = _load()

# Pointers are told as such: without that ctypes would take them for a C int and cut them.
_ON_EVENT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t, ctypes.c_void_p
)
_ON_CLOSE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Subscriber(ctypes.Structure):
    """tbus_subscriber_t of tallybus/bus.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("routes", ctypes.c_void_p),
        ("routes_count", ctypes.c_uint32),
        ("owner", ctypes.c_void_p),
        ("user", ctypes.c_void_p),
        ("on_batch_end", ctypes.c_void_p),
        ("on_close", _ON_CLOSE),
        ("mode", ctypes.c_uint32),
        ("isolated_queue_bytes", ctypes.c_uint32),
        ("breaker_errors", ctypes.c_uint32),
        ("breaker_cooldown_ms", ctypes.c_uint32),
        ("wants_last", ctypes.c_bool),
        ("reserved", ctypes.c_uint64 * 4),
    ]


def _declare(name, result, *arguments):
    function = getattr(_lib, name)
    function.restype = result
    function.argtypes = arguments


_HANDLE = ctypes.c_void_p
_TEXT = ctypes.POINTER(ctypes.c_void_p)

_declare("uv_strerror", ctypes.c_char_p, ctypes.c_int)
_declare("uv_err_name", ctypes.c_char_p, ctypes.c_int)
_declare("tbus_version", ctypes.c_char_p)
_declare("tbus_mem_free", None, ctypes.c_void_p)
_declare("tbus_open", ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_HANDLE))
_declare("tbus_free", ctypes.c_int, _HANDLE)
_declare(
    "tbus_publish_json_strict",
    ctypes.c_int, _HANDLE, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
)
_declare(
    "tbus_subscribe_json",
    ctypes.c_int64,
    _HANDLE, ctypes.c_char_p, ctypes.c_int32, _ON_EVENT, ctypes.c_void_p, ctypes.POINTER(_Subscriber),
)
_declare("tbus_unsubscribe", ctypes.c_int, _HANDLE, ctypes.c_int64)
_declare("tbus_unsubscribe_wait", ctypes.c_int, _HANDLE, ctypes.c_int64)
_declare("tbus_stats_to_json", ctypes.c_int, _HANDLE, _TEXT)
_declare("tbus_telemetry_open", ctypes.c_int, _HANDLE, ctypes.c_void_p, ctypes.POINTER(_HANDLE))
_declare("tbus_telemetry_close", ctypes.c_int, _HANDLE)
_declare("tbus_telemetry_json", ctypes.c_int, _HANDLE, ctypes.c_int64, _TEXT)


def version():
    return _lib.tbus_version().decode()


def _check(code, why=""):
    if code < 0:
        raise Error(code, why)
    return code


def _read_document(function, *arguments):
    """What a function says in JSON. The text is the library's: it is copied, and given back whatever happens."""
    text = ctypes.c_void_p()
    _check(function(*arguments, ctypes.byref(text)))
    try:
        return json.loads(ctypes.string_at(text.value))
    finally:
        _lib.tbus_mem_free(text)


def _c_string(text):
    if "\0" in text:
        raise ValueError("a NUL, where C would take the text to end")
    return text.encode()


# --- Handlers ---
#
# C calls two functions that live as long as this module, and hands them a number that stands for the subscription. A
# function made for each handler would have to be freed, and not while it runs.

_numbers = itertools.count(1)
_subscriptions = {}  # by number: what is subscribed, or was and may still be running
_running = threading.local()  # `bus`: whose handler this thread is in


@_ON_EVENT
def _on_event(topic, text, length, number):
    subscription = _subscriptions[number]
    outer, _running.bus = getattr(_running, "bus", None), subscription.bus  # outer: whose handler subscribed this one
    try:
        result = subscription.handler(topic.decode(), json.loads(ctypes.string_at(text, length)))
        return _STOP if result is STOP else 0
    except BaseException as error:  # nothing may leave a function that C calls
        subscription.show(error)
        return _HANDLER_FAILED
    finally:
        _running.bus = outer


@_ON_CLOSE
def _on_close(number):
    _subscriptions.pop(number, None)


def _show_traceback(error):
    traceback.print_exception(type(error), error, error.__traceback__)


class Subscription:
    """What Bus.subscribe() returns; keep it only to end it."""

    def __init__(self, bus, handler):
        self.bus = bus
        self._id = None
        self.handler = handler

    def show(self, error):
        try:
            self.bus.on_exception(error)
        except BaseException:
            traceback.print_exc(file=sys.stderr)

    def close(self):
        """Ends it. What was published before is still handled; when this returns no handler runs any more. In a handler
        nobody can be waited for: there it ends after the event at hand, an isolated one after what is in its queue."""
        handle = self.bus._handle
        if handle is None:
            return  # with its bus
        code = _lib.tbus_unsubscribe_wait(handle, self._id)
        if code == -errno.EBUSY:
            code = _lib.tbus_unsubscribe(handle, self._id)
        if code not in (-errno.ENOENT, -errno.ESHUTDOWN):  # it has ended, or is about to
            _check(code)


# --- The bus ---


class Bus:
    """A bus with a loop and a thread of its own."""

    def __init__(self, on_exception=_show_traceback):
        self.on_exception = on_exception
        self._closing = threading.Lock()
        self._telemetry = []
        handle = _HANDLE()
        _check(_lib.tbus_open(None, ctypes.byref(handle)))
        self._handle = handle
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open_handle(self):
        if self._handle is None:
            raise Error(-errno.ESHUTDOWN, "the bus is closed")
        return self._handle

    def publish(self, type, **fields):
        """Publishes an event. Fields that are None are left out; `metadata` is a dict of strings."""
        event = {"type": type}
        event.update((name, value) for name, value in fields.items() if value is not None)
        self.publish_json(json.dumps(event, allow_nan=False))

    def publish_json(self, text):
        """Publishes the event that a text tells, such as one that a subscriber was given."""
        text = text.encode("utf-8")
        why = ctypes.create_string_buffer(_WHY_BYTES)
        code = _lib.tbus_publish_json_strict(self._open_handle(), text, len(text), why, len(why))
        _check(code, why.value.decode())

    def subscribe(self, pattern, handler, priority=0, *, isolated=False, name="", wants_last=False):
        """Calls handler(topic, event) with each event that the pattern matches, as a dict, API keys as they are."""
        handle, pattern_bytes = self._open_handle(), _c_string(pattern)
        if not -(2**31) <= priority < 2**31:
            raise ValueError(f"a priority has 32 bits, and {priority} has more")
        subscription = Subscription(self, handler)
        options = _Subscriber(
            name=_c_string(name), mode=_ISOLATED if isolated else 0, wants_last=wants_last, on_close=_on_close
        )
        number = next(_numbers)
        _subscriptions[number] = subscription  # before the first event
        code = _lib.tbus_subscribe_json(
            handle, pattern_bytes, priority, _on_event, number, ctypes.byref(options)
        )
        if code < 0:
            del _subscriptions[number]
        subscription._id = _check(code, f"there is no event type '{pattern}'" if code == -errno.ENOENT else "")
        return subscription

    def stats(self):
        """The bus's figures: see docs/bus-stats.schema.json."""
        return _read_document(_lib.tbus_stats_to_json, self._open_handle())

    def telemetry(self):
        """All trackers, subscribed to this bus; closed with it."""
        telemetry = Telemetry(self._open_handle())
        self._telemetry.append(telemetry)
        return telemetry

    def close(self):
        """Delivers what is queued, as far as that takes no longer than 5 seconds, and ends the thread. Not in a handler,
        which would wait for itself. Closing again does nothing. No other thread may be using the bus any more."""
        if getattr(_running, "bus", None) is self:
            raise Error(-errno.EBUSY, "a handler can not close its bus: it would wait for itself")
        with self._closing:
            if self._handle is None:
                return
            while self._telemetry:
                self._telemetry[-1].close()
                self._telemetry.pop()
            # From here on nobody begins a call on what is about to be gone: a thread that still publishes is refused.
            handle, self._handle = self._handle, None
            code = _lib.tbus_free(handle)
            if code < 0:
                self._handle = handle
            _check(code)
        atexit.unregister(self.close)


class Telemetry:
    """The trackers of errors, requests, phases, streams, cost, budgets, models and KV cache."""

    def __init__(self, bus_handle):
        handle = _HANDLE()
        _check(_lib.tbus_telemetry_open(bus_handle, None, ctypes.byref(handle)))
        self._handle = handle

    def read(self):
        """What they know, as one document: see docs/telemetry.schema.json. Money is decimal text: give it to
        decimal.Decimal, not to float."""
        if self._handle is None:
            raise Error(-errno.ESHUTDOWN, "the trackers are closed")
        return _read_document(_lib.tbus_telemetry_json, self._handle, 0)

    def close(self):
        """What was published before is still recorded. Closing again does nothing."""
        if self._handle is not None:
            _check(_lib.tbus_telemetry_close(self._handle))
            self._handle = None
