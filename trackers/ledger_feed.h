/* What the subscriber that feeds a ledger needs of it beyond the public calls. */
#ifndef TRACKERS_LEDGER_FEED_H
#define TRACKERS_LEDGER_FEED_H

#include <tallybus/ledger.h>

/* The options, with the defaults filled in (but for `path`, which is NULL). */
const tbus_ledger_options_t *ledger_options(const tbus_ledger_t *ledger);

/* Counts records that were lost on the way to it. */
void ledger_count_lost(tbus_ledger_t *ledger, uint64_t records);

#endif
