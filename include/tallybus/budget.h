/* Budgets: how much a key, a user, a project, or all of them together may cost in a period; and reservations, which
 * make many threads keep to that together. Needs no bus and no cost tracker: amounts are handed in; subscribers.h feeds
 * it from a bus.
 *
 *   tbus_budget_reserve()   before the request runs: sets an estimate aside in every budget that applies, or says no
 *   tbus_budget_settle()    when it is over: its real cost takes the place of the estimate
 *   tbus_budget_release()   when it failed: the estimate is given back
 *
 * What holds. A reservation is admitted only where, in each HARD budget that applies, used + reserved + estimate is not
 * above the limit; looking and setting aside are one step, whatever other threads do. So while no request costs more
 * than was set aside for it, used + reserved of a HARD budget never passes its limit. What has been spent is counted in
 * any case: the part of a cost that is above its estimate, and a cost without a reservation (or with one that its time
 * limit has ended), can carry `used` past the limit, by just that much, and then nothing is admitted until the period
 * ends. The same goes for a limit that is set
 * below what is used. A SOFT budget admits everything and tells.
 *
 * Request ids tell requests apart and must be the host's own: where a client may choose them, it can choose one twice.
 * Reservations and the ids of settled requests are kept in memory only.
 *
 * Periods and times. Each call says its time (`time_ns`; 0 = the tracker's clock), and an amount belongs to the period
 * in which its time lies. One that comes late, when its period is over, is added to that period's sum where it was the
 * last one (`previous_used`), else to the lifetime total alone; both are counted (`late`). No call moves time back. A
 * time more than `ahead_max_ns` ahead of the tracker's clock is not believed: it counts as the latest time that was,
 * and ends no period. Where the clock itself has been set back, so that the latest time believed is now ahead of it by
 * more than that, the first call to come with such an earlier time goes back to the clock, and the budgets to the
 * periods of then; what is used stays used. A replay of times to come needs a clock of its own, or no guard. Budgets
 * know 146 years on either side of 1970; times outside count as the nearest within.
 *
 * What is found out (an alert, a limit passed, a period ended) waits in the tracker until somebody takes it: the
 * subscriber, which publishes it, or the host, by tbus_budgets_take_finding().
 *
 * Every function but tbus_budget_check() takes one lock, for as long as it needs to read or write plain memory; none
 * calls the host, but for the clock. */
#ifndef TALLYBUS_BUDGET_H
#define TALLYBUS_BUDGET_H

#include <tallybus/usage.h>

TBUS_BEGIN_DECLS

typedef struct tbus_budgets tbus_budgets_t;

