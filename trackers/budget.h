/* Budgets from inside.
 *
 *   budget.c           opens and closes
 *   budget_table.c     the table of budgets: names, finds, makes and removes them
 *   budget_terms.c     what a host sets: checked, worked out, put in force
 *   budget_account.c   one budget: its period goes on, amounts are added, what is found out is noted
 *   budget_time.c      which times are believed, and what is due at them
 *   budget_request.c   requests as they are remembered: open and settled ones, and how they end
 *   budget_reserve.c   whether a request may run
 *   budget_settle.c    what it has cost
 *   budget_findings.c  hands out what was found
 *   budget_check.c     reads one budget without the lock
 *   budget_snapshot.c  copies all of them out
 *
 * One lock covers everything. A reservation must look at and change up to four budgets as one step, and all of them
 * share the one of all: locks for each budget would be taken four at a time and meet at the same one. What check reads
 * is kept a second time, in atomics behind a version of the budget's own. */
#ifndef TRACKERS_BUDGET_H
#define TRACKERS_BUDGET_H

#include <stdatomic.h>

#include <tallybus/budget.h>

#include "trackers/ahead.h"
#include "trackers/budget_index.h"
#include "trackers/budget_period.h"
#include "trackers/money.h"
#include "trackers/table_order.h"
#include "trackers/window.h"

#define BUDGET_NONE BUDGET_INDEX_NONE

enum {
    BUDGET_SLICES = 30, /* that a rolling budget's window is cut into */
    BUDGET_CHUNK = 128, /* budgets in a chunk of memory: they never move */
    BUDGET_REQUEST_ID_MAX = 63
};

/* --- One budget --- */

/* What is told once for each period: a bit for each threshold, and these two. */
enum { TOLD_EXCEEDED = 1u << TBUS_BUDGET_THRESHOLDS_MAX, TOLD_RESET = TOLD_EXCEEDED << 1 };

/* Never changed, only replaced. Those of a default are shared by the budgets it made. */
struct budget_terms {
    tbus_money_t limit;
    tbus_money_t levels[TBUS_BUDGET_THRESHOLDS_MAX]; /* the amounts that the thresholds stand for, rounded up */
    uint32_t thresholds_ppm[TBUS_BUDGET_THRESHOLDS_MAX];
    uint32_t thresholds_count;
    tbus_budget_kind_t kind;
    struct period_rule rule;
    bool rolling;
    bool refuse_unpriced;
};

/* A window's sums by slice; their total is the budget's `used`. */
struct budget_slices {
    struct window window;
    tbus_money_t used[BUDGET_SLICES + 1];
};

enum shown {
    SHOWN_LIMIT = 0, /* amounts: two words each */
    SHOWN_USED = 2,
    SHOWN_RESERVED = 4,
    SHOWN_LIFETIME = 6,
    SHOWN_FROM = 8,
    SHOWN_UNTIL,
    SHOWN_KIND,
    SHOWN_WORDS
};

/* [atomic] What budget_check.c reads. The version is odd while words change. Each word is stored with release, and read
 * with acquire: who sees a new word sees the version that was stored before it, and so that the version has changed. */
struct budget_shown {
    _Atomic uint64_t version;
    _Atomic uint64_t words[SHOWN_WORDS];
};

enum budget_state { BUDGET_FREE = 0, BUDGET_OWN, BUDGET_DEFAULTED, BUDGET_SHARED };

