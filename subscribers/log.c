#include <tallybus/log.h>

#include <string.h>

#include "exporters/span.h"
#include "subscribers/log_line.h"
#include "trackers/options.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* Belongs to the thread that the bus calls its handler on. */
struct log {
    tbus_t *bus;
    void (*write)(const char *line, size_t length, void *user);
    void *user;
    uint32_t lines_per_second; /* 0 = no limit */
    int64_t second_began_ns;   /* when the second began that `lines` counts */
    uint32_t lines;
    uint64_t suppressed; /* lines left out and not told yet */
    struct log_line line;
};

static void tell_suppressed(struct log *log, int64_t now_ns)
{
    char text[96];
    struct span to = {.bytes = text, .room = sizeof text - 1};
    if (log->suppressed == 0)
        return;
    log_line_time(now_ns, text);
    to.length = LOG_LINE_TIME_BYTES;
    span_add_text(&to, " log.suppressed lines=");
    span_add_int(&to, (int64_t)log->suppressed);
    text[to.length] = '\0';
    log->suppressed = 0;
    log->write(text, to.length, log->user);
}

/* Whether another line may be written in this second. */
static bool may_write(struct log *log)
{
    if (log->lines_per_second == 0)
        return true;
    int64_t now_ns = tbus_now(log->bus);
    if ((uint64_t)now_ns - (uint64_t)log->second_began_ns >= NS_PER_SECOND) {
        tell_suppressed(log, now_ns);
        log->second_began_ns = now_ns;
        log->lines = 0;
    }
    if (log->lines == log->lines_per_second) {
        log->suppressed++;
        return false;
    }
    log->lines++;
    return true;
}

static int on_event(const tbus_event_t *event, void *user)
{
    struct log *log = user;
    if (may_write(log)) {
        size_t length = log_line_format(&log->line, tbus_type_of(log->bus, event->type), event);
        log->write(log->line.text, length, log->user);
    }
    return 0;
}

static void on_close(void *user)
{
    struct log *log = user;
    tell_suppressed(log, tbus_now(log->bus));
    tbus_mem_free(log);
}

int64_t tbus_log_attach(tbus_t *bus, const tbus_log_options_t *options)
{
    if (!bus || !options || !options->write || !are_zero(options->reserved, sizeof options->reserved))
        return UV_EINVAL;
    uint32_t string_max = or_default(options->string_max_bytes, 256);
    uint32_t line_max = or_default(options->line_max_bytes, 4096);
    if (string_max < 16 || string_max > 65536 || line_max < 256 || line_max > 1024 * 1024)
        return UV_EINVAL;
    struct log *log = tbus_mem_alloc(sizeof *log + line_max + 1 + string_max + 1);
    if (!log)
        return UV_ENOMEM;
    *log = (struct log){.bus = bus,
                        .write = options->write,
                        .user = options->user,
                        .lines_per_second = options->lines_per_second,
                        .line = {.room = line_max, .string_max = string_max}};
    log->line.text = (char *)(log + 1);
    log->line.scratch = log->line.text + line_max + 1;
    const tbus_route_t route = {options->pattern ? options->pattern : ">", options->priority, on_event};
    int64_t subscription = tbus_subscriber_add(
        bus,
        &(tbus_subscriber_t){.name = "log", .routes = &route, .routes_count = 1, .user = log, .on_close = on_close});
    if (subscription < 0)
        tbus_mem_free(log);
    return subscription;
}