typedef struct tbus_budgets_options {
    uint32_t budgets_max;      /* budgets set by name; default 10,000 */
    uint32_t defaulted_max;    /* keys, users and projects that get a budget by their scope's default, together; all
                                  further ones of a scope share one budget, shown as "other": so know that a key is
                                  good before you ask for it; default 10,000 */
    uint32_t reservations_max; /* open at once; default 65,536 */
    uint32_t settled_max;      /* ids of settled requests remembered, the latest ones: a request that is settled again
                                  after so many others counts again; default 65,536 */
    int64_t reservation_ns;    /* a reservation that has not ended by then is released; default 600 s; negative = never:
                                  what is forgotten is then lost to its budgets */
    int64_t ahead_max_ns;      /* how far ahead of the clock a time may be; default 300 s; negative = any time is
                                  believed */
    int64_t (*clock)(void *user); /* nanoseconds since 1970; default: the system's clock. May be called with the lock
                                     held, on any thread: it may neither block nor call the library */
    void *clock_user;
    uint64_t reserved[8];
} tbus_budgets_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory: at most about 1,200 bytes for each budget and 550 more for a
 * rolling one, 400 for each reservation and each settled id (that table doubles as it grows).
 * Errors: UV_EINVAL (`ret` NULL, a limit above 2^22), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_budgets_open(const tbus_budgets_options_t *options, tbus_budgets_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_budgets_close(tbus_budgets_t *budgets);

/* --- Budgets --- */

typedef enum tbus_budget_scope {
    TBUS_BUDGET_ALL = 0, /* everything together: one budget, whose subject is "" */
    TBUS_BUDGET_KEY,     /* the subject is an API key: kept to tell it from others, shown only redacted */
    TBUS_BUDGET_USER,
    TBUS_BUDGET_PROJECT,
    TBUS_BUDGET_SCOPES
} tbus_budget_scope_t;

/* "all", "key", "user", "project"; static memory; NULL for a number that is none. [any thread] */
TBUS_API const char *tbus_budget_scope_name(tbus_budget_scope_t scope);

typedef enum tbus_budget_kind {
    TBUS_BUDGET_SOFT = 0, /* tells */
    TBUS_BUDGET_HARD      /* refuses reservations */
} tbus_budget_kind_t;

typedef enum tbus_budget_period {
    TBUS_BUDGET_NEVER = 0, /* one period for ever */
    TBUS_BUDGET_DURATION,  /* of `duration_ns` each */
    TBUS_BUDGET_DAILY,     /* from midnight; rolling: 24 hours */
    TBUS_BUDGET_WEEKLY,    /* from midnight before Monday; rolling: 7 times 24 hours */
    TBUS_BUDGET_MONTHLY    /* from midnight before the 1st; rolling: 30 times 24 hours */
} tbus_budget_period_t;

#define TBUS_BUDGET_THRESHOLDS_MAX 8

/* The terms of a budget. */
typedef struct tbus_budget {
    tbus_budget_scope_t scope;
    /* The key, user or project (copied, of any length); NULL for TBUS_BUDGET_ALL. */
    const char *subject;
    /* True: these are the terms of each subject of the scope that has no budget of its own; it gets one, counted for
     * itself, with its first request. `subject` must then be NULL, and the scope not TBUS_BUDGET_ALL. */
    bool each;
    /* Of a key that is not at hand: its SHA-256 (32 bytes, copied); `subject` is then only shown, redacted, and may be
     * NULL. NULL = the key is `subject`. */
    const unsigned char *key_digest;
    tbus_money_t limit; /* not below 0; 0 is a limit of 0: nothing may be spent */
    tbus_budget_kind_t kind;
    tbus_budget_period_t period;
    int64_t duration_ns; /* TBUS_BUDGET_DURATION: 1 s .. 10 years */
    int64_t anchor_ns;   /* TBUS_BUDGET_DURATION, not rolling: a moment at which a period begins; default: 1970 */
    /* False: periods follow each other, and each begins with nothing used. True: at any time what counts is the time
     * before it, of the period's length and up to a 30th more (time leaves in slices of a 30th). Not with
     * TBUS_BUDGET_NEVER. */
    bool rolling;
    /* Where midnight is: an IANA name (copied), looked up in the system's time zone files, whatever the process's TZ
     * and locale; or, where it is NULL, minutes east of UTC, -1,440 .. 1,440. A day begins at the first moment at which
     * clocks there show its midnight, or any time after it. */
    const char *time_zone;
    int32_t utc_offset_minutes;
    /* Shares of the limit, in parts per million, 1 .. 1,000,000, at which to tell: when `used` has reached the share
     * and is not 0. The first 0 ends the list; default: 800,000 alone; UINT32_MAX as the first: none. */
    uint32_t thresholds_ppm[TBUS_BUDGET_THRESHOLDS_MAX];
    bool refuse_unpriced; /* HARD: refuses reservations whose estimate is marked `unpriced`: unknown is not free */
    uint64_t reserved[4];
} tbus_budget_t;

/* Sets a budget, or the terms of one that is there: what it has used, and its period where these terms have the same,
 * stay; else what was used counts as used in the new period, which is the one that the latest time lies in. The budgets
 * that a default made follow their default.
 * Errors, with nothing changed: UV_EINVAL (a field out of its range), UV_ENOENT (no such time zone), UV_EPROTO (its
 * file is none, or has leap seconds), UV_ENOSPC (`budgets_max`, or more than 1,000 time zones), UV_ENOMEM, or what
 * libuv calls an error of reading the file. [any thread] */
TBUS_API TBUS_CHECKED int tbus_budget_set(tbus_budgets_t *budgets, const tbus_budget_t *budget);

/* Names a budget. */
typedef struct tbus_budget_name {
    tbus_budget_scope_t scope;
    const char *subject; /* as in tbus_budget_t */
    bool each;
    const unsigned char *key_digest;
} tbus_budget_name_t;

/* Removes a budget and its lifetime total; where its scope has a default it goes on under that instead, with what it
 * has used. `each`: removes the default and all budgets that it made. Reservations go on without it.
 * Errors: UV_EINVAL, UV_ENOENT. [any thread] */
TBUS_API int tbus_budget_remove(tbus_budgets_t *budgets, const tbus_budget_name_t *name);

/* Begins the period of a budget anew, as far as what is used goes: `used` becomes 0, nothing has been told, and the
 * reset is; the lifetime total and the reservations stay. Errors: UV_EINVAL, UV_ENOENT (also for a default, which uses nothing).
 * [any thread] */
TBUS_API int tbus_budget_restart(tbus_budgets_t *budgets, const tbus_budget_name_t *name, int64_t time_ns);

/* Adds what is known from before. Tells nothing of it: thresholds that are reached count as told. A budget that its
 * scope's default would make is made.
 *
 * To go on after a restart: set the budgets; tbus_budget_check() tells `period_start_ns` as of now; what a ledger has
 * since then for the subject (a key by its digest) is `used`, what it has in all is `lifetime`. Once for each budget:
 * what is told twice counts twice. */
typedef struct tbus_budget_past {
    tbus_budget_name_t name;
    int64_t time_ns;       /* when it was used: in the current period, or else it is late. A rolling budget is told its
                              past in several calls, one for each part of its window */
    tbus_money_t used;     /* in that period; not below 0, not above `lifetime` */
    tbus_money_t lifetime; /* in all, `used` included */
    uint64_t reserved[4];
} tbus_budget_past_t;

/* Errors: UV_EINVAL, UV_ENOENT (no such budget and no default), UV_EOVERFLOW. [any thread] */
TBUS_API TBUS_CHECKED int tbus_budget_restore(tbus_budgets_t *budgets, const tbus_budget_past_t *past);

/* --- Requests --- */

typedef struct tbus_budget_request {
    const char *request_id;                     /* NULL or "": none */
    const char *api_key, *user_id, *project_id; /* NULL or "": none, and no budget of that scope applies */
    const unsigned char *key_digest; /* SHA-256 of the key, where api_key is not the whole key; may be NULL. All zeroes
                                        count as NULL */
    tbus_money_t amount;             /* estimate or cost; not below 0 */
    int64_t time_ns;                 /* 0 = the tracker's clock */
    bool unpriced;                   /* the amount is a guess or 0 because the price is not known */
} tbus_budget_request_t;

#define TBUS_BUDGET_SUBJECT_BYTES                                                                                      \
    192 /* a subject as it is shown; a longer one as its beginning, "~" and 8 hex digits
                                         of its SHA-256 */

typedef enum tbus_budget_reason {
    TBUS_BUDGET_OVER_LIMIT = 1, /* used + reserved + estimate would be above the limit */
    TBUS_BUDGET_UNPRICED        /* `refuse_unpriced` */
} tbus_budget_reason_t;

/* Which budget said no: the first one, in the order all, project, user, key. */
typedef struct tbus_budget_refusal {
    tbus_budget_reason_t reason;
    tbus_budget_scope_t scope;
    char subject[TBUS_BUDGET_SUBJECT_BYTES]; /* of a key: redacted */
    tbus_money_t limit, used, reserved;
    int64_t period_end_ns; /* as in tbus_budget_status_t: when to try again */
} tbus_budget_refusal_t;

/* Sets the amount aside in every budget that applies (its key's, user's and project's, and that of all), or in none of
 * them. Returns 0 = yes, UV_EACCES = no; `*ret_refusal` (may be NULL) is then filled in.
 * Errors, with nothing set aside and counted as refused: UV_EINVAL (no request id, an amount below 0), UV_EEXIST (the
 * id has a reservation, or is remembered as settled), UV_ENOBUFS (`reservations_max`), UV_EOVERFLOW, UV_ENOMEM.
 * [any thread] */
TBUS_API TBUS_CHECKED int tbus_budget_reserve(tbus_budgets_t *budgets, const tbus_budget_request_t *request,
                                              tbus_budget_refusal_t *ret_refusal);

/* Counts the amount as used in every budget that applies, and ends the request's reservation where it has one. Where
 * the call names no key (user, project), the one named with the reservation counts. Without an id it can not be known
 * whether it was settled before.
 * Errors: UV_EALREADY (this id has been settled: nothing changes), UV_EINVAL (an amount below 0), UV_EOVERFLOW (a sum
 * would not fit: nothing changes, counted), UV_ENOMEM (counted, but its id could not be remembered). [any thread] */
TBUS_API int tbus_budget_settle(tbus_budgets_t *budgets, const tbus_budget_request_t *request);

/* Ends a request's reservation with nothing used. Errors: UV_EINVAL, UV_ENOENT (it has none). [any thread] */
TBUS_API int tbus_budget_release(tbus_budgets_t *budgets, const char *request_id, int64_t time_ns);

/* Takes a settled cost off again, because it was an estimate and the real one follows: the id may be settled once more.
 * Of an id that is not remembered as settled the request's own amount, names and time count, and no sum falls below 0.
 * What has been told stays told. Errors: UV_EINVAL. [any thread] */
TBUS_API int tbus_budget_retract(tbus_budgets_t *budgets, const tbus_budget_request_t *request);

/* Lets time pass: ends periods and reservations. Only needed where no other call comes along. [any thread] */
TBUS_API void tbus_budgets_advance(tbus_budgets_t *budgets, int64_t time_ns);

/* --- Reading --- */

typedef struct tbus_budget_status {
    tbus_money_t limit, used, reserved;
    tbus_money_t remaining; /* max(0, limit - used - reserved) */
    tbus_money_t lifetime;  /* used since the budget was first set, in all periods */
    tbus_budget_kind_t kind;
    bool over;               /* used > limit: exactly at the limit is not over */
    int64_t period_start_ns; /* INT64_MIN where it never began. Rolling: the first moment that counts */
    int64_t period_end_ns;   /* the first moment that is not in it; INT64_MAX = never ends. Rolling: when the oldest
                                 slice leaves */
} tbus_budget_status_t;

/* How a budget stands at a time (0 = the tracker's clock). Takes no lock unless a period (of a rolling budget: a slice)
 * has ended since, or a subject is asked for that its scope's default has made no budget for yet, which then is as if
 * it had. Errors: UV_EINVAL, UV_ENOENT (no budget: that is not a limit of 0). [any thread] */
TBUS_API TBUS_CHECKED int tbus_budget_check(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *subject,
                                            int64_t time_ns, tbus_budget_status_t *ret_status);

typedef struct tbus_budget_row {
    tbus_budget_scope_t scope;
    const char *subject;                             /* as it is shown; of a key: redacted */
    bool defaulted;                                  /* made by its scope's default */
    bool shared;                                     /* "other": of all subjects past `defaulted_max` */
    unsigned char key_digest[TBUS_KEY_DIGEST_BYTES]; /* of a key; else zeroes */
    tbus_budget_status_t status;
    tbus_money_t previous_used; /* in the period before */
    tbus_budget_period_t period;
    bool rolling;
} tbus_budget_row_t;

typedef struct tbus_budgets_snapshot {
    int64_t time_ns;  /* the latest time believed; 0 before the first */
    int64_t since_ns; /* when they were opened, by their clock */
    size_t rows_count;
    const tbus_budget_row_t *rows; /* by scope, then subject, then digest; without defaults, which use nothing */
    uint64_t reservations;         /* open */
    tbus_money_t settled;          /* the sum of all that was settled and not retracted */
    uint64_t admitted, denied;     /* answers of tbus_budget_reserve(): yes and no */
    uint64_t refused;              /* calls refused for any other reason than a budget */
    uint64_t settles, settled_without_reservation;
    uint64_t settled_again; /* refused with UV_EALREADY */
    uint64_t released;      /* by tbus_budget_release() */
    uint64_t expired;       /* by the time limit */
    uint64_t retracted;
    uint64_t unpriced;        /* of the settles */
    uint64_t late;            /* amounts counted in a budget whose current period is later: once for each budget */
    uint64_t ahead;           /* times not believed */
    uint64_t set_back;        /* times that the clock was found set back */
    uint64_t shared_requests; /* amounts that had to go to "other": once for each budget */
    uint64_t merged_findings; /* findings that nobody took before the same budget had the same one again */
} tbus_budgets_snapshot_t;

/* All budgets, as at a time (0 = the tracker's clock), a struct with its own memory: free it with
 * tbus_budgets_snapshot_free(). The lock is held only to copy. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_budgets_snapshot(tbus_budgets_t *budgets, int64_t time_ns,
                                                tbus_budgets_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_budgets_snapshot_free(tbus_budgets_snapshot_t *snapshot);

/* --- Findings --- */

/* Each is told once for each period. A rolling budget has none: it tells a threshold or its limit again when `used` has
 * been below it since, and the time since it was told is longer than its window. */
typedef enum tbus_budget_found {
    TBUS_BUDGET_FOUND_ALERT = 1, /* a threshold was reached: once for each threshold */
    TBUS_BUDGET_FOUND_EXCEEDED,  /* used went past the limit, or a HARD budget refused a reservation for it */
    TBUS_BUDGET_FOUND_RESET      /* a period in which something was used has ended, or was begun anew */
} tbus_budget_found_t;

typedef struct tbus_budget_finding {
    tbus_budget_found_t what;
    tbus_budget_scope_t scope;
    char subject[TBUS_BUDGET_SUBJECT_BYTES]; /* of a key: redacted */
    tbus_budget_kind_t kind;
    double threshold;         /* of an alert: 0.8 = 80 % */
    tbus_money_t used, limit; /* used: when the finding is taken; of a period that has ended: in all of it */
    int64_t time_ns;          /* when it was found */
} tbus_budget_finding_t;

/* Takes the next finding: 1, or 0 where there is none. Findings of a budget come in their order. Each budget keeps room
 * for one of a kind in its current period and one in those before; so none is dropped for want of room, but where nobody
 * takes them those of older periods become one. Costs one load where there is none. Errors: UV_EINVAL. [any thread] */
TBUS_API int tbus_budgets_take_finding(tbus_budgets_t *budgets, tbus_budget_finding_t *ret_finding);

TBUS_END_DECLS

#endif
