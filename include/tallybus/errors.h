/* The error tracker: how much fails, what fails alike, and whether the SLO (service level objective) still holds, in all
 * and for each endpoint. Needs no bus; subscribers.h feeds it from one. Every function takes one lock for as long as it
 * needs to read or write plain memory; none calls the host, but for the options' `clock`.
 *
 * Times are those of the records, in nanoseconds since the epoch; a window ends at the latest of them, or at a later
 * moment that is asked for. What comes late counts where it belongs, as far back as a window goes. A time far ahead
 * would make windows pass over all that comes behind it: so one more than `ahead_max_ns` ahead of the clock, and of the
 * latest time as well, is not believed, and its record counts at the latest time that was; where the clock itself was
 * ahead, the latest time goes back with it (as in streaming.h). Windows are kept in slices of time, so that one covers its
 * length and at most one slice more: 10 s for 5 m, 1 m for 30 m to 2 h, 15 m for 6 h to 3 d, a 30th of `window_ns`, a 120th
 * of the compliance period.
 *
 * Secrets: what is shown has API keys and tokens masked ("sk-*"), in messages, names and ids alike. Names are masked
 * before they are counted, so that two that differ in a key alone count as one; so do two that differ in bytes
 * that are no UTF-8, which become "?". Fingerprints are over the text as given.
 */
#ifndef TALLYBUS_ERRORS_H
#define TALLYBUS_ERRORS_H

#include <tallybus/fingerprint.h>
#include <tallybus/slo.h>

TBUS_BEGIN_DECLS

typedef struct tbus_errors tbus_errors_t;

/* How much of a text is kept, NUL included: of an endpoint, type or model (a longer one is kept as its beginning and a
 * hash of all of it), of a recent error's message, and of an id of a request or user (cut between code points). */
#define TBUS_ERROR_NAME_BYTES 192
#define TBUS_ERROR_TEXT_BYTES 256
#define TBUS_ERROR_ID_BYTES 64

typedef struct tbus_endpoint_slo {
    const char *endpoint;
    uint32_t target_ppm; /* 1 .. 1,000,000 */
} tbus_endpoint_slo_t;

typedef struct tbus_errors_options {
    uint32_t slo_target_ppm; /* share of requests that must succeed, in parts per million: 1 .. 1,000,000;
                                default 999,000 (99.9 %) */
    uint32_t names_max; /* endpoints, types and models told apart, each; further ones count as "other"; default 500 */
    uint32_t patterns_max;      /* patterns kept; past it the one seen longest ago goes; default 1,000 */
    bool client_errors_count;   /* true: a status of 400 .. 499 is an error too; default false */
    int32_t excluded_status;    /* a status that counts neither as error nor as success; default 499 (client gone);
                                 negative = none */
    uint32_t recent_max;        /* recent errors kept; default 500; UINT32_MAX = none */
    uint32_t pattern_threshold; /* a pattern is told of when it has been seen so often; default 3; UINT32_MAX = never */
    bool finer_patterns;        /* true: patterns by tbus_error_normalize_finer(), and fingerprints of its text; default
                                   false */
    int64_t window_ns;          /* what "within the window" means below; default 300 s; negative = without limit */
    /* The budget's period, in seconds: 3,600 .. 31,622,400 (366 days); default 30 days. The alerts' factors scale with
     * it. */
    uint32_t compliance_s;
    bool rolling; /* true: the SLO is over the latest compliance period; default false: over all since the start */
    uint32_t alert_requests_min; /* an alert is not on with fewer requests in its long window; default 100 */
    /* true: what is found out is not kept to be taken, so that nothing of it is published: for a tracker that is fed
     * from a journal, where it stands already. Snapshots show it all the same. Default false. */
    bool findings_off;
    uint32_t endpoints_max; /* endpoints whose SLO is watched; further ones share that of "other"; default 100 */
    /* How far ahead of the clock, and of the latest time, a time may be; default 300 s; negative = any time is believed:
     * for times that are not of this clock. */
    int64_t ahead_max_ns;
    /* Nanoseconds since 1970; default: the system's clock. Asked on opening, on a reset, and where a time is ahead of
     * what the last look at it allowed, or late by more than `ahead_max_ns`; with the lock held, on any thread: it may
     * neither block nor call the library. */
    int64_t (*clock)(void *user);
    void *clock_user;
    const tbus_endpoint_slo_t *endpoint_slos; /* endpoints with a target of their own, always among the above */
    uint32_t endpoint_slos_count;
    uint64_t reserved[8];
} tbus_errors_options_t;

