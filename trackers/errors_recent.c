#include "trackers/errors_recent.h"

#include <assert.h>
#include <string.h>

#include "trackers/errors.h"
#include "trackers/utf8_cut.h"

enum { TEXTS_BYTES = 3 * TBUS_ERROR_NAME_BYTES + TBUS_ERROR_TEXT_BYTES + 2 * TBUS_ERROR_ID_BYTES };

struct recent {
    int64_t status_code, time_ns;
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    uint16_t begins[RECENT_TEXTS]; /* of its texts, each with its NUL, one behind the other */
    char texts[TEXTS_BYTES];
};

struct cut_text cut_text(const char *text, size_t bytes)
{
    const char *whole = text ? text : "";
    return (struct cut_text){whole, utf8_cut(whole, strnlen(whole, bytes), bytes - 1)};
}

int recents_open(struct recents *recents, uint32_t max)
{
    *recents = (struct recents){.max = max};
    if (max == 0)
        return 0;
    size_t bytes;
    if (__builtin_mul_overflow(max, sizeof *recents->list, &bytes)) /* where a size has 32 bits */
        return UV_ENOMEM;
    recents->list = tbus_mem_alloc(bytes);
    return recents->list ? 0 : UV_ENOMEM;
}

void recents_close(struct recents *recents)
{
    tbus_mem_free(recents->list);
}

void recents_empty(struct recents *recents)
{
    recents->next = recents->count = 0;
}

void recents_add(struct recents *recents, const struct cut_text texts[RECENT_TEXTS], const char *fingerprint,
                 int64_t status_code, int64_t time_ns)
{
    size_t used = 0;

    if (recents->max == 0)
        return;
    struct recent *recent = &recents->list[recents->next];
    recents->next = recents->next + 1 < recents->max ? recents->next + 1 : 0;
    recents->count += recents->count < recents->max;
    recent->status_code = status_code;
    recent->time_ns = time_ns;
    memcpy(recent->fingerprint, fingerprint, sizeof recent->fingerprint);
    for (unsigned i = 0; i < RECENT_TEXTS; i++) {
        assert(used + texts[i].length < sizeof recent->texts);
        memcpy(recent->texts + used, texts[i].text, texts[i].length);
        recent->texts[used + texts[i].length] = '\0';
        recent->begins[i] = (uint16_t)used;
        used += texts[i].length + 1;
    }
}

/* --- Listing --- */

/* A filter with its names as the places have them. */
struct fitted_filter {
    int64_t after_ns;
    size_t limit;
    struct name endpoint, type;
    bool by_endpoint, by_type;
};

static const char *text_of(const struct recent *recent, enum recent_text which)
{
    return recent->texts + recent->begins[which];
}

static bool matches(const struct recent *recent, const struct fitted_filter *filter)
{
    return (filter->after_ns == 0 || recent->time_ns > filter->after_ns) &&
           (!filter->by_endpoint || strcmp(text_of(recent, RECENT_ENDPOINT), filter->endpoint.fitted.text) == 0) &&
           (!filter->by_type || strcmp(text_of(recent, RECENT_TYPE), filter->type.fitted.text) == 0);
}

/* The one recorded `back` before the last. */
static const struct recent *recent_at(const struct recents *recents, uint32_t back)
{
    uint32_t place = recents->next + recents->max - 1 - back;
    return &recents->list[place < recents->max ? place : place - recents->max];
}

static size_t bytes_locked(tbus_errors_t *errors, const void *arguments)
{
    const struct fitted_filter *filter = arguments;
    const struct recents *recents = &errors->recents;
    size_t bytes = snapshot_rounded(sizeof(tbus_recent_errors_t)), count = 0;

    for (uint32_t back = 0; back < recents->count && count < filter->limit; back++) {
        const struct recent *recent = recent_at(recents, back);
        if (!matches(recent, filter))
            continue;
        count++;
        for (unsigned i = 0; i < RECENT_TEXTS; i++)
            bytes += snapshot_rounded(strlen(text_of(recent, i)) + 1);
    }
    return bytes + snapshot_rounded(count * sizeof(tbus_recent_error_t));
}

static tbus_recent_error_t copy_one(struct snapshot_block *block, const struct recent *recent)
{
    tbus_recent_error_t copy = {.status_code = recent->status_code, .time_ns = recent->time_ns};
    const char **const places[RECENT_TEXTS] = {&copy.type,  &copy.message,    &copy.endpoint,
                                               &copy.model, &copy.request_id, &copy.user_id};

    memcpy(copy.fingerprint, recent->fingerprint, sizeof copy.fingerprint);
    for (unsigned i = 0; i < RECENT_TEXTS; i++) {
        const char *text = text_of(recent, i);
        *places[i] = snapshot_text(block, text, strlen(text));
    }
    return copy;
}

static size_t count_locked(const struct recents *recents, const struct fitted_filter *filter)
{
    size_t count = 0;
    for (uint32_t back = 0; back < recents->count && count < filter->limit; back++)
        count += matches(recent_at(recents, back), filter);
    return count;
}

static void copy_locked(struct snapshot_block *block, tbus_errors_t *errors, const void *arguments)
{
    const struct fitted_filter *filter = arguments;
    const struct recents *recents = &errors->recents;
    tbus_recent_errors_t *list = snapshot_take(block, sizeof *list);
    size_t count = count_locked(recents, filter);
    tbus_recent_error_t *copies = snapshot_take(block, count * sizeof *copies);

    for (uint32_t back = 0; copies && list->count < count; back++) {
        const struct recent *recent = recent_at(recents, back);
        if (matches(recent, filter))
            copies[list->count++] = copy_one(block, recent);
    }
    list->errors = copies;
}

/* Names are clean. */
static void redact_one(const tbus_recent_error_t *recent)
{
    errors_redact(recent->message, TBUS_ERROR_TEXT_BYTES - 4);
    errors_redact(recent->request_id, TBUS_ERROR_ID_BYTES - 4);
    errors_redact(recent->user_id, TBUS_ERROR_ID_BYTES - 4);
}

int tbus_errors_recent(tbus_errors_t *errors, const tbus_recent_filter_t *filter, tbus_recent_errors_t **ret)
{
    static const tbus_recent_filter_t all;
    struct fitted_filter fitted;
    struct snapshot_block block;

    if (!errors || !ret)
        return UV_EINVAL;
    filter = filter ? filter : &all;
    fitted.limit = filter->limit ? filter->limit : SIZE_MAX;
    fitted.after_ns = filter->after_ns;
    fitted.by_endpoint = filter->endpoint;
    fitted.by_type = filter->type;
    name_fit(&fitted.endpoint, filter->endpoint, &errors->by_endpoint);
    name_fit(&fitted.type, filter->type, &errors->by_type);
    name_clean(&fitted.endpoint, &errors->by_endpoint);
    name_clean(&fitted.type, &errors->by_type);
    int error = errors_copy_out(errors, &fitted, bytes_locked, copy_locked, &block);
    if (error)
        return error;
    tbus_recent_errors_t *list = (tbus_recent_errors_t *)(void *)block.memory;
    for (size_t i = 0; i < list->count; i++)
        redact_one(&list->errors[i]);
    *ret = list;
    return 0;
}
