#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/soak.h"

enum { SLOW = 8, TICK_MS = 50, SLOW_BYTES = 256, SLOW_TICKS_MAX = 400, READ_TICKS = 10 };

struct soak_scrapers {
    uv_thread_t thread;
    struct sockaddr_in address;
    _Atomic bool is_stopping;
    _Atomic uint64_t pages, cut;
    struct slow {
        int socket; /* -1 = none */
        unsigned ticks;
    } slow[SLOW];
};

static int ask(const struct soak_scrapers *scrapers, int room)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const struct timeval limit = {.tv_sec = 10};
    int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (one < 0)
        return -1;
    setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (room > 0)
        setsockopt(one, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (connect(one, (const struct sockaddr *)&scrapers->address, sizeof scrapers->address) == 0 &&
        send(one, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1)
        return one;
    close(one);
    return -1;
}

static void read_whole(struct soak_scrapers *scrapers)
{
    char bytes[16384];
    ssize_t length = -1;
    int one = ask(scrapers, 0);
    uint64_t total = 0;
    while (one >= 0 && (length = recv(one, bytes, sizeof bytes, 0)) > 0)
        total += (uint64_t)length;
    if (one >= 0)
        close(one);
    if (length == 0 && total > 1000)
        atomic_fetch_add(&scrapers->pages, 1);
}

static void read_slowly(struct soak_scrapers *scrapers, struct slow *slow)
{
    char bytes[SLOW_BYTES];
    if (slow->socket < 0) {
        *slow = (struct slow){.socket = ask(scrapers, 1024)};
        return;
    }
    ssize_t length = recv(slow->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length > 0 || (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)))
        if (slow->ticks++ < SLOW_TICKS_MAX)
            return;
    close(slow->socket);
    slow->socket = -1;
    atomic_fetch_add(&scrapers->cut, 1);
}

static void run(void *user)
{
    struct soak_scrapers *scrapers = user;
    for (unsigned tick = 0; !atomic_load(&scrapers->is_stopping); tick++) {
        for (size_t i = 0; i < SLOW; i++)
            read_slowly(scrapers, &scrapers->slow[i]);
        if (tick % READ_TICKS == 0)
            read_whole(scrapers);
        uv_sleep(TICK_MS);
    }
    for (size_t i = 0; i < SLOW; i++)
        if (scrapers->slow[i].socket >= 0)
            close(scrapers->slow[i].socket);
}

int soak_scrapers_open(uint16_t port, struct soak_scrapers **ret)
{
    struct soak_scrapers *scrapers = tbus_mem_alloc(sizeof *scrapers);
    if (!scrapers)
        return UV_ENOMEM;
    for (size_t i = 0; i < SLOW; i++)
        scrapers->slow[i].socket = -1;
    int error = uv_ip4_addr("127.0.0.1", port, &scrapers->address);
    if (!error)
        error = uv_thread_create(&scrapers->thread, run, scrapers);
    if (error)
        tbus_mem_free(scrapers);
    else
        *ret = scrapers;
    return error;
}

uint64_t soak_scrapers_pages(const struct soak_scrapers *scrapers)
{
    return atomic_load(&scrapers->pages);
}

uint64_t soak_scrapers_cut(const struct soak_scrapers *scrapers)
{
    return atomic_load(&scrapers->cut);
}

void soak_scrapers_close(struct soak_scrapers *scrapers)
{
    if (!scrapers)
        return;
    atomic_store(&scrapers->is_stopping, true);
    uv_thread_join(&scrapers->thread);
    tbus_mem_free(scrapers);
}
