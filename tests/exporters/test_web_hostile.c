/* Clients that mean harm, and clients that are slow: each gets what it deserves, the others and the bus go on. */
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>

#include <tallybus.h>

#include "exporters/web_server.h"
#include "tests/exporters/web_client.h"

/* How long a server waits where a test waits until it does no more: long enough for what the test has to send before. */
#define IMPATIENT_MS 3000

#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* --- A table of the test's own --- */

static uv_sem_t entered, go_on;

static int write_when_told(const struct web_request *request, struct text *text)
{
    (void)request;
    uv_sem_post(&entered);
    uv_sem_wait(&go_on);
    text_add(text, "late");
    return 0;
}

static int write_much(const struct web_request *request, struct text *text)
{
    (void)request;
    for (int i = 0; i < 2000; i++) {
        char block[8192];
        memset(block, 'a' + i % 26, sizeof block);
        text_add_bytes(text, block, sizeof block);
    }
    return 0;
}

static int write_segment(const struct web_request *request, struct text *text)
{
    if (strcmp(request->segment, "none") == 0)
        return UV_ENOENT;
    if (strcmp(request->segment, "broken") == 0)
        return UV_EIO;
    text_add(text, request->segment);
    return 0;
}

static const struct web_media plain = {"text/plain", NULL, "text/plain", NULL};
static const struct web_route routes[] = {{"/slow", .forms = {{&plain, write_when_told}}},
                                          {"/much", .forms = {{&plain, write_much}}},
                                          {"/segment/{name}", .forms = {{&plain, write_segment}}},
                                          {"/health", .forms = {{&plain, write_segment}}},
                                          {0}};

static tbus_web_t *open_web(tbus_web_options_t options)
{
    tbus_web_t *web;
    cr_assert_eq(tbus_web_open(&options, &web), 0);
    return web;
}

static void expect_health(int client)
{
    struct web_got got = web_receive(client, false);
    cr_assert_eq(got.status, 200);
    cr_assert_str_eq(got.body, "{\"status\":\"ok\"}");
    free(got.bytes);
}

/* Reads until the other side closes; returns what came, NUL-terminated, to be freed. */
static char *read_to_end(int client)
{
    char *bytes = malloc(WEB_REPLY_ROOM);
    size_t length = 0, more;
    while ((more = web_read_some(client, bytes + length, WEB_REPLY_ROOM - 1 - length)) > 0)
        length += more;
    bytes[length] = '\0';
    return bytes;
}

/* --- Requests as they may come --- */

Test(web_hostile, a_request_may_come_byte_by_byte)
{
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    int client = web_connect(tbus_web_port(web));
    for (const char *at = GET_HEALTH; *at; at++)
        web_send(client, at, 1);
    expect_health(client);
    close(client);
    tbus_web_close(web);
}

Test(web_hostile, requests_in_one_piece_are_answered_in_their_order)
{
    tbus_web_t *web;
    enum { REQUESTS = 50 };
    char all[REQUESTS * 64] = "";
    cr_assert_eq(web_open(&(tbus_web_options_t){0}, routes, &web), 0);
    for (int i = 0; i < REQUESTS; i++)
        snprintf(all + strlen(all), 64, "GET /segment/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
    int client = web_connect(tbus_web_port(web));
    web_send(client, all, strlen(all));
    for (int i = 0; i < REQUESTS; i++) {
        char expected[16];
        struct web_got got = web_receive(client, false);
        snprintf(expected, sizeof expected, "%d", i);
        cr_assert_str_eq(got.body, expected);
        free(got.bytes);
    }
    close(client);
    tbus_web_close(web);
}

Test(web_hostile, what_a_writer_says_becomes_a_status)
{
    tbus_web_t *web;
    cr_assert_eq(web_open(&(tbus_web_options_t){0}, routes, &web), 0);
    web_expect(tbus_web_port(web), "/segment/none", "", 404, "nothing by this name");
    web_expect(tbus_web_port(web), "/segment/broken", "", 500, "this can not be shown");
    web_expect(tbus_web_port(web), "/segment/a%2Fb%20c", "", 200, "a/b c");
    tbus_web_close(web);
}

Test(web_hostile, what_is_no_http_is_refused_and_closed)
{
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    const char *const requests[] = {"\x16\x03\x01\x02\r\n\r\n",
                                    "GET /health\r\n\r\n",
                                    "GET /health HTTP/1.1\r\n\r\n",
                                    "GET /health HTTP/3.0\r\nHost: localhost\r\n\r\n",
                                    "GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                    "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                                    "GET /health HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n"};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int client = web_connect(tbus_web_port(web));
        web_send(client, requests[i], strlen(requests[i]));
        shutdown(client, SHUT_WR);
        char *got = read_to_end(client);
        cr_assert_null(strstr(got, " 200 "), "%zu: %s", i, got);
        free(got);
        close(client);
    }
    web_expect(tbus_web_port(web), "/health", "", 200, "ok");
    tbus_web_close(web);
}

