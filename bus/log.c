/* What the bus tells its host, at a bounded rate. */
#include "bus/bus.h"

#include <stdarg.h>
#include <stdio.h>

enum { MESSAGES_A_SECOND = 10, MESSAGE_MAX = 512 };

/* Whether one more message may go out in this second; counts those that may not. */
static bool may_speak(struct bus_log *log, uint64_t *ret_suppressed)
{
    uint64_t second = uv_hrtime() / 1000000000;
    *ret_suppressed = 0;
    uint64_t last = atomic_load_explicit(&log->second, memory_order_relaxed);
    /* Only forward: a thread that was held up must not bring an old second back. */
    if (last < second && atomic_compare_exchange_strong_explicit(&log->second, &last, second, memory_order_relaxed,
                                                                 memory_order_relaxed)) {
        atomic_store_explicit(&log->spoken, 0, memory_order_relaxed);
        *ret_suppressed = atomic_exchange_explicit(&log->suppressed, 0, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&log->spoken, 1, memory_order_relaxed) < MESSAGES_A_SECOND)
        return true;
    atomic_fetch_add_explicit(&log->suppressed, 1, memory_order_relaxed);
    return false;
}

void bus_log(tbus_t *bus, tbus_log_level_t level, const char *format, ...)
{
    char message[MESSAGE_MAX];
    uint64_t suppressed;
    va_list args;
    if (!bus->log.write || !may_speak(&bus->log, &suppressed))
        return;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (suppressed > 0 && length > 0 && length < MESSAGE_MAX)
        snprintf(message + length, sizeof message - (size_t)length, " (%llu more messages were left out)",
                 (unsigned long long)suppressed);
    for (char *at = message; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            *at = ' '; /* names are the host's, and may be anything */
    bus->log.write((int)level, message, bus->log.user);
}