struct budget {
    struct budget_shown shown;
    /* [lock: mu] */
    const struct budget_terms *terms;
    tbus_money_t used, reserved, lifetime;
    tbus_money_t next_level;  /* until `used` is there, nothing is to be told */
    struct period period;     /* until_ns INT64_MIN = no time is known yet. Rolling: what the window covers */
    int64_t previous_from_ns; /* the period before `period`; INT64_MAX = none is known */
    int64_t restarted_ns;     /* what was used up to then is in `used` no more; INT64_MIN = it was never begun anew */
    tbus_money_t previous_used;
    struct budget_slices *slices; /* there where the terms are rolling */
    uint32_t told;                /* in this period */
    /* what waits to be taken: of this period, and of those before it */
    uint32_t found, found_before;
    tbus_money_t ended_used; /* of the last period that ended with something used */
    int64_t told_ns, found_ns, found_before_ns;
    uint32_t next_found; /* in the queue of those with something to take */
    uint32_t next_free;
    bool queued;
    bool is_named;       /* `id` is set, and in the index: not so for a key known by its digest only */
    bool has_digest;     /* a key's: `digest` and `digest_id` are set */
    uint8_t state;       /* enum budget_state */
    uint8_t scope;       /* tbus_budget_scope_t */
    uint32_t number;     /* of this record */
    uint32_t generation; /* of this record's use: a reservation finds out that its budget is gone */
    struct budget_id id, digest_id;
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
    char *subject; /* as it is shown; ours */
};

/* --- All of them --- */

struct budget_zone {
    struct budget_zone *next;
    struct time_zone *zone;
    char name[TIME_ZONE_NAME_MAX + 1];
};

struct budget_counters {
    uint64_t admitted, denied, refused, settles, without_reservation, again, released, expired, retracted, unpriced,
        late, set_back, shared, merged;
};

struct tbus_budgets {
    uv_mutex_t mu;
    tbus_budgets_options_t options; /* [const after open] defaults filled in */
    struct table_secret secrets[2]; /* [const after open] */
    struct budget_id all_id;        /* [const after open] the name of TBUS_BUDGET_ALL's one */
    struct budget_index by_name;    /* all budgets but the shared ones, by scope and subject */
    struct budget_index by_digest;  /* [lock: mu] keys */
    struct budget **chunks; /* each is set before a number in it can be found in an index, which is when readers look */
    /* [atomic] Whether a key that is not in the index must be hashed: there is a default for keys, or there are keys
     * known by digest only. A hint that is late costs a hash under the lock, or one for nothing. */
    _Atomic uint32_t defaults; /* [atomic] a bit for each scope that has a default */
    _Atomic uint32_t nameless; /* [atomic] key budgets that are not named */
    _Atomic uint32_t waiting;  /* [atomic] budgets in the queue of findings */
    /* [lock: mu] */
    uint32_t records;                              /* ever used */
    uint32_t free_records;                         /* linked by next_found; BUDGET_NONE = none */
    uint32_t own, defaulted;                       /* budgets of these states */
    struct budget_terms *each[TBUS_BUDGET_SCOPES]; /* the defaults */
    uint32_t shared[TBUS_BUDGET_SCOPES];           /* where there is a default: "other" */
    struct budget_zone *zones;
    uint32_t zones_count;
    int64_t now_ns; /* the latest time believed */
    bool has_now;
    struct ahead ahead;               /* its `latest_ns` is not used */
    int64_t due_ns;                   /* no period ends before this */
    int64_t next_due_ns;              /* the same of the records that the sweep has passed */
    uint32_t sweep_at;                /* the next record it looks at; BUDGET_NONE = no sweep goes on */
    struct table requests;            /* struct request by id */
    struct table_order open, settled; /* requests */
    uint32_t found_first, found_last;
    tbus_money_t settled_sum;
    struct budget_counters counters;
};

static inline struct budget *budget_at(const tbus_budgets_t *budgets, uint32_t number)
{
    return &budgets->chunks[number / BUDGET_CHUNK][number % BUDGET_CHUNK];
}

/* --- budget_table.c --- */

/* A subject as a call names it, made before the lock is taken: who hashes 10 MB keeps nobody waiting. */
struct budget_subject {
    tbus_budget_scope_t scope;
    const char *text; /* NULL = none */
    bool has_id;      /* `text` is the name */
    bool has_digest;
    struct budget_id id, digest_id;
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
};

/* The name in 128 bits of a text that is not NULL. */
struct budget_id budget_id_of(const tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *text);