/* --- Where a request ends --- */

/* What follows such a head would be a body for one server and a request for another. Each is refused, and what follows is
 * not answered. */
Test(web_hostile, a_request_whose_end_is_not_certain_is_the_last_one)
{
    static const struct {
        const char *headers;
        int status;
    } cases[] = {{"Content-Length : 44\r\n", 400},
                 {"Content-Length\t: 44\r\n", 400},
                 {"Transfer-Encoding : chunked\r\n", 400},
                 {"Transfer-Encoding:\r\n chunked\r\n", 400},
                 {"Content-Length:\r\n\t44\r\n", 400},
                 {"Content-Length: 0\r\nContent-Length: 44\r\n", 413},
                 {"Content-Length: 44\r\nContent-Length: 0\r\n", 413},
                 {"Content-Length: 44\r\nTransfer-Encoding: chunked\r\n", 413},
                 {"Transfer-Encoding: identity\r\n", 413},
                 {"Con(tent: 1\r\n", 400},
                 {"X\x80: 1\r\n", 400},
                 {"X Y: 1\r\n", 400}};
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[512];
        snprintf(request, sizeof request, "GET /health HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s", cases[i].headers,
                 GET_HEALTH);
        int client = web_connect(tbus_web_port(web));
        web_send(client, request, strlen(request));
        struct web_got got = web_receive(client, false);
        cr_assert_eq(got.status, cases[i].status, "%s: %s", cases[i].headers, got.bytes);
        cr_assert_not_null(web_header(&got, "Connection"), "%s: %s", cases[i].headers, got.bytes);
        cr_assert_str_eq(web_header(&got, "Connection"), "close");
        cr_assert(web_is_closed(client), "%s: what follows is answered, too", cases[i].headers);
        free(got.bytes);
        close(client);
    }
    web_expect(tbus_web_port(web), "/health", "!#$%&'*+-.^_`|~aZ09: any token is a name\r\n", 200, "ok");
    tbus_web_close(web);
}

Test(web_hostile, a_url_does_not_end_at_a_nul)
{
    static const char requests[][56] = {"GET /health\0evil HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                        "GET /health\0HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                        "GET /health?\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int client = web_connect(tbus_web_port(web));
        web_send(client, requests[i], sizeof requests[i]); /* NULs behind it are of no request */
        struct web_got got = web_receive(client, false);
        cr_assert_eq(got.status, 400, "%zu: %s", i, got.bytes);
        cr_assert(web_is_closed(client));
        free(got.bytes);
        close(client);
    }
    tbus_web_close(web);
}

/* --- As much as is read --- */

/* `count` times `piece` behind `begin`; to be freed. */
static char *repeated(const char *begin, const char *piece, size_t count)
{
    size_t length = strlen(begin), step = strlen(piece);
    char *text = malloc(length + count * step + 1);
    cr_assert_not_null(text);
    memcpy(text, begin, length);
    for (size_t i = 0; i < count; i++)
        memcpy(text + length + i * step, piece, step);
    text[length + count * step] = '\0';
    return text;
}

/* Sends a request of these parts on a connection of its own and returns the status of the reply. */
static int status_of(uint16_t port, const char *begin, const char *middle, const char *end)
{
    size_t length = strlen(begin) + strlen(middle) + strlen(end);
    char *request = malloc(length + 1);
    cr_assert_not_null(request);
    snprintf(request, length + 1, "%s%s%s", begin, middle, end);
    int client = web_connect(port);
    web_send(client, request, length);
    struct web_got got = web_receive(client, false);
    int status = got.status;
    free(got.bytes);
    free(request);
    close(client);
    return status;
}

