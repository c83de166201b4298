/* Error patterns: errors alike in type, endpoint and normalized message, kept by their signature, with a cap: past it
 * the one seen longest ago goes. "Longest ago" goes by the order of recording, so that one event from a clock that is
 * ahead can not stay for ever. Not locked: the tracker's lock covers it. */
#ifndef TRACKERS_ERRORS_PATTERNS_H
#define TRACKERS_ERRORS_PATTERNS_H

#include "trackers/errors_findings.h"
#include "trackers/errors_name.h"
#include "trackers/table_order.h"

enum { SIGNATURE_BYTES = 2 * (ERRORS_NAME_MAX + 1) + TBUS_NORMALIZED_BYTES };
enum { PATTERN_MODELS_MAX = 16, PATTERN_USERS_MAX = 64 /* a power of two */, PATTERN_IDS_MAX = 10 };

/* What a pattern is known by: "type:endpoint:normalized", the names fitted to ERRORS_NAME_MAX. */
struct signature {
    char text[SIGNATURE_BYTES];
    struct table_name name; /* the text */
    uint16_t type_length, endpoint_length;
};

/* What an error adds to its pattern. */
struct sighting {
    int64_t time_ns;
    uint32_t model;         /* its cell in the table of models */
    uint64_t user;          /* hash of the user's id; 0 = none */
    uint64_t request;       /* hash of the request's id; 0 = none */
    const char *request_id; /* cut to TBUS_ERROR_ID_BYTES */
};

/* A value of the table; its key is the signature's text. */
struct pattern {
    struct table_link link; /* by last use */
    uint64_t count;
    int64_t first_seen_ns, last_seen_ns;
    uint16_t type_length, endpoint_length;
    bool told; /* that it crossed the threshold */
    bool has_more_models, has_more_users;
    uint8_t models_count, users_count, ids_count;
    uint8_t ids_next; /* where the next id goes: over the oldest when all places are taken */
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    uint32_t models[PATTERN_MODELS_MAX];
    uint64_t users[PATTERN_USERS_MAX]; /* hashes, open addressing; 0 = free */
    uint64_t id_hashes[PATTERN_IDS_MAX];
    char ids[PATTERN_IDS_MAX][TBUS_ERROR_ID_BYTES];
};

struct patterns {
    struct table table;
    struct table_order order; /* by last use */
    uint32_t threshold;       /* [const after open] */
    uint64_t dropped;
};

/* Room for `max` (> 0) patterns; allocates nothing yet. */
void patterns_init(struct patterns *patterns, uint32_t max, uint32_t threshold);

/* Gives the memory back. */
void patterns_clear(struct patterns *patterns);

/* Forgets all patterns without allocating or freeing. */
void patterns_empty(struct patterns *patterns);

/* Forgets those last seen before a moment. Returns how many. */
uint32_t patterns_forget(struct patterns *patterns, int64_t seen_before_ns);

/* The pattern with a signature, or NULL. Valid until the next patterns_add(). */
struct pattern *patterns_find(const struct patterns *patterns, const struct signature *signature);

/* Counts an error of a pattern, and tells when that crosses the threshold. */
void patterns_see(struct patterns *patterns, struct pattern *pattern, const struct sighting *sighting,
                  struct findings *findings);

/* Adds a pattern, not seen yet, dropping another where there are too many. NULL = UV_ENOMEM. */
struct pattern *patterns_add(struct patterns *patterns, const struct signature *signature, const char *fingerprint);

/* Tells of those that crossed the threshold when there was no room. */
void patterns_tell(struct patterns *patterns, struct findings *findings);

/* One finding of patterns_tell()'s kind was not delivered: it is to be told again, if its pattern is still kept. */
void patterns_untell(struct patterns *patterns, const tbus_finding_t *finding);

/* The texts of a pattern, not redacted, with their lengths: they lie in the table's key. */
struct pattern_texts {
    const char *type, *endpoint, *normalized;
    size_t type_length, endpoint_length, normalized_length;
};

struct pattern_texts pattern_texts_of(const struct patterns *patterns, const struct pattern *pattern);

#endif
