#include "subscribers/cost_streams.h"

#include <assert.h>
#include <string.h>

#include "trackers/texts.h"

enum { ID_BYTES = 128, TEXT_MAX = 1024 };

void cost_streams_init(struct cost_streams *streams, uint32_t max)
{
    *streams = (struct cost_streams){0};
    table_init(&streams->by_id, sizeof(struct cost_stream_place), ID_BYTES, max);
    table_init(&streams->by_request, sizeof(struct cost_stream *), ID_BYTES, max);
}

static void free_all(const struct order *order)
{
    for (struct order_link *link = order->oldest, *next; link; link = next) {
        next = link->newer;
        tbus_mem_free(link);
    }
}

void cost_streams_clear(struct cost_streams *streams)
{
    free_all(&streams->open);
    free_all(&streams->over);
    table_clear(&streams->by_id);
    table_clear(&streams->by_request);
}

static void forget(struct cost_streams *streams, struct cost_stream *stream)
{
    struct cost_stream **of_request = table_find(&streams->by_request, stream->request_id);
    if (of_request && *of_request == stream)
        table_remove(&streams->by_request, of_request);
    table_remove(&streams->by_id, table_find(&streams->by_id, stream->id));
    order_remove(stream->is_over ? &streams->over : &streams->open, &stream->link);
    tbus_mem_free(stream);
}

/* --- Life --- */

static bool is_short(const char *id)
{
    return !id || strnlen(id, TEXT_MAX + 1) <= TEXT_MAX;
}

static struct cost_stream *open_stream(const tbus_stream_started_t *started)
{
    const tbus_event_t *base = &started->base;
    const char *request_id = base->request_id && *base->request_id ? base->request_id : started->stream_id;
    const char *const texts[] = {started->stream_id, request_id,     base->api_key,    base->user_id,
                                 base->project_id,   started->model, started->endpoint};
    enum { TEXTS = sizeof texts / sizeof *texts };
    static_assert((int)TEXTS <= (int)TEXTS_MAX, "they fit");
    const char *copies[TEXTS];
    struct cost_stream *stream = texts_open(sizeof *stream, texts, TEXTS, TEXT_MAX, copies);
    if (!stream)
        return NULL;
    stream->input_tokens = started->input_tokens;
    stream->id = copies[0];
    stream->request_id = copies[1];
    stream->api_key = copies[2];
    stream->user_id = copies[3];
    stream->project_id = copies[4];
    stream->model = copies[5];
    stream->endpoint = copies[6];
    return stream;
}

/* Puts a stream into both tables, or into none. */
static bool enter(struct cost_streams *streams, struct cost_stream *stream)
{
    int error;
    struct cost_stream_place *place = table_add(&streams->by_id, stream->id, NULL, &error);
    if (!place)
        return false;
    struct cost_stream **of_request = table_add(&streams->by_request, stream->request_id, NULL, &error);
    if (!of_request) {
        table_remove(&streams->by_id, place);
        return false;
    }
    *place = (struct cost_stream_place){.stream = stream};
    *of_request = stream;
    return true;
}

bool cost_streams_start(struct cost_streams *streams, const tbus_stream_started_t *started)
{
    if (!is_short(started->stream_id) || !is_short(started->base.request_id))
        return false;
    struct cost_stream_place *known = table_find(&streams->by_id, started->stream_id);
    if (known && !known->stream->is_over)
        return true;
    if (known)
        forget(streams, known->stream);
    bool lost = streams->by_id.count == streams->by_id.max && !streams->over.oldest;
    if (streams->by_id.count == streams->by_id.max)
        forget(streams, (struct cost_stream *)(lost ? streams->open.oldest : streams->over.oldest));
    struct cost_stream *stream = open_stream(started);
    if (!stream || !enter(streams, stream)) {
        tbus_mem_free(stream);
        return false;
    }
    order_append(&streams->open, &stream->link);
    return !lost;
}

struct cost_stream_place *cost_streams_find(const struct cost_streams *streams, const char *id)
{
    return table_find(&streams->by_id, id);
}

void cost_streams_end(struct cost_streams *streams, struct cost_stream *stream)
{
    assert(!stream->is_over);
    order_remove(&streams->open, &stream->link);
    stream->is_over = true;
    order_append(&streams->over, &stream->link);
}

bool cost_streams_complete(struct cost_streams *streams, const char *request_id)
{
    if (streams->by_request.count == 0 || !request_id || !*request_id)
        return false;
    struct cost_stream **stream = table_find(&streams->by_request, request_id);
    if (!stream)
        return false;
    forget(streams, *stream);
    return true;
}