Test(web_hostile, a_url_may_have_as_many_parameters_as_fit_into_it)
{
    static const struct {
        const char *piece;
        size_t most;
        int status;
    } cases[] = {{"&", TBUS_WEB_URL_MAX - 8, 200}, {"a=b&", (TBUS_WEB_URL_MAX - 8) / 4, 400}, {"?", 2040, 400}};
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = 600000});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t count = 1; count <= cases[i].most; count += count > 200 && count < 300 ? 1 : 100) {
            char *query = repeated("/health?", cases[i].piece, count);
            int status = status_of(tbus_web_port(web), "GET ", query, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
            cr_assert_eq(status, cases[i].status, "%zu times %s: %d", count, cases[i].piece, status);
            free(query);
        }
        char *query = repeated("/health?", cases[i].piece, cases[i].most);
        web_expect(tbus_web_port(web), query, "", cases[i].status, "");
        free(query);
    }
    tbus_web_close(web);
}

/* A reply of a length in which a request fits, and of each in which it nearly fits into the connection's memory, and
 * past it. Larger than `served` it must be refused. */
static void sweep(uint16_t port, const char *begin, const char *piece, const char *end, size_t first, size_t last,
                  size_t step, size_t served)
{
    for (size_t bytes = first; bytes <= last; bytes += step) {
        size_t around = strlen(begin) + strlen(end);
        char *middle = repeated("", piece, bytes > around ? (bytes - around) / strlen(piece) : 0);
        size_t sent = around + strlen(middle);
        int status = status_of(port, begin, middle, end);
        cr_assert(status == 200 ? sent <= served : status == 431 || status == 414, "%zu bytes of '%s': %d", sent, piece,
                  status);
        free(middle);
    }
}

Test(web_hostile, a_request_of_any_size_is_answered)
{
    enum { LAST = 28000 };
    static const char get[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
    char many[512] = "", cookie[128], header[128];
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = 600000});
    uint16_t port = tbus_web_port(web);
    snprintf(header, sizeof header, "%sX: ", get);
    snprintf(cookie, sizeof cookie, "%sCookie: ", get);
    snprintf(many, sizeof many, "%s", get);
    for (int i = 0; i < 40; i++)
        strcat(many, "X: y\r\n");
    strcat(many, "X: ");
    sweep(port, header, "a", "\r\n\r\n", 100, TBUS_WEB_REQUEST_MAX, 777, TBUS_WEB_REQUEST_MAX);
    sweep(port, header, "a", "\r\n\r\n", 16300, 16500, 1, TBUS_WEB_REQUEST_MAX);
    sweep(port, header, "a", "\r\n\r\n", 22000, LAST, 20, TBUS_WEB_REQUEST_MAX);
    sweep(port, many, "a", "\r\n\r\n", 13000, LAST, 20, TBUS_WEB_REQUEST_MAX);
    sweep(port, "GET /", "a", " HTTP/1.1\r\nHost: localhost\r\n\r\n", 3000, LAST, 20, 0);
    sweep(port, get, "X:y\r\n", "\r\n", 500, 6000, 5, sizeof get - 1 + 2 + 5 * (TBUS_WEB_HEADERS_MAX - 1));
    sweep(port, cookie, "a=b;", "\r\n\r\n", 100, 4000, 4, TBUS_WEB_REQUEST_MAX);
    sweep(port, cookie, ";", "\r\n\r\n", 100, 2000, 1, TBUS_WEB_REQUEST_MAX);
    /* Up to where libmicrohttpd refuses by itself: of a cookie in its last bytes it may not get that out. */
    sweep(port, cookie, "a", "\r\n\r\n", 10000, 24000, 20, TBUS_WEB_REQUEST_MAX);
    sweep(port, "", "\r\n", "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 22000, LAST, 20, LAST);
    tbus_web_close(web);
}

