/* The web server and the system: addresses, descriptors and threads that are there or not; closing under load. */
#define _GNU_SOURCE 1 /* setgroups() */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <tallybus.h>

#include "tests/exporters/web_client.h"

#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

static tbus_web_t *open_web(tbus_web_options_t options)
{
    tbus_web_t *web;
    cr_assert_eq(tbus_web_open(&options, &web), 0);
    return web;
}

static void expect_health(int client)
{
    web_send(client, GET_HEALTH, strlen(GET_HEALTH));
    struct web_got got = web_receive(client, false);
    cr_assert_eq(got.status, 200);
    free(got.bytes);
}

/* --- Addresses --- */

Test(web_system, an_address_with_many_connections_leaves_places_to_others)
{
    enum { CONNECTIONS = 64, ALLOWED = 32 };
    tbus_web_t *web = open_web((tbus_web_options_t){.wait_max_ms = 600000});
    int many[CONNECTIONS], closed = 0;
    for (int i = 0; i < CONNECTIONS; i++)
        many[i] = web_connect(tbus_web_port(web));
    int other = web_socket(2);
    cr_assert_eq(web_connect_socket(other, tbus_web_port(web)), 0, "%s", strerror(errno));
    expect_health(other); /* accepted in order: by now the server has seen all of the many */
    for (int i = 0; i < CONNECTIONS; i++) {
        struct pollfd is_closed = {.fd = many[i], .events = POLLIN};
        closed += poll(&is_closed, 1, 0);
    }
    cr_assert_eq(closed, CONNECTIONS - ALLOWED);
    for (int i = 0; i < CONNECTIONS; i++)
        close(many[i]);
    close(other);
    tbus_web_close(web);
}

