/* Closing a bus when all that was published is delivered. */
#ifndef TOOLS_DRAIN_H
#define TOOLS_DRAIN_H

#include <tallybus/bus.h>

/* Closes it and waits; fills in its last statistics, and how many events remained after `max_ms`. The bus is still to be
 * freed. Returns 0 or a libuv error code. */
int drain_bus(tbus_t *bus, uint32_t max_ms, tbus_stats_t *ret_stats, uint64_t *ret_remained);

#endif
