/* The model tracker. A model's row is its traffic, its cost, and a bit for each endpoint and each user that can be told
 * apart, by the cell that the name has in its table. */
#include <tallybus/models.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trackers/moment.h"
#include "trackers/options.h"
#include "trackers/shown.h"
#include "trackers/traffic.h"

enum {
    DEFAULT_MODELS = 100,
    DEFAULT_ENDPOINTS = 100,
    DEFAULT_USERS = 10000,
    ENDPOINTS_LIMIT = 1 << 16,
    USERS_LIMIT = 1 << 24,
    USER_MAX = 127, /* bytes of a user's name kept whole */
    WORD_BITS = 64
};

#define DEFAULT_WINDOW_NS INT64_C(300000000000)

/* Names told apart, of all models together. */
struct seen_names {
    struct table table; /* without values: a name is its cell */
    uint32_t first_bit; /* of a row's */
    bool full;
};

struct model_row {
    struct traffic traffic; /* first: a row is found by it */
    tbus_money_t cost;
    int64_t first_ns, last_ns; /* once there was a response */
    uint64_t endpoints, users;
    bool has_cost;
    uint64_t bits[]; /* endpoints, then users */
};

struct tbus_models {
    struct traffic_book book;
    /* [lock: book.mu] */
    struct seen_names endpoints, users;
    uint64_t refused_costs;
};

/* --- Open, close, reset --- */

static int open_names(struct seen_names *names, uint32_t first_bit, uint32_t key_max, uint32_t max)
{
    names->first_bit = first_bit;
    table_init(&names->table, 0, key_max, max + 1 /* and "other" */);
    return table_open_other(&names->table);
}

static int open_parts(tbus_models_t *models, const tbus_models_options_t *options)
{
    const uint32_t endpoints = or_default(options->endpoints_max, DEFAULT_ENDPOINTS);
    const uint32_t users = or_default(options->users_max, DEFAULT_USERS);
    if (endpoints > ENDPOINTS_LIMIT || users > USERS_LIMIT)
        return UV_EINVAL;
    const uint32_t words = (endpoints + 1 + users + 1 + WORD_BITS - 1) / WORD_BITS;
    int error = open_names(&models->endpoints, 0, TRAFFIC_NAME_MAX, endpoints);
    if (!error)
        error = open_names(&models->users, endpoints + 1, USER_MAX, users);
    if (!error)
        error = traffic_open(
            &models->book,
            &(struct traffic_options){.row_bytes = (uint32_t)(sizeof(struct model_row) + words * sizeof(uint64_t)),
                                      .names_max = options->models_max ? options->models_max : DEFAULT_MODELS,
                                      .window_ns = options->window_ns ? options->window_ns : DEFAULT_WINDOW_NS,
                                      .ahead_max_ns = options->ahead_max_ns,
                                      .clock = options->clock,
                                      .clock_user = options->clock_user});
    return error;
}

static void free_names(tbus_models_t *models)
{
    table_clear(&models->endpoints.table);
    table_clear(&models->users.table);
    tbus_mem_free(models);
}

int tbus_models_open(const tbus_models_options_t *options, tbus_models_t **ret)
{
    static const tbus_models_options_t defaults;
    const tbus_models_options_t *given = options ? options : &defaults;
    if (!ret || !are_zero(given->reserved, sizeof given->reserved))
        return UV_EINVAL;
    tbus_models_t *models = tbus_mem_alloc(sizeof *models);
    if (!models)
        return UV_ENOMEM;
    int error = open_parts(models, given);
    if (error) {
        free_names(models);
        return error;
    }
    *ret = models;
    return 0;
}

void tbus_models_close(tbus_models_t *models)
{
    if (!models)
        return;
    traffic_close(&models->book);
    free_names(models);
}

static void reset_names(struct seen_names *names)
{
    table_empty_but_other(&names->table);
    names->full = false;
}

void tbus_models_reset(tbus_models_t *models)
{
    if (!models)
        return;
    uv_mutex_lock(&models->book.mu);
    traffic_reset_locked(&models->book);
    struct model_row *other = table_find(&models->book.names, TABLE_OTHER);
    memset((char *)other + sizeof other->traffic, 0, models->book.names.value_bytes - sizeof other->traffic);
    reset_names(&models->endpoints);
    reset_names(&models->users);
    models->refused_costs = 0;
    uv_mutex_unlock(&models->book.mu);
}

/* --- Recording --- */

/* Sets the bit of a name in a row; returns whether it was not set. One that could not be kept for want of memory is not
 * seen: it would count once more when it is. */