Test(web_system, it_listens_on_ipv6)
{
    tbus_web_t *web;
    int error = tbus_web_open(&(tbus_web_options_t){.address = "::1"}, &web);
    if (error == UV_EADDRNOTAVAIL || error == UV_EAFNOSUPPORT)
        cr_skip_test("this machine has no IPv6");
    cr_assert_eq(error, 0);
    struct sockaddr_in6 to = {
        .sin6_family = AF_INET6, .sin6_port = htons(tbus_web_port(web)), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    static const struct {
        const char *host;
        int status;
    } cases[] = {{"[::1]:80", 200}, {"localhost", 200}, {"evil.example", 421}}; /* it knows that it is a loopback */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[128];
        int client = socket(AF_INET6, SOCK_STREAM, 0);
        cr_assert_eq(connect(client, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
        snprintf(request, sizeof request, "GET /health HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].host);
        web_send(client, request, strlen(request));
        struct web_got got = web_receive(client, false);
        cr_assert_eq(got.status, cases[i].status, "%s", cases[i].host);
        free(got.bytes);
        close(client);
    }
    tbus_web_close(web);
}

/* --- What the system refuses --- */

/* The lowest number that a new descriptor would get. */
static int next_descriptor(void)
{
    int next = dup(0);
    cr_assert_geq(next, 0);
    close(next);
    return next;
}

enum { DESCRIPTORS_MAX = 1024 }; /* that a test may come to */

static int open_descriptors(void)
{
    int count = 0;
    for (int i = 0; i < DESCRIPTORS_MAX; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* The first loop of a process takes two descriptors for good, and without them libuv aborts. */
static void let_libuv_begin(void)
{
    uv_loop_t loop;
    cr_assert_eq(uv_loop_init(&loop), 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

static rlim_t limit_descriptors(rlim_t limit)
{
    struct rlimit now, wanted;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &now), 0);
    wanted = (struct rlimit){.rlim_cur = limit, .rlim_max = now.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &wanted), 0);
    return now.rlim_cur;
}

static int64_t processor_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

Test(web_system, without_descriptors_it_waits_and_does_not_spin)
{
    enum { WAIT_MS = 500 };
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    int client = web_socket(1);
    rlim_t limit = limit_descriptors((rlim_t)next_descriptor());
    cr_assert_eq(web_connect_socket(client, tbus_web_port(web)), 0, "%s", strerror(errno));
    web_send(client, GET_HEALTH, strlen(GET_HEALTH));
    struct pollfd wait = {.fd = client, .events = POLLIN};
    int64_t before_ms = processor_ms();
    cr_assert_eq(poll(&wait, 1, WAIT_MS), 0, "it can not be accepted");
    cr_assert_lt(processor_ms() - before_ms, WAIT_MS / 2, "it spins");
    limit_descriptors(limit);
    struct web_got got = web_receive(client, false);
    cr_assert_eq(got.status, 200);
    free(got.bytes);
    close(client);
    tbus_web_close(web);
}

Test(web_system, without_a_descriptor_a_refusal_is_sent_all_the_same)
{
    tbus_web_t *web = open_web((tbus_web_options_t){0});
    int client = web_connect(tbus_web_port(web));
    expect_health(client); /* the server has taken it */
    rlim_t limit = limit_descriptors((rlim_t)next_descriptor());
    static const char refused[] = "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
    web_send(client, refused, strlen(refused));
    struct web_got got = web_receive(client, false);
    cr_assert_eq(got.status, 405);
    cr_assert(web_is_closed(client));
    limit_descriptors(limit);
    free(got.bytes);
    close(client);
    tbus_web_close(web);
}

/* What the function returns in a process of its own. */
static int in_a_process(int (*function)(void))
{
    int pipes[2], result = 0;
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        result = function();
        _exit(write(pipes[1], &result, sizeof result) == sizeof result ? 0 : 1);
    }
    close(pipes[1]);
    cr_assert_eq(read(pipes[0], &result, sizeof result), (ssize_t)sizeof result);
    close(pipes[0]);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    return result;
}

/* In a process that may not do what root may. */
static bool become_nobody(void)
{
    enum { NOBODY = 65534 };
    return geteuid() != 0 || setuid(NOBODY) == 0;
}

enum { STILL_ROOT = 3 };

static void expect_of_nobody(int (*function)(void), int expected)
{
    const int result = in_a_process(function);
    if (result == STILL_ROOT)
        cr_skip_test("root may not become anybody else here");
    cr_assert_eq(result, expected);
}

static int descriptor_limit;

enum { OPENED = -1 };

/* Returns OPENED, or how many descriptors a failure left open. */
static int open_with_limit(void)
{
    tbus_web_t *web = NULL;
    let_libuv_begin();
    const int before = open_descriptors();
    const rlim_t usual = limit_descriptors((rlim_t)descriptor_limit);
    const int error = tbus_web_open(&(tbus_web_options_t){0}, &web);
    limit_descriptors(usual);
    tbus_web_close(web);
    const int left = open_descriptors() - before;
    cr_assert_eq(web != NULL, error == 0);
    return error == 0 && left == 0 ? OPENED : left;
}

/* With one descriptor more allowed each time. Where the two of its pipe are missing, libuv 1.44's uv_loop_init() leaves
 * one behind; what was open by then of ours would be more than one. */
Test(web_system, what_a_server_opened_is_closed_where_descriptors_run_out)
{
    int refused = 0, left = 0;
    for (descriptor_limit = next_descriptor(); (left = in_a_process(open_with_limit)) != OPENED; descriptor_limit++) {
        cr_assert_lt(descriptor_limit, DESCRIPTORS_MAX, "it never opens");
        cr_assert(left == 0 || left == 1, "limit %d: %d descriptors", descriptor_limit, left);
        refused++;
    }
    cr_assert_geq(refused, 5); /* the socket, libmicrohttpd's, and libuv's */
}

static int open_privileged_port(void)
{
    tbus_web_t *web = NULL;
    if (!become_nobody())
        return STILL_ROOT;
    int error = tbus_web_open(&(tbus_web_options_t){.port = 1}, &web);
    tbus_web_close(web);
    return error;
}

Test(web_system, a_port_that_is_not_allowed_is_told)
{
    char line[32] = "1024";
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
    if (file && !fgets(line, sizeof line, file))
        cr_assert_fail("an empty setting");
    if (file)
        fclose(file);
    if (atoi(line) <= 1)
        cr_skip_test("every user may use every port here");
    expect_of_nobody(open_privileged_port, UV_EACCES);
}

static int open_without_threads(void)
{
    tbus_web_t *web = NULL;
    const struct rlimit none = {0, 0};
    let_libuv_begin();
    const int before = open_descriptors();
    if (!become_nobody())
        return STILL_ROOT;
    if (setrlimit(RLIMIT_NPROC, &none) != 0)
        return 1;
    int error = tbus_web_open(&(tbus_web_options_t){0}, &web);
    return web || open_descriptors() != before ? 2 : error;
}

Test(web_system, a_thread_that_does_not_start_is_told)
{
    expect_of_nobody(open_without_threads, UV_EAGAIN);
}

/* A process that was forked meanwhile has all descriptors as well, so that closing them ends nothing. */
Test(web_system, who_was_refused_is_forgotten_though_a_child_has_its_socket)
{
    static const char refused[] = "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
    int until[2], client;
    tbus_web_t *web = open_web((tbus_web_options_t){.connections_max = 1, .wait_max_ms = 600000});
    client = web_connect(tbus_web_port(web));
    web_send(client, refused, strlen(refused));
    struct web_got got = web_receive(client, false);
    cr_assert(web_is_closed(client));
    free(got.bytes);
    cr_assert_eq(pipe(until), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        char byte;
        close(until[1]);
        _exit(read(until[0], &byte, 1) == 0 ? 0 : 1);
    }
    shutdown(client, SHUT_WR);
    for (int i = 0; i < 5; i++) /* in its place */
        web_expect(tbus_web_port(web), "/health", "", 200, "ok");
    int64_t before_ms = processor_ms();
    struct pollfd nothing = {.fd = -1};
    cr_assert_eq(poll(&nothing, 1, 200), 0);
    cr_assert_lt(processor_ms() - before_ms, 100, "it spins");
    close(until[0]);
    close(until[1]);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    close(client);
    tbus_web_close(web);
}

/* --- The end --- */

/* Asks until it is not answered any more. */
static void ask_on(void *argument)
{
    const uint16_t port = *(const uint16_t *)argument;
    char reply[4096];
    for (bool answered = true; answered;) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        cr_assert_geq(client, 0, "%s", strerror(errno));
        answered = web_connect_socket(client, port) == 0 &&
                   send(client, GET_HEALTH, strlen(GET_HEALTH), MSG_NOSIGNAL) > 0 &&
                   recv(client, reply, sizeof reply, 0) > 0;
        close(client);
    }
}

Test(web_system, it_closes_while_requests_come_in)
{
    enum { CLIENTS = 4, ROUNDS = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        uv_thread_t clients[CLIENTS];
        tbus_web_t *web = open_web((tbus_web_options_t){0});
        uint16_t port = tbus_web_port(web);
        for (int i = 0; i < CLIENTS; i++)
            cr_assert_eq(uv_thread_create(&clients[i], ask_on, &port), 0);
        for (int i = 0; i < 10; i++)
            web_expect(port, "/health", "", 200, "ok");
        tbus_web_close(web);
        for (int i = 0; i < CLIENTS; i++)
            uv_thread_join(&clients[i]);
    }
}