Test(web_hostile, a_request_without_room_for_its_cookies_is_refused_without_a_body)
{
    static const char *const methods[] = {"GET", "HEAD"};
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = 600000});
    for (int i = 0; i < 2; i++) {
        char begin[128], reply[4096];
        snprintf(begin, sizeof begin, "%s /health HTTP/1.1\r\nHost: localhost\r\nCookie: ", methods[i]);
        char *request = repeated(begin, "a=b;", 500);
        int client = web_connect(tbus_web_port(web));
        web_send(client, request, strlen(request));
        web_send(client, "\r\n\r\n", 4);
        size_t length = 0;
        for (size_t more = 1; more > 0; length += more) {
            more = web_read_some(client, reply + length, sizeof reply - 1 - length);
            reply[length + more] = '\0';
        }
        cr_assert_eq(strncmp(reply, "HTTP/1.1 431 ", 13), 0, "%s", reply);
        cr_assert_str_eq(strstr(reply, "\r\n\r\n"), "\r\n\r\n", "%s", reply);
        free(request);
        close(client);
    }
    tbus_web_close(web);
}

Test(web_hostile, blanks_behind_a_host_are_not_a_part_of_it)
{
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = 600000});
    int client = web_connect(tbus_web_port(web));
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost \t\r\n\r\n";
    web_send(client, request, strlen(request));
    expect_health(client);
    close(client);
    tbus_web_close(web);
}

/* A request of the full size is served with as many headers as there may be, and with 100 cookies. */
Test(web_hostile, what_the_limits_allow_is_served)
{
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    char *begin = repeated("GET /health HTTP/1.1\r\nHost: localhost\r\n", "X:y\r\n", TBUS_WEB_HEADERS_MAX - 2);
    char *middle = repeated("X:", "a", TBUS_WEB_REQUEST_MAX - strlen(begin) - strlen("X:\r\n\r\n"));
    cr_assert_eq(status_of(tbus_web_port(web), begin, middle, "\r\n\r\n"), 200);
    cr_assert_eq(status_of(tbus_web_port(web), begin, middle, "a\r\n\r\n"), 431);
    char *cookies = repeated("Cookie: ", "a=b;", 100);
    cr_assert_eq(status_of(tbus_web_port(web), "GET /health HTTP/1.1\r\nHost: localhost\r\n", cookies, "\r\n\r\n"),
                 200);
    free(begin);
    free(middle);
    free(cookies);
    tbus_web_close(web);
}

/* --- More than is read --- */

static void send_much(int client, size_t bytes)
{
    static char block[1 << 16];
    memset(block, 'a', sizeof block);
    for (size_t sent = 0; sent < bytes; sent += sizeof block)
        web_send(client, block, sizeof block);
}

Test(web_hostile, headers_without_end_are_refused)
{
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    static const struct {
        const char *begin;
        int status;
    } cases[] = {{"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", 431}, {"GET /", 414}};
    for (int i = 0; i < 2; i++) {
        int client = web_connect(tbus_web_port(web));
        web_send(client, cases[i].begin, strlen(cases[i].begin));
        send_much(client, 4 << 20); /* refused already, and not with a reset, which could come before the reply */
        struct web_got got = web_receive(client, false);
        cr_assert_eq(got.status, cases[i].status, "%s", got.bytes);
        cr_assert(web_is_closed(client));
        free(got.bytes);
        close(client);
    }
    web_expect(tbus_web_port(web), "/health", "", 200, "ok");
    tbus_web_close(web);
}

Test(web_hostile, who_sends_a_body_can_send_it_all_and_read_why_it_is_refused)
{
    enum { BODY = 8 << 20 };
    static const struct {
        const char *method, *path, *headers;
        int status;
    } cases[] = {{"POST", "/health", "Content-Length: 8388608\r\n", 405},
                 {"PUT", "/", "Content-Length: 8388608\r\n", 405},
                 {"POST", "/metrics", "Transfer-Encoding: chunked\r\n", 401},
                 {"POST", "/nothing", "Content-Length: 8388608\r\nAuthorization: Bearer house\r\n", 404},
                 {"POST", "/metrics", "Content-Length: 8388608\r\nAuthorization: Bearer house\r\n", 405},
                 {"GET", "/health", "Content-Length: 8388608\r\n", 413},
                 {"GET", "/health", "Transfer-Encoding: chunked\r\n", 413}};
    tbus_web_t *web = open_web((tbus_web_options_t){.token = "house"});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[256];
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", cases[i].method, cases[i].path,
                 cases[i].headers);
        int client = web_connect(tbus_web_port(web));
        web_send(client, head, strlen(head));
        send_much(client, BODY);
        struct web_got got = web_receive(client, false);
        cr_assert_eq(got.status, cases[i].status, "%s: %s", head, got.bytes);
        cr_assert_not_null(strstr(got.body, "{\"error\":"), "%s", got.bytes);
        cr_assert(web_is_closed(client), "what follows could be the body");
        free(got.bytes);
        close(client);
    }
    tbus_web_close(web);
}