/* A text that is NULL or "", without a digest: no budget of this scope applies. `digest` NULL or all zeroes = none. Of
 * TBUS_BUDGET_ALL the text is not looked at. */
void budget_subject_fill(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *text,
                         const unsigned char *digest, struct budget_subject *subject);

static inline bool budget_subject_is_some(const struct budget_subject *subject)
{
    return subject->has_id || subject->has_digest;
}

/* Works the digest of a key out, where it is not there yet. */
void budget_subject_digest(const tbus_budgets_t *budgets, struct budget_subject *subject);

/* The budget of a subject; NULL = none. */
struct budget *budget_find_locked(tbus_budgets_t *budgets, struct budget_subject *subject);

/* The same, and where its scope has a default it is made; where it can not be, it is "other". */
struct budget *budget_find_or_make_locked(tbus_budgets_t *budgets, struct budget_subject *subject);

/* A new budget. A subject that is none makes one that nobody finds: "other". Errors: UV_ENOMEM. */
int budget_make_locked(tbus_budgets_t *budgets, struct budget_subject *subject, enum budget_state state,
                       const struct budget_terms *terms, struct budget **ret);

void budget_remove_locked(tbus_budgets_t *budgets, struct budget *budget);

/* Another state, and the counts of those. */
void budget_set_state_locked(tbus_budgets_t *budgets, struct budget *budget, enum budget_state state);

/* Gives terms back that are its own. */
void budget_free_terms(struct budget *budget);

/* --- budget_account.c --- */

/* Room that terms need. Errors: UV_ENOMEM. */
int budget_prepare_locked(struct budget *budget, const struct budget_terms *terms);

/* Puts terms in force; room has been made. */
void budget_apply_locked(tbus_budgets_t *budgets, struct budget *budget, const struct budget_terms *terms);

/* Goes on to the period that the time of now lies in. */
void budget_advance_locked(tbus_budgets_t *budgets, struct budget *budget);

/* Whether an amount fits into every sum of it. */
bool budget_has_room(const struct budget *budget, int128_t amount);

/* Adds to the sums that a moment, not after now, belongs to; there must be room. An amount below 0 takes off, no sum
 * below 0. */
void budget_spend_locked(tbus_budgets_t *budgets, struct budget *budget, int64_t moment, int128_t amount);

/* Begins the period anew. */
void budget_restart_locked(tbus_budgets_t *budgets, struct budget *budget);

/* Notes what is to be told now; `refused`: a reservation has just been. */
void budget_tell_locked(tbus_budgets_t *budgets, struct budget *budget, bool refused);

/* Adds what is known from before; what is reached by it counts as told. There must be room for its lifetime. */
void budget_restore_locked(tbus_budgets_t *budgets, struct budget *budget, int64_t moment,
                           const tbus_budget_past_t *past);

/* Puts used, reserved and lifetime where check reads them. */
void budget_show_locked(struct budget *budget);

/* --- budget_time.c --- */

/* A moment for the time of a call: read from the clock where it is 0. */
int64_t budget_moment_of(const tbus_budgets_t *budgets, int64_t time_ns);

/* The moment that a call counts at, which is not after now: now goes on to it where it is believed. Then ends what is
 * due: all reservations, and the periods of some budgets. */
int64_t budget_believe_locked(tbus_budgets_t *budgets, int64_t moment);

/* A period that ends then has begun. */
void budget_note_due_locked(tbus_budgets_t *budgets, int64_t until_ns);

/* --- budget_request.c --- */

void budget_requests_open(tbus_budgets_t *budgets);

/* Ends the open reservations whose time is over. */
void budget_expire_locked(tbus_budgets_t *budgets);

/* Now has been set back: no reservation lasts longer than one that is made now. */
void budget_shorten_reservations_locked(tbus_budgets_t *budgets);

/* --- budget_check.c --- */

tbus_budget_status_t budget_status_locked(const struct budget *budget);

#endif
