/* The error tracker beside a model of it that is slow and plain: lists searched from the front, no hashing, and the
 * pattern that goes found by the number of the record that saw it last. */
#include <stdio.h>
#include <string.h>

#include <tallybus/errors.h>

#include "tests/check.h"
#include "tests/oracle.h"

enum { MODEL_MAX = 64, NAMES_MAX = 5, PATTERNS_MAX = 7, STEPS = 4000 };

struct model_list {
    struct {
        char name[16];
        uint64_t errors;
    } entries[MODEL_MAX];
    int count, kept; /* `kept`: names told apart so far, "other" not counted */
};

struct model_pattern {
    char type[16], endpoint[16], normalized[TBUS_NORMALIZED_BYTES];
    uint64_t count;
    int64_t first_ns, last_ns;
    long last_step;
};

struct model {
    uint64_t total, errors, excluded, dropped, by_status[1001];
    int64_t latest_ns;
    bool any;
    struct model_list types, endpoints, models;
    struct model_pattern patterns[PATTERNS_MAX];
    int patterns_count;
};

static bool list_find(struct model_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].name, name) == 0) {
            list->entries[i].errors++;
            return true;
        }
    }
    return false;
}

static void list_add(struct model_list *list, const char *name)
{
    cr_assert_lt(list->count, MODEL_MAX);
    strcpy(list->entries[list->count].name, name);
    list->entries[list->count++].errors = 1;
}

static void list_count(struct model_list *list, const char *name)
{
    if (list_find(list, name))
        return;
    if (strcmp(name, "other") == 0) {
        list_add(list, name);
    } else if (list->kept < NAMES_MAX) {
        list->kept++;
        list_add(list, name);
    } else if (!list_find(list, "other")) {
        list_add(list, "other");
    }
}

static void model_see_pattern(struct model *model, const tbus_error_t *error, long step)
{
    char normalized[TBUS_NORMALIZED_BYTES];
    int at = 0;

    tbus_error_normalize(error->message, normalized);
    for (; at < model->patterns_count; at++) {
        struct model_pattern *pattern = &model->patterns[at];
        if (strcmp(pattern->type, error->type) == 0 && strcmp(pattern->endpoint, error->endpoint) == 0 &&
            strcmp(pattern->normalized, normalized) == 0) {
            pattern->count++;
            pattern->first_ns = error->time_ns < pattern->first_ns ? error->time_ns : pattern->first_ns;
            pattern->last_ns = error->time_ns > pattern->last_ns ? error->time_ns : pattern->last_ns;
            pattern->last_step = step;
            return;
        }
    }
    if (at == PATTERNS_MAX) {
        at = 0;
        for (int i = 1; i < PATTERNS_MAX; i++)
            at = model->patterns[i].last_step < model->patterns[at].last_step ? i : at;
        model->dropped++;
    } else {
        model->patterns_count++;
    }
    struct model_pattern *pattern = &model->patterns[at];
    *pattern =
        (struct model_pattern){.count = 1, .first_ns = error->time_ns, .last_ns = error->time_ns, .last_step = step};
    strcpy(pattern->type, error->type);
    strcpy(pattern->endpoint, error->endpoint);
    strcpy(pattern->normalized, normalized);
}

static void model_see_time(struct model *model, int64_t time_ns)
{
    if (!model->any || time_ns > model->latest_ns)
        model->latest_ns = time_ns;
    model->any = true;
}

static void model_error(struct model *model, const tbus_error_t *error, long step)
{
    model_see_time(model, error->time_ns);
    if (error->status_code == 499) {
        model->excluded++;
        return;
    }
    model->total++;
    model->errors++;
    int64_t code = error->status_code;
    model->by_status[code == 0 ? 0 : code >= 100 && code <= 599 ? code : 1000]++;
    list_count(&model->types, error->type);
    list_count(&model->endpoints, error->endpoint);
    list_count(&model->models, error->model);
    model_see_pattern(model, error, step);
}

static void model_response(struct model *model, const tbus_error_t *error, long step)
{
    if (error->status_code < 500 && error->status_code != 499) {
        model_see_time(model, error->time_ns);
        model->total++;
        return;
    }
    char type[16];
    tbus_error_t as_error = *error;
    snprintf(type, sizeof type, "http_%d", (int)error->status_code);
    as_error.type = type;
    as_error.message = "";
    model_error(model, &as_error, step);
}

/* --- Comparing --- */

static void compare_lists(const struct model_list *list, const tbus_error_count_t *counts, size_t count)
{
    cr_assert_eq(count, (size_t)list->count);
    for (size_t i = 0; i < count; i++) {
        uint64_t expected = 0;
        for (int j = 0; j < list->count; j++)
            expected += strcmp(list->entries[j].name, counts[i].name) == 0 ? list->entries[j].errors : 0;
        cr_assert_eq(counts[i].errors, expected, "%s", counts[i].name);
        cr_assert(i == 0 || counts[i - 1].errors > counts[i].errors ||
                  (counts[i - 1].errors == counts[i].errors && strcmp(counts[i - 1].name, counts[i].name) < 0));
    }
}