/* There is one place: another is served when the first has lost it. */
Test(web_hostile, a_body_without_end_is_cut_off)
{
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = IMPATIENT_MS, .connections_max = 1});
    int client = web_connect(tbus_web_port(web));
    static char block[1 << 16];
    web_send(client, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9223372036854775807\r\n\r\n", 74);
    uint64_t begin = uv_hrtime();
    while (send(client, block, sizeof block, MSG_NOSIGNAL) > 0)
        cr_assert_lt(uv_hrtime() - begin, UINT64_C(60000000000), "it was never cut off");
    web_expect(tbus_web_port(web), "/health", "", 200, "ok");
    close(client);
    int silent = web_connect(tbus_web_port(web)); /* nor is the place kept by who neither sends nor closes */
    web_send(silent, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n", 56);
    struct web_got got = web_receive(silent, false);
    cr_assert_eq(got.status, 405);
    free(got.bytes);
    web_expect(tbus_web_port(web), "/health", "", 200, "ok");
    close(silent);
    tbus_web_close(web);
}

Test(web_hostile, a_place_is_free_as_soon_as_a_refused_client_has_closed)
{
    tbus_web_t *web = open_web((tbus_web_options_t){.connections_max = 1, .wait_max_ms = 600000});
    for (int i = 0; i < 20; i++) {
        struct web_got got = web_ask(tbus_web_port(web), "POST", "/health", "Content-Length: 1\r\n");
        cr_assert_eq(got.status, 405);
        free(got.bytes);
    }
    int client = web_connect(tbus_web_port(web));
    web_send(client, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n", 56);
    struct web_got got = web_receive(client, false);
    free(got.bytes);
    tbus_web_close(web); /* at once, though it could wait for minutes */
    cr_assert(web_is_closed(client));
    close(client);
}

/* --- Time --- */

Test(web_hostile, a_byte_now_and_then_does_not_keep_a_connection)
{
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = IMPATIENT_MS});
    int client = web_connect(tbus_web_port(web));
    struct pollfd wait = {.fd = client, .events = POLLIN};
    uint64_t begin = uv_hrtime();
    web_send(client, "GET /health HTTP/1.1\r\nX: ", 25);
    while (poll(&wait, 1, 10) == 0) { /* poll() is what paces it; nothing is concluded from how often */
        cr_assert_lt(uv_hrtime() - begin, UINT64_C(60000000000), "it was never cut off");
        (void)!send(client, "y", 1, MSG_NOSIGNAL);
    }
    cr_assert(web_is_closed(client));
    close(client);
    tbus_web_close(web);
}

Test(web_hostile, connections_that_say_nothing_are_cut_off)
{
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = IMPATIENT_MS});
    int silent = web_connect(tbus_web_port(web)), kept = web_connect(tbus_web_port(web));
    web_send(kept, GET_HEALTH, strlen(GET_HEALTH));
    expect_health(kept);
    cr_assert(web_is_closed(silent));
    cr_assert(web_is_closed(kept), "a connection without a further request is cut, too");
    close(silent);
    close(kept);
    tbus_web_close(web);
}

/* There is one place, so that another is served says that the first has lost it. */
Test(web_hostile, a_client_that_does_not_read_is_cut_off)
{
    tbus_web_t *web;
    cr_assert_eq(web_open(&(tbus_web_options_t){.wait_max_ms = IMPATIENT_MS, .connections_max = 1}, routes, &web), 0);
    int client = web_connect(tbus_web_port(web));
    web_send(client, "GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
    struct pollfd wait = {.fd = client, .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, WEB_PATIENCE_MS), 1);
    web_expect(tbus_web_port(web), "/segment/x", "", 200, "x");
    close(client);
    tbus_web_close(web);
}