static bool see_locked(struct seen_names *names, struct model_row *row, const struct table_name *name, int *error)
{
    int failed;
    const void *found = table_add_name_or_other(&names->table, name, &failed);
    if (failed) {
        *error = failed;
        return false;
    }
    const uint32_t cell = table_cell_of(&names->table, found);
    if (cell == 0 && strcmp(name->text, TABLE_OTHER) != 0) /* "other" was the first to be added */
        names->full = true;
    const uint32_t bit = names->first_bit + cell;
    const uint64_t mask = UINT64_C(1) << bit % WORD_BITS;
    const bool is_new = !(row->bits[bit / WORD_BITS] & mask);
    row->bits[bit / WORD_BITS] |= mask;
    return is_new;
}

/* When it was used. */
static void see_time(struct model_row *row, int64_t time_ns)
{
    if (row->traffic.responses == 1 || time_ns < row->first_ns)
        row->first_ns = time_ns;
    if (row->traffic.responses == 1 || time_ns > row->last_ns)
        row->last_ns = time_ns;
}

int tbus_models_record_end(tbus_models_t *models, const char *model, const char *endpoint, const char *user_id,
                           const tbus_traffic_end_t *end)
{
    struct shown_name model_name;
    struct table_name endpoint_name, user_name;
    int error;
    if (!models || !end)
        return UV_EINVAL;
    shown_fit(&models->book.names, model, &model_name);
    table_fit(&models->endpoints.table, endpoint, &endpoint_name);
    table_fit(&models->users.table, user_id, &user_name);
    uv_mutex_lock(&models->book.mu);
    struct model_row *row = (struct model_row *)(void *)traffic_row_locked(&models->book, &model_name.fitted, &error);
    see_time(row, traffic_end_locked(&models->book, &row->traffic, end, true));
    if (endpoint_name.length > 0)
        row->endpoints += see_locked(&models->endpoints, row, &endpoint_name, &error);
    if (user_name.length > 0)
        row->users += see_locked(&models->users, row, &user_name, &error);
    uv_mutex_unlock(&models->book.mu);
    return error;
}

int tbus_models_record_cost(tbus_models_t *models, const char *model, tbus_money_t cost)
{
    struct shown_name name;
    int error;
    if (!models)
        return UV_EINVAL;
    shown_fit(&models->book.names, model, &name);
    uv_mutex_lock(&models->book.mu);
    struct model_row *row = (struct model_row *)(void *)traffic_row_locked(&models->book, &name.fitted, &error);
    int overflow = tbus_money_add(row->cost, cost, &row->cost);
    models->refused_costs += overflow != 0;
    row->has_cost = row->has_cost || !overflow;
    uv_mutex_unlock(&models->book.mu);
    return overflow ? overflow : error;
}

/* --- Snapshots --- */

static bool is_used(const struct traffic *row)
{
    return row->responses > 0 || ((const struct model_row *)(const void *)row)->has_cost;
}

static void copy_row_locked(const struct traffic_book *book, const struct traffic *traffic, void *into)
{
    const struct model_row *row = (const struct model_row *)(const void *)traffic;
    tbus_model_t *copy = into;
    (void)book;
    copy->error_rate = traffic->requests ? (double)traffic->errors / (double)traffic->requests : (double)NAN;
    copy->total_tokens = sum_up_to_max(traffic->prompt_tokens, traffic->completion_tokens);
    copy->cost = row->cost;
    copy->first_ns = row->first_ns;
    copy->last_ns = row->last_ns;
    copy->endpoints = row->endpoints;
    copy->users = row->users;
}

static void copy_head_locked(const struct traffic_book *book, void *head, int64_t now_ns)
{
    const tbus_models_t *models = (const tbus_models_t *)(const void *)book; /* its first member */
    tbus_models_snapshot_t *snapshot = head;
    snapshot->time_ns = now_ns;
    snapshot->negative_durations = book->negative_durations;
    snapshot->refused_costs = models->refused_costs;
    snapshot->ahead = book->ahead.count;
    snapshot->since_ns = book->ahead.since_ns;
    snapshot->endpoints_full = models->endpoints.full;
    snapshot->users_full = models->users.full;
}

int tbus_models_snapshot(tbus_models_t *models, int64_t now_ns, tbus_models_snapshot_t **ret)
{
    static const struct traffic_view view = {.head_bytes = sizeof(tbus_models_snapshot_t),
                                             .row_bytes = sizeof(tbus_model_t),
                                             .is_used = is_used,
                                             .copy_row_locked = copy_row_locked,
                                             .copy_head_locked = copy_head_locked};
    struct traffic_copy copy;
    if (!models || !ret)
        return UV_EINVAL;
    int error = traffic_snapshot(&models->book, &view, now_ns, &copy);
    if (error)
        return error;
    tbus_models_snapshot_t *snapshot = copy.head;
    snapshot->models = copy.rows;
    snapshot->models_count = copy.count;
    qsort(copy.rows, copy.count, sizeof(tbus_model_t), traffic_by_responses);
    *ret = snapshot;
    return 0;
}

void tbus_models_snapshot_free(tbus_models_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
