/* A web server for what the bus and the trackers know: Prometheus text and JSON over HTTP/1.1.
 *
 *   tbus_web_t *web;
 *   int error = tbus_web_open(&(tbus_web_options_t){.port = 9464, .bus = bus, .streaming = streaming}, &web);
 *   ...
 *   tbus_web_close(web);
 *
 * It has a thread of its own, so a slow or hostile client never delays the bus; all signals are blocked there. Nothing
 * is shown unless it was handed in.
 *
 *   /                               the dashboard, for a browser: it asks for the documents below every 2 s and draws them
 *                                   as they change. The page itself holds no figure, so that it is served without the
 *                                   token; where one is set it asks for it and keeps it until its tab is closed
 *   /metrics, /metrics/prometheus   all that is served, and the process itself, for Prometheus: as OpenMetrics where Accept
 *                                   prefers that, else as text; ?only=bus|streaming|errors|costs|budgets|requests|
 *                                   models|inference|kv-cache|process
 *
 * These are JSON, or a Prometheus page of either format where Accept prefers it. Filters are of the JSON alone: with one
 * it is all there is.
 *   /metrics/bus                    the bus
 *   /metrics/streaming              ?model=, ?limit=N
 *   /metrics/errors                 ?endpoint=, ?model=, ?limit=N
 *   /metrics/costs                  ?endpoint=, ?model=, ?limit=N; ?hours=N: what was used in the hour at hand and the
 *                                   N - 1 before it alone (docs/cost-period.schema.json), 1 .. 744
 *   /metrics/budgets                ?scope=all|key|user|project, ?subject=, ?limit=N
 *   /metrics/requests               ?endpoint=, ?limit=N
 *   /metrics/models                 ?model=, ?limit=N
 *   /metrics/inference              ?model=, ?limit=N
 *   /metrics/kv-cache               ?endpoint=, ?limit=N
 *
 * And these JSON alone:
 *   /metrics/streaming/{id}         one stream, active or kept
 *   /metrics/errors/recent          the latest errors; ?limit=N, ?endpoint=, ?type=, ?after_ns=N
 *   /metrics/error-patterns         ?limit=N, ?count_min=N, ?seen_after_ns=N
 *   /metrics/slo                    the SLOs; ?endpoint=, ?limit=N, ?window=5m|30m|1h|2h|6h|1d|3d: the burn rate over
 *                                   that window alone, and the alerts that look at it. Burn rates are of now, alerts
 *                                   as they were looked at last: see tbus_errors_evaluate()
 *   /metrics/costs/{key}            one key, by its redacted form, as /metrics/costs tells it; never by the whole key
 *   /metrics/models/compare         ?a=MODEL&b=MODEL, both needed
 *   /metrics/models/ranking         ?by=FIGURE (requests, cost_usd, latency_p95_ms, ...: see models.h), ?limit=N
 *   /health                         {"status":"ok"}: the server answers. No token needed
 *
 * A filter leaves out rows of lists: `limit` all of each list but the first N, a name all that are of other names. The
 * documents are described in json.h and docs/NAME.schema.json.
 *
 * GET and HEAD; gzip where Accept-Encoding wants it. What goes wrong is told in JSON:
 * {"error":{"status":400,"message":"..."}} (docs/fault.schema.json). The status is
 *   400 a path, parameter or header name that is none     413 a request with a body
 *   401 the token is missing or wrong                     414 a URL of more than TBUS_WEB_URL_MAX bytes
 *   404 no such path, or what it shows was not handed in  421 a Host that this server does not go by
 *   405 another method                                    431 too many or too large headers or cookies
 *   406 no kind or coding that the client accepts         503 no memory for the reply
 * A refused body need not be sent; one that is can be sent to its end. Its connection is closed then.
 * "GET http://HOST/PATH", as clients of a proxy ask, is understood, too; that HOST counts then, not the header.
 * (Requests that are not HTTP, or too large to be read at all, are answered with a line of HTML instead: 400, 414,
 * 431, 505. One whose cookies take all of a connection's memory gets a 431 without a body, and none where more comes
 * behind it at once.)
 *
 * Safe by default: it listens on 127.0.0.1 alone; connections, sizes, and the time that a client may take are limited;
 * without a token, and on a loopback address, it answers only requests whose Host is "localhost" or an address, so that
 * no web page can reach it by a name of its own. There is no TLS: put a proxy before it.
 *
 * Built without HTTP (-Dhttp=disabled), or where the system has no epoll, tbus_web_open() returns UV_ENOTSUP. */