/* --- Many --- */

Test(web_hostile, further_connections_of_an_address_are_closed)
{
    tbus_web_t *web = open_web((tbus_web_options_t){.connections_max = 8, .connections_per_address_max = 2});
    int first = web_connect(tbus_web_port(web)), second = web_connect(tbus_web_port(web));
    web_send(first, GET_HEALTH, strlen(GET_HEALTH));
    web_send(second, GET_HEALTH, strlen(GET_HEALTH));
    expect_health(first);
    expect_health(second);
    int third = web_connect(tbus_web_port(web));
    cr_assert(web_is_closed(third));
    close(first);
    for (bool served = false; !served;) { /* until the server has seen that one has gone */
        int next = web_connect(tbus_web_port(web));
        char byte;
        (void)!send(next, GET_HEALTH, strlen(GET_HEALTH), MSG_NOSIGNAL);
        served = web_read_some(next, &byte, 1) == 1;
        close(next);
    }
    close(second);
    close(third);
    tbus_web_close(web);
}

Test(web_hostile, past_the_limit_connections_wait_until_one_ends)
{
    tbus_web_t *web = open_web((tbus_web_options_t){.connections_max = 2, .connections_per_address_max = 2});
    int first = web_connect(tbus_web_port(web)), second = web_connect(tbus_web_port(web));
    web_send(first, GET_HEALTH, strlen(GET_HEALTH));
    web_send(second, GET_HEALTH, strlen(GET_HEALTH));
    expect_health(first);
    expect_health(second);
    int third = web_connect(tbus_web_port(web));
    web_send(third, GET_HEALTH, strlen(GET_HEALTH));
    struct pollfd wait = {.fd = third, .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, 20), 0, "it is not served while the others are there");
    close(first);
    expect_health(third);
    close(second);
    close(third);
    tbus_web_close(web);
}

static int on_event(const tbus_event_t *event, void *user)
{
    int64_t *last = user;
    const tbus_model_selected_t *selected = tbus_as_model_selected(event);
    cr_assert_eq(selected->context_window, *last + 1, "out of order");
    *last = selected->context_window;
    return 0;
}

/* As many descriptors as wanted, or how many there are. */
static int descriptors(int wanted)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < (rlim_t)wanted) {
        limit.rlim_cur = limit.rlim_max < (rlim_t)wanted ? limit.rlim_max : (rlim_t)wanted;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    return limit.rlim_cur < (rlim_t)wanted ? (int)limit.rlim_cur : wanted;
}

Test(web_hostile, a_thousand_idle_connections_leave_the_bus_and_others_alone)
{
    enum { WANTED = 1000, EVENTS = 20000 };
    int idle = (descriptors(2 * WANTED + 100) - 100) / 2;
    tbus_t *bus;
    int64_t last = 0;
    if (idle < WANTED)
        fprintf(stderr, "only %d connections: RLIMIT_NOFILE allows no more\n", idle);
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_gt(tbus_subscribe(bus, "model.selected", 0, on_event, &last), 0);
    tbus_web_t *web = open_web((tbus_web_options_t){
        .bus = bus, .connections_max = 1100, .connections_per_address_max = 1100, .wait_max_ms = 600000});
    int *clients = malloc((size_t)idle * sizeof *clients);
    for (int i = 0; i < idle; i++) {
        clients[i] = web_connect(tbus_web_port(web));
        if (i % 2) /* half of them begin a request */
            web_send(clients[i], "GET /hea", 8);
    }
    for (int i = 1; i <= EVENTS; i++)
        cr_assert_eq(tbus_publish_model_selected(bus, &(tbus_model_selected_t){.context_window = i}), 0);
    web_expect(tbus_web_port(web), "/metrics", "", 200, "\ntallybus_bus_published_total 20000\n");
    for (int i = 1; i < idle; i += 2) { /* and each of them is there still */
        web_send(clients[i], "lth HTTP/1.1\r\nHost: localhost\r\n\r\n", 34);
        expect_health(clients[i]);
    }
    cr_assert_eq(tbus_unsubscribe_owner(bus, &last), 0);
    tbus_web_close(web);
    for (int i = 0; i < idle; i++) {
        cr_assert(web_is_closed(clients[i]));
        close(clients[i]);
    }
    free(clients);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(last, EVENTS);
}

