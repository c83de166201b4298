/* The error tracker inside. */
#ifndef TRACKERS_ERRORS_H
#define TRACKERS_ERRORS_H

#include <tallybus/errors.h>

#include "trackers/ahead.h"
#include "trackers/errors_counts.h"
#include "trackers/errors_findings.h"
#include "trackers/errors_patterns.h"
#include "trackers/errors_recent.h"
#include "trackers/errors_slos.h"
#include "trackers/snapshot.h"

/* Codes that are told apart; the others share "other". */
enum { STATUS_FIRST = 100, STATUS_LAST = 599, STATUSES = STATUS_LAST - STATUS_FIRST + 1 };

/* The name of "no code" among the statuses. */
#define STATUS_NONE "none"

struct tbus_errors {
    bool client_errors_count;        /* [const after open] */
    bool finer_patterns;             /* [const after open] */
    int32_t excluded_status;         /* [const after open] negative = none */
    struct table_secret name_secret; /* [const after open] for hashes of names and of ids */

    uv_mutex_t mu;
    struct ahead ahead;                                     /* [lock: mu] */
    uint64_t excluded;                                      /* [lock: mu] */
    struct window window;                                   /* [lock: mu] of all counts */
    struct tally within[COUNT_SLOTS];                       /* [lock: mu] by its slots */
    struct slos slos;                                       /* [lock: mu] */
    struct table by_endpoint, by_type, by_model, by_status; /* [lock: mu] struct count */
    struct patterns patterns;                               /* [lock: mu] */
    struct recents recents;                                 /* [lock: mu] */
    struct findings findings;                               /* [lock: mu] */
    bool publishing;                                        /* [lock: mu] a thread publishes findings */
};

/* Makes a block of what `copy` copies; `bytes` says before how much that may be. Both run under the lock, the
 * allocation between them does not; where more came in between than there is room to spare, once more. Errors:
 * UV_ENOMEM. */
typedef size_t (*errors_bytes_fn)(tbus_errors_t *errors, const void *arguments);
typedef void (*errors_copy_fn)(struct snapshot_block *block, tbus_errors_t *errors, const void *arguments);

int errors_copy_out(tbus_errors_t *errors, const void *arguments, errors_bytes_fn bytes, errors_copy_fn copy,
                    struct snapshot_block *ret_block);

/* Patterns that a filter lets through: what they take in a block at most, the list itself, and, outside the lock, its
 * order and its masks. `pattern_filter` has a limit of 0 where there is none; the limit is finish's. */
size_t errors_patterns_bytes_locked(const tbus_errors_t *errors, const tbus_pattern_filter_t *filter);
const tbus_error_pattern_t *errors_patterns_copy_locked(struct snapshot_block *block, const tbus_errors_t *errors,
                                                        const tbus_pattern_filter_t *filter, size_t *ret_count);
void errors_patterns_finish(const tbus_error_pattern_t *patterns, size_t count);

/* Masks the secrets of a text in a block, which is ours to write: that structs show it as const is for their reader. One
 * of `most` bytes or more has most likely been cut. */
void errors_redact(const char *text, size_t most);

/* For who publishes findings: as tbus_errors_take_finding(), but one thread at a time, so that what two of them publish
 * can not change its order. `first` begins; while another is at it there is nothing to take, and that one will see
 * whatever waits now. It ends when nothing is left, or when one could not be published and is returned: that is put
 * back in front, or told again later. */
bool errors_take_to_publish(tbus_errors_t *errors, bool first, tbus_finding_t *ret_finding);
void errors_return_unpublished(tbus_errors_t *errors, const tbus_finding_t *finding);

#endif