#ifndef TALLYBUS_WEB_H
#define TALLYBUS_WEB_H

#include <tallybus/budget.h>
#include <tallybus/bus.h>
#include <tallybus/cost.h>
#include <tallybus/errors.h>
#include <tallybus/streaming.h>
#include <tallybus/telemetry.h>

TBUS_BEGIN_DECLS

typedef struct tbus_web tbus_web_t;

#define TBUS_WEB_URL_MAX 2048      /* bytes of a request's path with its parameters */
#define TBUS_WEB_HEADERS_MAX 64    /* headers of a request */
#define TBUS_WEB_REQUEST_MAX 16384 /* bytes of a request's first line and headers */
#define TBUS_WEB_TOKEN_MAX 256     /* bytes of a token */

typedef struct tbus_web_options {
    const char *address; /* to listen on: an IPv4 or IPv6 address, no name; default "127.0.0.1". "::" and "0.0.0.0" are
                            all of the machine's: give a token then */
    uint16_t port;       /* default 0 = a free one; see tbus_web_port() */
    const char
        *token;    /* (copied) every request but / and /health must bring "Authorization: Bearer TOKEN"; visible ASCII,
                            1 .. 256 bytes; NULL = no token is asked for */
    bool any_host; /* do not look at Host: for a proxy on this machine that hands on the name it was called by */
    uint32_t connections_max;             /* further ones wait until one ends: 1 .. 4,096; default 64 */
    uint32_t connections_per_address_max; /* further ones from the same address are closed; default: half of the above
                                           */
    uint32_t wait_max_ms; /* how long a client may take to send a request, from the connection or the last reply on, and
                             then again to take the reply, and after a last one to close: 10 .. 600,000; default
                             10,000. Then it is cut off; until then it has its place */
    /* What is served: borrowed until tbus_web_close(). NULL = its paths are 404. */
    const tbus_t *bus;
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    tbus_budgets_t *budgets;
    tbus_requests_t *requests;
    tbus_inference_t *inference;
    tbus_models_t *models;
    tbus_kvcache_t *kvcache;
    /* Stands for each of its trackers of which none is given above; it must not be closed before the server. */
    const tbus_telemetry_t *telemetry;
    /* Where the trackers' windows end: nanoseconds since 1970; default: the system's clock. 0 from it means the latest
     * time recorded, which is right for times that are not of today, as in a replay. Streams idle
     * past their limit at that moment are ended. Costs are projected from it; budgets go by their own clock. Called on
     * the server's thread. */
    int64_t (*clock)(void *user);
    void *clock_user;
    uint64_t reserved[11];
} tbus_web_options_t;

/* Begins to serve. Memory: about 2.2 KiB for each of `connections_max`, 24 KiB more for each that is open, and the
 * replies under way. Errors: UV_EINVAL (NULL, an option out of its range, an address that is none), UV_ENOMEM,
 * UV_ENOTSUP, and what the system says of the socket, the address (UV_EADDRINUSE, UV_EACCES, UV_EADDRNOTAVAIL) and the
 * thread. [any thread] */
TBUS_API TBUS_CHECKED int tbus_web_open(const tbus_web_options_t *options, tbus_web_t **ret_web);

/* The port that it listens on; 0 for NULL. [any thread] */
TBUS_API uint16_t tbus_web_port(const tbus_web_t *web);

/* Ends it: every connection is closed, replies that are under way are cut short, the thread is waited for, which takes
 * as long as the page takes that is being written at the moment: milliseconds. NULL is allowed. [any thread, handlers
 * too] */
TBUS_API void tbus_web_close(tbus_web_t *web);

TBUS_END_DECLS

#endif