/* Makes a tracker; `options` (copied, with its strings) may be NULL. Memory, what tables take for a moment as they grow
 * included: at most 6 KiB for each pattern, 1 KiB for each recent error, 10 KiB for each endpoint watched, 1 KiB for each
 * name and each status code seen, 100 KiB beside them. Errors: UV_EINVAL (`ret` NULL, an option out of its range, a
 * limit above 2^24, more endpoint_slos than endpoints_max), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_errors_open(const tbus_errors_options_t *options, tbus_errors_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_errors_close(tbus_errors_t *errors);

/* Forgets everything and starts counting anew. Alerts that were on are left: that can be found out as usual; what had
 * been found out before still can, too. [any thread] */
TBUS_API void tbus_errors_reset(tbus_errors_t *errors);

/* --- Recording. [any thread] --- */

/* A request that ended, or an error as such. Any string may be NULL, which counts as "". */
typedef struct tbus_error {
    const char *type;
    const char *message;
    const char *endpoint;
    const char *model;
    const char *request_id;
    const char *user_id;
    int64_t status_code; /* 0 = none */
    int64_t time_ns;
} tbus_error_t;

/* A request ended with this status. 500 and more is an error of type "http_<status>" without a message; below it is a
 * success (0 = unknown status: success), but for what the options say of 4xx and of the excluded status.
 * Errors: UV_EINVAL (tracker NULL), UV_ENOMEM (a new name could not be kept, and counts as "other"). */
TBUS_API int tbus_errors_record_response(tbus_errors_t *errors, const char *endpoint, const char *model,
                                         int64_t status_code, int64_t time_ns);

/* The same with all that is known of the request; its type and message are not looked at. Errors: as above. */
TBUS_API int tbus_errors_record_request(tbus_errors_t *errors, const tbus_error_t *request);

/* Records an error, whatever its status (the excluded status counts as nothing, as above). Errors: as above. */
TBUS_API int tbus_errors_record_error(tbus_errors_t *errors, const tbus_error_t *error);

/* --- Finding out: alerts that are entered or left, patterns that cross the threshold ---
 *
 * Alerts are looked at whenever a record begins a slice of 10 s, and on request. What is found out waits in the tracker
 * until somebody takes it; tbus_errors_attach() takes it and publishes events. Up to 128 findings wait; further ones are
 * counted, and told once there is room again, if they still hold then: an alert that came and went meanwhile is not. */

typedef enum tbus_finding_kind {
    TBUS_FINDING_PATTERN = 1, /* a pattern has reached the threshold: once for as long as it is kept */
    TBUS_FINDING_ALERT_ENTERED,
    TBUS_FINDING_ALERT_LEFT
} tbus_finding_kind_t;

typedef struct tbus_finding {
    tbus_finding_kind_t kind;
    int64_t time_ns; /* of the record, or what was given to tbus_errors_evaluate() */
    /* of an alert */
    tbus_alert_t alert;
    bool all_endpoints; /* of the SLO in all; `endpoint` is "" then */
    double factor;      /* what is exceeded, or not any more */
    double burn_rate;   /* over the long window */
    /* of a pattern */
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    char type[TBUS_ERROR_NAME_BYTES];
    uint64_t count;
    /* of both */
    char endpoint[TBUS_ERROR_NAME_BYTES];
} tbus_finding_t;

/* Looks at the alerts as of `now_ns`; what lies before the latest time recorded, or before the last look, means that. So
 * that alerts are left when traffic stops, call it from a timer. A moment that is not believed means the latest time,
 * too. Errors: UV_EINVAL. [any thread] */
TBUS_API int tbus_errors_evaluate(tbus_errors_t *errors, int64_t now_ns);

/* Takes what was found out longest ago. Returns 1, 0 (nothing waits) or UV_EINVAL. [any thread] */
TBUS_API int tbus_errors_take_finding(tbus_errors_t *errors, tbus_finding_t *ret_finding);

/* --- Reading. What these make has its own memory; the lock is held only to copy. --- */

typedef struct tbus_error_count {
    const char *name; /* "" = events that named none */
    uint64_t errors;  /* for ever */
    uint64_t errors_in_window;
} tbus_error_count_t;

typedef struct tbus_error_status_count {
    int64_t status_code; /* 0 = none, -1 = a code outside 100 .. 599 */
    uint64_t errors;     /* for ever */
    uint64_t errors_in_window;
} tbus_error_status_count_t;

typedef struct tbus_error_pattern {
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    const char *type, *endpoint, *normalized;
    uint64_t count;
    int64_t first_seen_ns, last_seen_ns;
    size_t models_count; /* the first 16 */
    const char *const *models;
    uint32_t users;       /* different ones; errors without a user left aside */
    bool has_more_models; /* than 16 */
    bool has_more_users;  /* than 64, where counting ends */
    size_t request_ids_count;
    const char *const *request_ids; /* of the latest 10 different ones, the newest first */
} tbus_error_pattern_t;

