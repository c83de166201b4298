/* usage.priced: the event that tells a usage record to whoever keeps accounts (budgets, the ledger, the host).
 *
 *   uint32_t type;
 *   int error = tbus_usage_events_enable(bus, &type);
 *   ... tbus_subscribe(bus, TBUS_USAGE_PRICED, 6, on_priced, accounts) ...
 *
 *   static int on_priced(const tbus_event_t *event, void *accounts)
 *   {
 *       tbus_usage_record_t record;
 *       return tbus_usage_of_event(bus, event, &record) == 0 ? enter(accounts, &record) : 0;
 *   }
 *
 * The cost subscriber (tbus_cost_attach()) publishes one for each usage that it has recorded, on the loop thread, from
 * the moment that the type is enabled on its bus; nothing is published, and nothing paid, before.
 *
 * It is a type of the bus's own, vital, shown in JSON, journals and logs by its fields. What of an API key may be seen:
 * `base.api_key` is the whole key and treated as in every event (a journal and a log redact it); `key_redacted` and
 * `key_sha256_0` .. `_3` hold no secret where keys are as long and random as keys are meant to be. Money is told as two
 * integers, exactly.
 *
 * A journal may hold both request.completed and the usage.priced that it led to. Played back with a cost tracker
 * attached, the first would lead to a second usage.priced: play one of the two. */
#ifndef TALLYBUS_USAGE_EVENT_H
#define TALLYBUS_USAGE_EVENT_H

#include <tallybus/bus.h>
#include <tallybus/usage.h>

TBUS_BEGIN_DECLS

#define TBUS_USAGE_PRICED "usage.priced"

/* The fields' names in JSON, journals and logs are the members' names; of an amount `cost`: "cost_high" and "cost_low"
 * (value = high * 2^64 + low, low without a sign, in units of 1e-12 USD); of `key_sha256`: "key_sha256_0" and on. */
typedef struct tbus_usage_priced {
    tbus_event_t base; /* time_ns, request_id, api_key, user_id, project_id: as of the usage */
    int64_t event_id;  /* of the event that told the usage; base.id is this event's own */
    const char *model, *endpoint, *key_redacted;
    int64_t key_sha256[4]; /* of the whole key: its bytes, the first ones highest; all 0 = no key */
    int64_t input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images, characters;
    tbus_money_t cost, cache_savings, batch_savings;
    bool batch, estimated, unpriced, retracted;
} tbus_usage_priced_t;

/* Makes the type known to a bus, or finds it there; `ret_type` (may be NULL) gets its number. Errors: UV_EINVAL (bus
 * NULL), UV_EEXIST (the host has a type of this topic with other fields), UV_ENOSPC, UV_ENOMEM, UV_ESHUTDOWN.
 * [any thread, handlers too] */
TBUS_API int tbus_usage_events_enable(tbus_t *bus, uint32_t *ret_type);

/* The record that an event tells; borrows the event's strings. Errors: UV_EINVAL (an argument NULL, an event of another
 * type, a count or cost below 0). [any thread] */
TBUS_API TBUS_CHECKED int tbus_usage_of_event(const tbus_t *bus, const tbus_event_t *event,
                                              tbus_usage_record_t *ret_record);

TBUS_END_DECLS

#endif
