/* GLib: a GAsyncQueue of allocated events, and a signal with one handler. */
#include <stdlib.h>

#include <glib-object.h>

#include "bench/harness.h"
#include "bench/peers.h"

struct glib_queue {
    GAsyncQueue *events;
    GObject *emitter;
    guint signal;
    struct peer_bound bound;
};

static inline bool put(void *state, const struct flat_event *event)
{
    struct glib_queue *queue = state;
    if (!peer_bound_put(&queue->bound))
        return false;
    struct flat_event *copy = g_new(struct flat_event, 1);
    *copy = *event;
    g_async_queue_push(queue->events, copy);
    return true;
}

static inline bool take(void *state)
{
    struct glib_queue *queue = state;
    struct flat_event *event = g_async_queue_try_pop(queue->events);
    if (!event)
        return false;
    g_signal_emit(queue->emitter, queue->signal, 0, event);
    g_free(event);
    peer_bound_take(&queue->bound);
    return true;
}

static void produce(void *producer)
{
    flow_produce(producer, put);
}

static void consume(void *flow)
{
    flow_consume(flow, take);
}

static void do_nothing(GObject *emitter, gpointer event, gpointer user)
{
    (void)emitter;
    (void)event;
    (void)user;
}

static guint emitter_signal(GType *ret_type)
{
    static guint signal;
    static GType type;
    if (!signal) {
        type = g_type_register_static_simple(G_TYPE_OBJECT, "BenchEmitter", sizeof(GObjectClass), NULL, sizeof(GObject),
                                             NULL, (GTypeFlags)0);
        g_type_class_ref(type);
        signal = g_signal_new("event", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_POINTER);
    }
    *ret_type = type;
    return signal;
}

void *peer_glib_open(void)
{
    GType type;
    struct glib_queue *queue = aligned_alloc(128, (sizeof *queue + 127) / 128 * 128);
    bench_require(queue != NULL, "aligned_alloc");
    *queue = (struct glib_queue){.events = g_async_queue_new(), .signal = emitter_signal(&type)};
    queue->emitter = g_object_new(type, NULL);
    g_signal_connect(queue->emitter, "event", G_CALLBACK(do_nothing), NULL);
    return peer_open(queue, produce, consume);
}

void peer_glib_close(void *state)
{
    struct flow *flow = state;
    struct glib_queue *queue = flow->queue;
    g_object_unref(queue->emitter);
    g_async_queue_unref(queue->events);
    free(queue);
    free(flow);
}