/* A page that takes for ever holds up other pages, and nothing of the bus. */
Test(web_hostile, the_bus_goes_on_while_a_page_is_written)
{
    tbus_t *bus;
    int64_t last = 0;
    cr_assert_eq(uv_sem_init(&entered, 0), 0);
    cr_assert_eq(uv_sem_init(&go_on, 0), 0);
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    int64_t subscription = tbus_subscribe(bus, "model.selected", 0, on_event, &last);
    cr_assert_gt(subscription, 0);
    tbus_web_t *web;
    cr_assert_eq(web_open(&(tbus_web_options_t){.bus = bus}, routes, &web), 0);
    int client = web_connect(tbus_web_port(web));
    web_send(client, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
    uv_sem_wait(&entered);
    for (int i = 1; i <= 1000; i++)
        cr_assert_eq(tbus_publish_model_selected(bus, &(tbus_model_selected_t){.context_window = i}), 0);
    cr_assert_eq(tbus_unsubscribe_wait(bus, subscription), 0);
    cr_assert_eq(last, 1000);
    uv_sem_post(&go_on);
    struct web_got got = web_receive(client, false);
    cr_assert_str_eq(got.body, "late");
    free(got.bytes);
    close(client);
    tbus_web_close(web);
    cr_assert_eq(tbus_free(bus), 0);
    uv_sem_destroy(&entered);
    uv_sem_destroy(&go_on);
}

/* --- The end --- */

static void close_web(void *web)
{
    tbus_web_close(web);
}

Test(web_hostile, closing_waits_for_the_page_at_hand_and_for_nothing_else)
{
    tbus_web_t *web;
    uv_thread_t closer;
    cr_assert_eq(uv_sem_init(&entered, 0), 0);
    cr_assert_eq(uv_sem_init(&go_on, 0), 0);
    cr_assert_eq(web_open(&(tbus_web_options_t){0}, routes, &web), 0);
    uint16_t port = tbus_web_port(web);
    int idle = web_connect(port), unread = web_connect(port), half = web_connect(port), slow;
    web_send(unread, "GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
    web_send(half, "GET /mu", 7);
    struct pollfd wait = {.fd = unread, .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, WEB_PATIENCE_MS), 1);
    slow = web_connect(port);
    web_send(slow, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
    uv_sem_wait(&entered);
    cr_assert_eq(uv_thread_create(&closer, close_web, web), 0);
    uv_sem_post(&go_on);
    uv_thread_join(&closer);
    cr_assert(web_is_closed(idle));
    cr_assert(web_is_closed(half));
    free(read_to_end(slow));
    close(idle);
    close(half);
    close(slow);
    close(unread);
    uv_sem_destroy(&entered);
    uv_sem_destroy(&go_on);
}

Test(web_hostile, a_client_that_goes_away_raises_no_signal)
{
    tbus_web_t *web;
    cr_assert_eq(signal(SIGPIPE, SIG_DFL) == SIG_ERR, false);
    cr_assert_eq(web_open(&(tbus_web_options_t){0}, routes, &web), 0);
    for (int i = 0; i < 20; i++) {
        int client = web_connect(tbus_web_port(web));
        struct linger at_once = {.l_onoff = 1};
        setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        web_send(client, "GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
        struct pollfd wait = {.fd = client, .events = POLLIN};
        cr_assert_eq(poll(&wait, 1, WEB_PATIENCE_MS), 1);
        close(client); /* with a reset, in the middle of the reply */
    }
    web_expect(tbus_web_port(web), "/segment/x", "", 200, "x");
    tbus_web_close(web);
}

Test(web_hostile, servers_come_and_go)
{
    for (int i = 0; i < 200; i++) {
        tbus_web_t *web = open_web((tbus_web_options_t){0});
        int client = i % 2 ? web_connect(tbus_web_port(web)) : -1;
        tbus_web_close(web);
        if (client >= 0)
            close(client);
    }
}
