/* The error tracker: how much fails, what fails alike, and whether the SLO (service level objective) still holds.
 * Needs no bus; subscribers.h feeds it from one. Every function takes one lock for as long as it needs to read or write
 * plain memory; none calls the host. */
#ifndef TALLYBUS_ERRORS_H
#define TALLYBUS_ERRORS_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

typedef struct tbus_errors tbus_errors_t;

typedef struct tbus_errors_options {
    uint32_t slo_target_ppm; /* share of requests that must succeed, in parts per million: 1 .. 1,000,000;
                                default 999,000 (99.9 %) */
    uint32_t names_max; /* endpoints, types and models told apart, each; further ones count as "other"; default 500 */
    uint32_t patterns_max;    /* patterns kept; past it the one seen longest ago goes; default 1,000 */
    bool client_errors_count; /* true: a status of 400 .. 499 is an error too; default false */
    int32_t excluded_status;  /* a status that counts neither as error nor as success; default 499 (client gone);
                                 negative = none */
    uint64_t reserved[8];
} tbus_errors_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory: at most about 2 KiB for each pattern and 350 bytes for each
 * name. Errors: UV_EINVAL (`ret` NULL, a target above 1,000,000, a limit above 2^24), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_errors_open(const tbus_errors_options_t *options, tbus_errors_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_errors_close(tbus_errors_t *errors);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_errors_reset(tbus_errors_t *errors);

/* --- Recording. [any thread] --- */

/* A request ended with this status. 500 and more is an error of type "http_<status>" without a message; below it is a
 * success (0 = unknown status: success), but for what the options say of 4xx and of the excluded status.
 * Errors: UV_EINVAL (tracker NULL), UV_ENOMEM (a new name could not be kept: the totals are counted all the same). */
TBUS_API int tbus_errors_record_response(tbus_errors_t *errors, const char *endpoint, const char *model,
                                         int64_t status_code, int64_t time_ns);

/* A request that failed, or an error as such. Any string may be NULL, which counts as "". */
typedef struct tbus_error {
    const char *type;
    const char *message;
    const char *endpoint;
    const char *model;
    int64_t status_code; /* 0 = none */
    int64_t time_ns;
} tbus_error_t;

/* Records an error (the excluded status counts as nothing, as above). Errors: UV_EINVAL, UV_ENOMEM (as above). */
TBUS_API int tbus_errors_record_error(tbus_errors_t *errors, const tbus_error_t *error);

/* --- Fingerprints --- */

#define TBUS_FINGERPRINT_VERSION 1 /* goes up whenever the rules would group errors differently */
#define TBUS_FINGERPRINT_BYTES 9   /* 8 hex digits and NUL */
#define TBUS_NORMALIZED_BYTES 801  /* 200 code points of at most 4 bytes and NUL */

/* Makes messages of one kind alike: one after another, each UUID (any case) becomes <UUID>, `req-` and the ASCII
 * letters and digits after it <REQUEST_ID>, `0x` and the hex digits after it <ADDR>, each run of ASCII digits <NUM>;
 * then cut to 200 code points. Bytes that are not UTF-8 are kept; each byte that is not a continuation byte counts as a
 * code point, and so does a continuation byte that continues nothing. `message` NULL counts as "". Returns the length
 * in bytes, NUL not counted. Never allocates; reads only as much of the message as it needs. [any thread] */
TBUS_API size_t tbus_error_normalize(const char *message, char normalized[TBUS_NORMALIZED_BYTES]);

/* The first 8 hex digits of the SHA-256 of "type:endpoint:normalized message". Any string may be NULL ("").
 * Never allocates. Errors: UV_EINVAL (`fingerprint` NULL). [any thread] */
TBUS_API TBUS_CHECKED int tbus_error_fingerprint(const char *type, const char *endpoint, const char *message,
                                                 char fingerprint[TBUS_FINGERPRINT_BYTES]);

/* --- SLO --- */

/* Integers throughout: total requests, of which `errors` failed. */
typedef struct tbus_slo_status {
    uint32_t target_ppm;
    uint64_t total_requests, errors;
    uint64_t budget_total;     /* floor(total * (1e6 - target_ppm) / 1e6): errors that are allowed */
    uint64_t budget_consumed;  /* = errors */
    uint64_t budget_remaining; /* max(0, budget_total - consumed) */
    double budget_percentage;  /* remaining / budget_total * 100; 100 when budget_total is 0 */
    bool violated;             /* errors * 1e6 > total * (1e6 - target_ppm): exactly at the threshold is not violated */
    double error_rate;         /* errors / total; 0 without requests */
    double success_rate;       /* 1 - error rate; 1 without requests */
    double burn_rate; /* error rate / (1 - target); 0 without errors; infinite where the target is 1 and there are */
} tbus_slo_status_t;

/* The status that these numbers have; `errors` above `total` counts as `total`. Never fails. [any thread] */
TBUS_API tbus_slo_status_t tbus_slo_status(uint64_t total, uint64_t errors, uint32_t target_ppm);

/* --- Reading --- */

typedef struct tbus_error_count {
    const char *name; /* "" = events that named none */
    uint64_t errors;
} tbus_error_count_t;

typedef struct tbus_error_status_count {
    int64_t status_code; /* 0 = none, -1 = a code outside 100 .. 599 */
    uint64_t errors;
} tbus_error_status_count_t;

typedef struct tbus_error_pattern {
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    const char *type, *endpoint, *normalized; /* `normalized` with API keys ("sk-...") and bearer tokens shown as "*";
                                                 a type or endpoint over 191 bytes as its beginning and a hash */
    uint64_t count;
    int64_t first_seen_ns, last_seen_ns;
} tbus_error_pattern_t;

typedef struct tbus_errors_snapshot {
    int64_t time_ns;       /* the latest time recorded */
    uint64_t excluded;     /* responses and errors that counted as nothing */
    tbus_slo_status_t slo; /* with total_requests and errors, for ever */
    /* for ever; each list by falling count, then by name */
    size_t by_endpoint_count, by_type_count, by_model_count, by_status_count, patterns_count;
    const tbus_error_count_t *by_endpoint, *by_type, *by_model;
    const tbus_error_status_count_t *by_status;
    const tbus_error_pattern_t *patterns;
    uint64_t patterns_dropped; /* patterns that had to go for newer ones */
} tbus_errors_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_errors_snapshot_free(). The tracker's lock is held
 * only to copy. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_errors_snapshot(tbus_errors_t *errors, tbus_errors_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_errors_snapshot_free(tbus_errors_snapshot_t *snapshot);

TBUS_END_DECLS

#endif