typedef struct tbus_burn {
    uint64_t requests, errors;
    double burn_rate;
} tbus_burn_t;

typedef struct tbus_alert_status {
    bool active;
    bool unreachable; /* the target is so loose that it can never come on */
    double factor;    /* what both burn rates have to exceed */
    int64_t since_ns; /* when it came on or went off; 0 = never */
    uint64_t entered; /* times */
} tbus_alert_status_t;

typedef struct tbus_slo {
    const char *endpoint;     /* NULL = all */
    tbus_slo_status_t status; /* since the start, or over the compliance period */
    tbus_burn_t burn[TBUS_BURN_WINDOWS];
    tbus_alert_status_t alerts[TBUS_ALERTS]; /* as last looked at */
} tbus_slo_t;

typedef struct tbus_errors_snapshot {
    int64_t time_ns;   /* the latest time recorded and believed */
    int64_t since_ns;  /* when the tracker was opened or reset last, by its clock */
    uint64_t requests; /* for ever, those that failed included */
    uint64_t failed;   /* of these */
    uint64_t excluded; /* responses and errors that counted as nothing */
    uint64_t ahead;    /* times too far ahead of the clock to be believed */
    uint64_t requests_in_window, failed_in_window;
    double error_rate_in_window; /* 0 without requests */
    tbus_slo_status_t slo;       /* in all: slo_of_all.status */
    tbus_slo_t slo_of_all;
    size_t slos_count;
    const tbus_slo_t *slos; /* of the endpoints that had requests or a target of their own, by name */
    /* each list by falling count, then by name */
    size_t by_endpoint_count, by_type_count, by_model_count, by_status_count, patterns_count;
    const tbus_error_count_t *by_endpoint, *by_type, *by_model;
    const tbus_error_status_count_t *by_status;
    const tbus_error_pattern_t *patterns;
    uint64_t patterns_dropped; /* patterns that had to go for newer ones */
    uint64_t findings_waiting;
    uint64_t findings_delayed; /* that found no room when they were made */
} tbus_errors_snapshot_t;

/* Takes a snapshot: free it with tbus_errors_snapshot_free(). Windows end at `now_ns`; 0, or what lies before the latest
 * time recorded, means that time. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_errors_snapshot(tbus_errors_t *errors, int64_t now_ns, tbus_errors_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_errors_snapshot_free(tbus_errors_snapshot_t *snapshot);

/* Which patterns; all zeroes: all of them. */
typedef struct tbus_pattern_filter {
    size_t limit;          /* 0 = as many as there are */
    uint64_t count_min;    /* seen at least so often */
    int64_t seen_after_ns; /* last seen after this moment; 0 = whenever */
} tbus_pattern_filter_t;

typedef struct tbus_error_patterns {
    size_t count;
    const tbus_error_pattern_t *patterns; /* by falling count, then type, endpoint, message */
} tbus_error_patterns_t;

/* Lists patterns; `filter` NULL = all. Free the list with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_errors_patterns(tbus_errors_t *errors, const tbus_pattern_filter_t *filter,
                                               tbus_error_patterns_t **ret);

/* Forgets the patterns last seen before a moment. Returns how many, or UV_EINVAL. [any thread] */
TBUS_API int64_t tbus_errors_forget_patterns(tbus_errors_t *errors, int64_t seen_before_ns);

typedef struct tbus_recent_error {
    const char *type, *message, *endpoint, *model, *request_id, *user_id; /* none is NULL */
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    int64_t status_code;
    int64_t time_ns;
} tbus_recent_error_t;

/* Which recent errors; all zeroes: all of them. */
typedef struct tbus_recent_filter {
    size_t limit;         /* 0 = as many as there are */
    const char *endpoint; /* NULL = any */
    const char *type;     /* NULL = any */
    int64_t after_ns;     /* told to have happened after this moment; 0 = whenever */
} tbus_recent_filter_t;

typedef struct tbus_recent_errors {
    size_t count;
    const tbus_recent_error_t *errors; /* the one recorded last comes first */
} tbus_recent_errors_t;

/* Lists recent errors; `filter` NULL = all. Free the list with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM.
 * [any thread] */
TBUS_API TBUS_CHECKED int tbus_errors_recent(tbus_errors_t *errors, const tbus_recent_filter_t *filter,
                                             tbus_recent_errors_t **ret);

TBUS_END_DECLS

#endif
