/* A usage record: what one request used and what that cost, as the cost tracker keeps it and the ledger stores it. */
#ifndef TALLYBUS_USAGE_H
#define TALLYBUS_USAGE_H

#include <tallybus/money.h>

TBUS_BEGIN_DECLS

#define TBUS_KEY_DIGEST_BYTES 32

typedef struct tbus_usage_record {
    uint64_t event_id; /* of the event that told it; unique in the process, 0 = none */
    int64_t time_ns;
    const char *request_id, *user_id, *project_id, *model, *endpoint; /* "" = none */
    const char *api_key;                                              /* redacted: see tbus_redact_key() */
    unsigned char key_digest[TBUS_KEY_DIGEST_BYTES]; /* SHA-256 of the whole key, zeros = none: tells keys apart */
    /* disjoint: a token counts in one of them, but for reasoning, which is part of the output */
    int64_t input_tokens; /* neither read from the cache nor written to it */
    int64_t cache_read_tokens, cache_write_tokens;
    int64_t output_tokens, reasoning_tokens;
    int64_t images, characters;
    tbus_money_t cost, cache_savings, batch_savings;
    bool batch;
    bool estimated; /* of a stream that was cut off: not the provider's figures */
    bool unpriced;  /* the model, or something used, has no price of its own */
    bool retracted; /* no new usage: the estimated record with this event_id, all of it, counts no more, because the
                       real figures have come. They follow as a record of their own. Take off what was added for it,
                       from the same key, user, project, and the period that `time_ns` lies in */
} tbus_usage_record_t;

TBUS_END_DECLS

#endif
