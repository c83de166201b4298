#include <assert.h>
#include <string.h>

#include "trackers/cost.h"
#include "trackers/texts.h"

enum { ID_BYTES = 128 };

void cost_estimates_init(struct cost_estimates *estimates, uint32_t max)
{
    *estimates = (struct cost_estimates){0};
    table_init(&estimates->table, sizeof(struct cost_estimate *), ID_BYTES, max);
}

void cost_estimates_clear(struct cost_estimates *estimates)
{
    for (struct order_link *link = estimates->order.oldest, *next; link; link = next) {
        next = link->newer;
        tbus_mem_free(link);
    }
    estimates->order = (struct order){0};
    estimates->forgotten = 0;
    table_clear(&estimates->table);
}

struct cost_estimate *cost_estimates_take(struct cost_estimates *estimates, const char *request_id)
{
    struct cost_estimate **place = table_find(&estimates->table, request_id);
    if (!place)
        return NULL;
    struct cost_estimate *estimate = *place;
    table_remove(&estimates->table, place);
    order_remove(&estimates->order, &estimate->link);
    return estimate;
}

/* Puts one in (takes it); the oldest one makes room. There is none of this request. False for want of memory: it is
 * still the caller's. */
static bool put_estimate(struct cost_estimates *estimates, struct cost_estimate *estimate)
{
    bool is_new;
    int error;
    if (estimates->table.count == estimates->table.max) {
        const struct cost_estimate *oldest = (const struct cost_estimate *)estimates->order.oldest;
        tbus_mem_free(cost_estimates_take(estimates, oldest->record.request_id));
        estimates->forgotten++;
    }
    struct cost_estimate **place = table_add(&estimates->table, estimate->record.request_id, &is_new, &error);
    if (!place)
        return false;
    assert(is_new);
    *place = estimate;
    order_append(&estimates->order, &estimate->link);
    return true;
}

/* A block with copies of a usage's strings and nothing else filled in; NULL without memory. */
static struct cost_estimate *open_estimate(const tbus_usage_t *usage)
{
    const char *const texts[] = {usage->request_id, usage->user_id,  usage->project_id,
                                 usage->model,      usage->endpoint, usage->api_key};
    enum { TEXTS = sizeof texts / sizeof *texts };
    static_assert((int)TEXTS <= (int)TEXTS_MAX, "they fit");
    const char *copies[TEXTS];
    struct cost_estimate *estimate = texts_open(sizeof *estimate, texts, TEXTS, COST_ESTIMATE_TEXT_MAX, copies);
    if (!estimate)
        return NULL;
    estimate->record.request_id = copies[0];
    estimate->record.user_id = copies[1];
    estimate->record.project_id = copies[2];
    estimate->record.model = copies[3];
    estimate->record.endpoint = copies[4];
    estimate->api_key = copies[5];
    return estimate;
}

/* --- In the tracker --- */

void cost_estimate_retract(tbus_cost_t *cost, const struct cost_estimate *estimate)
{
    cost_history_take(&cost->history, &cost->total, estimate->hour, &estimate->sums);
    for (int group = 0; group < COST_GROUPS; group++) {
        if (estimate->in_group[group])
            cost_history_take(
                &cost->history,
                (struct cost_row *)(uintptr_t)cost_row_at(cost, COST_NAME(group, estimate->places[group])),
                estimate->hour, &estimate->sums);
    }
    struct cost_record *record = cost_records_find(&cost->records, estimate->record_number);
    if (record)
        record->usage.retracted = true;
    cost->cache_savings = money_of(money_value(cost->cache_savings) - money_value(estimate->record.cache_savings));
    cost->batch_savings = money_of(money_value(cost->batch_savings) - money_value(estimate->record.batch_savings));
    cost->estimated_requests--;
    cost->retracted_estimates++;
}

bool cost_estimate_can_be_told(const tbus_usage_t *usage)
{
    return usage->request_id && *usage->request_id &&
           strnlen(usage->request_id, COST_ESTIMATE_TEXT_MAX + 1) <= COST_ESTIMATE_TEXT_MAX;
}

int cost_estimate_keep(tbus_cost_t *cost, const tbus_usage_t *usage, const struct cost_bill *bill,
                       const struct cost_rows *rows, uint64_t record_number)
{
    struct cost_estimate *estimate = open_estimate(usage);
    if (!estimate)
        return UV_ENOMEM;
    estimate->sums = cost_sums_of(bill);
    estimate->hour = cost->hour;
    estimate->record_number = record_number;
    for (int group = 0; group < COST_GROUPS; group++) {
        estimate->in_group[group] = rows->of[group] != NULL;
        estimate->places[group] = rows->of[group] ? COST_PLACE_OF(rows->of[group]->name) : 0;
    }
    cost_fill_record(&estimate->record, usage, bill);
    estimate->key_id = rows->key->id;
    if (COST_PLACE_OF(rows->key->row.name) == COST_PLACE_OF_OTHER) /* it is told as the key that it is */
        cost_key_id_of(usage->api_key, &estimate->key_id);
    memcpy(estimate->record.key_digest, estimate->key_id.digest, sizeof estimate->record.key_digest);
    estimate->record.api_key = estimate->key_id.redacted;
    estimate->record.retracted = true; /* it is told again only to be taken back */
    if (put_estimate(&cost->estimates, estimate))
        return 0;
    tbus_mem_free(estimate);
    return UV_ENOMEM;
}