static void compare_statuses(const struct model *model, const tbus_errors_snapshot_t *snapshot)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < snapshot->by_status_count; i++) {
        int64_t code = snapshot->by_status[i].status_code;
        cr_assert_eq(snapshot->by_status[i].errors, model->by_status[code < 0 ? 1000 : code]);
        cr_assert(i == 0 || snapshot->by_status[i - 1].errors > snapshot->by_status[i].errors ||
                  (snapshot->by_status[i - 1].errors == snapshot->by_status[i].errors &&
                   snapshot->by_status[i - 1].status_code < code));
        seen += snapshot->by_status[i].errors;
    }
    cr_assert_eq(seen, model->errors);
}

static void compare_pattern(const struct model_pattern *expected, const tbus_error_pattern_t *pattern)
{
    char fingerprint[TBUS_FINGERPRINT_BYTES];

    cr_assert_eq(tbus_error_fingerprint(expected->type, expected->endpoint, expected->normalized, fingerprint), 0);
    cr_assert_str_eq(pattern->type, expected->type);
    cr_assert_str_eq(pattern->endpoint, expected->endpoint);
    cr_assert_str_eq(pattern->normalized, expected->normalized);
    cr_assert_eq(pattern->count, expected->count);
    cr_assert_eq(pattern->first_seen_ns, expected->first_ns);
    cr_assert_eq(pattern->last_seen_ns, expected->last_ns);
    cr_assert_str_eq(pattern->fingerprint, fingerprint);
}

/* Sorted the slow way: the next is the one that no other comes before. */
static bool comes_before(const struct model_pattern *a, const struct model_pattern *b)
{
    int order = a->count != b->count ? (a->count > b->count ? -1 : 1) : strcmp(a->type, b->type);
    order = order ? order : strcmp(a->endpoint, b->endpoint);
    return (order ? order : strcmp(a->normalized, b->normalized)) < 0;
}

static void compare_patterns(const struct model *model, const tbus_errors_snapshot_t *snapshot)
{
    cr_assert_eq(snapshot->patterns_count, (size_t)model->patterns_count);
    cr_assert_eq(snapshot->patterns_dropped, model->dropped);
    for (int i = 0; i < model->patterns_count; i++) {
        int before = 0;
        for (int j = 0; j < model->patterns_count; j++)
            before += comes_before(&model->patterns[j], &model->patterns[i]);
        compare_pattern(&model->patterns[i], &snapshot->patterns[before]);
    }
}

static void compare(const struct model *model, tbus_errors_t *errors)
{
    tbus_errors_snapshot_t *snapshot = NULL;

    cr_assert_eq(tbus_errors_snapshot(errors, 0, &snapshot), 0);
    cr_assert_eq(snapshot->slo.total_requests, model->total);
    cr_assert_eq(snapshot->slo.errors, model->errors);
    cr_assert_eq(snapshot->excluded, model->excluded);
    cr_assert_eq(snapshot->time_ns, model->any ? model->latest_ns : 0);
    compare_lists(&model->types, snapshot->by_type, snapshot->by_type_count);
    compare_lists(&model->endpoints, snapshot->by_endpoint, snapshot->by_endpoint_count);
    compare_lists(&model->models, snapshot->by_model, snapshot->by_model_count);
    compare_statuses(model, snapshot);
    compare_patterns(model, snapshot);
    tbus_errors_snapshot_free(snapshot);
}

/* --- The run --- */

Test(errors_random, the_tracker_agrees_with_its_model)
{
    static const char *const names[] = {"", "a", "b", "c", "d", "e", "f", "other", "g", "h"};
    static const char *const messages[] = {"", "after 1 s", "after 22 s", "at 0xff", "req-1", "x", "y"};
    static const int64_t statuses[] = {0, 200, 404, 499, 500, 502, 503, 600, 99, -5};
    uint64_t random = oracle_seed("errors_random");
    tbus_errors_options_t options = {.names_max = NAMES_MAX, .patterns_max = PATTERNS_MAX};
    static struct model model;
    tbus_errors_t *errors;

    cr_assert_eq(tbus_errors_open(&options, &errors), 0);
    for (long step = 1; step <= STEPS; step++) {
        /* a few names at first, then more: so that there is a time before each cap and one after */
        uint64_t spread = 1 + (uint64_t)step % 1000 / 100;
        tbus_error_t error = {.type = names[oracle_random(&random) % spread],
                              .endpoint = names[oracle_random(&random) % 3],
                              .model = names[oracle_random(&random) % spread],
                              .message = messages[oracle_random(&random) % (step % 2 ? 7 : 2)],
                              .status_code = statuses[oracle_random(&random) % 10],
                              .time_ns = (int64_t)(oracle_random(&random) % 2000) - 1000};
        if (step % 1000 == 0) {
            tbus_errors_reset(errors);
            memset(&model, 0, sizeof model);
        } else if (oracle_random(&random) % 3 == 0) {
            model_response(&model, &error, step);
            cr_assert_eq(
                tbus_errors_record_response(errors, error.endpoint, error.model, error.status_code, error.time_ns), 0);
        } else {
            model_error(&model, &error, step);
            cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
        }
        if (step % 7 == 0 || step % 1000 < 20)
            compare(&model, errors);
    }
    tbus_errors_close(errors);
}
