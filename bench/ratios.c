/* What the figures say about each other: medians of the same cache distance only. */
#include <stdio.h>
#include <string.h>

#include "bench/harness.h"

enum { FURTHER_HANDLERS = 15 };

static const struct row *row_of(const struct row *rows, size_t count, const char *name, const char *regime)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0 && strcmp(rows[i].regime, regime) == 0)
            return &rows[i];
    return NULL;
}

static const struct {
    const char *over, *under;
} ratios[] = {
    {"bus.publish", "limit.ring_enqueue"},
    {"bus.publish", "limit.ring_enqueue_wide"},
    {"bus.publish", "design.copy"},
    {"design.granules_cas", "limit.ring_enqueue_wide"},
    {"design.granules_faa", "limit.ring_enqueue_wide"},
    {"design.slots_cas", "limit.ring_enqueue_wide"},
    {"design.slots_faa", "limit.ring_enqueue_wide"},
    {"design.blocks", "limit.ring_enqueue_wide"},
    {"bus.publish_2p", "limit.ring_enqueue_2p"},
    {"bus.publish_2p", "limit.ring_enqueue_wide_2p"},
    {"bus.e2e_1p", "limit.ring_1p"},
    {"bus.e2e_1p_stamped", "limit.ring_1p"},
    {"bus.e2e_2p", "limit.ring_2p"},
    {"bus.e2e_2p_one_core", "limit.ring_2p_one_core"},
    {"bus.e2e_1p", "peer.glib_1p"},
    {"bus.e2e_1p", "peer.mutex_swap_1p"},
    {"bus.e2e_1p", "peer.ck_ring_1p"},
    {"bus.e2e_1p", "peer.ck_ring_spsc_1p"},
    {"bus.e2e_1p", "peer.wfcqueue_1p"},
    {"bus.wake", "limit.wake"},
    {"bus.wake_sender", "limit.wake_sender"},
};

static void print_heading(bool *printed)
{
    if (!*printed)
        printf("\n%-58s %10s  %s\n", "ratio of medians", "", "regime");
    *printed = true;
}

void ratios_print(const struct row *rows, size_t count)
{
    bool heading = false;
    for (size_t ratio = 0; ratio < sizeof ratios / sizeof *ratios; ratio++) {
        for (size_t i = 0; i < count; i++) {
            const struct row *over = &rows[i];
            const struct row *under = row_of(rows, count, ratios[ratio].under, over->regime);
            if (strcmp(over->name, ratios[ratio].over) != 0 || !under)
                continue;
            print_heading(&heading);
            printf("%-28s / %-27s %10.3g  %s\n", over->name, under->name, over->median / under->median, over->regime);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct row *many = &rows[i], *one = row_of(rows, count, "bus.e2e_1p", many->regime);
        if (strcmp(many->name, "bus.e2e_16h") != 0 || !one)
            continue;
        print_heading(&heading);
        printf("%-58s %10.3g  %s\n", "each further handler, ns",
               (1e3 / many->median - 1e3 / one->median) / FURTHER_HANDLERS, many->regime);
    }
}
