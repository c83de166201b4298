/* The model at work: a few threads, each with a heap of the calls that it generates for, by when their next token is
 * due. Hundreds of streams need no thread of their own. */
#include <stdio.h>

#include "tools/heap.h"
#include "tools/host_call.h"

#define PENDING_MAX ((size_t)4 * 1024) /* bytes of a stream that its client has not taken: the model waits */
#define PRESSED_NS INT64_C(20000000)

struct worker {
    struct host_engine *engine;
    char name[24];
    uv_thread_t thread;
    uv_mutex_t mu;
    uv_cond_t wake;
    struct heap heap; /* [mu] */
    uint32_t next;    /* [mu] number of the next heap entry */
    bool is_stopping; /* [mu] */
    bool is_hurried;  /* [mu] */
};

struct host_engine {
    struct host *host;
    uint32_t count;
    _Atomic uint32_t turn;
    _Atomic uint64_t active;
    struct worker workers[];
};

static const struct host_failure no_memory = {500, "server_error", "out_of_memory"};
static const char no_memory_message[] = "the server ran out of memory";

/* --- One step of one call --- */

/* The failure goes out as an error of its own, or, where a stream is under way, as its last chunk. */
static void fail_call(struct host_call *call, const struct host_failure *failure, const char *message)
{
    host_tell_failed(call, failure, message);
    uv_mutex_lock(&call->mu);
    if (call->status == 0)
        host_reply_error(call, failure, message);
    else
        host_reply_broken(call, failure, message);
    uv_mutex_unlock(&call->mu);
}

static void fail_by_fault(struct host_call *call)
{
    static const struct host_failure internal = {500, "server_error", "internal_error"};
    static const struct host_failure overloaded = {503, "server_error", "overloaded"};
    static const struct host_failure upstream = {502, "server_error", "upstream_error"};
    char message[128];
    if (call->fault == HOST_FAULT_INTERNAL) {
        snprintf(message, sizeof message, "the scheduler failed in batch %u", (unsigned)(call->hash & 0xFFFF));
        fail_call(call, &internal, message);
    } else if (call->fault == HOST_FAULT_OVERLOAD) {
        snprintf(message, sizeof message, "the engine is overloaded: %u requests wait", (unsigned)(call->hash & 0xFF));
        fail_call(call, &overloaded, message);
    } else {
        snprintf(message, sizeof message, "the upstream closed the connection after %u tokens", call->told);
        fail_call(call, &upstream, message);
    }
}

/* Nobody reads what is left: the connection is cut. */
static void cancel(struct host_call *call)
{
    host_tell_cancelled(call);
    uv_mutex_lock(&call->mu);
    call->is_cut_off = true;
    uv_mutex_unlock(&call->mu);
}

static int64_t begin(struct host_call *call)
{
    call->is_begun = true;
    host_tell_assigned(call);
    return call->model->first_ns + call->model->prefill_ns * (call->prompt_tokens - call->cached_tokens);
}

static bool is_pressed(struct host_call *call)
{
    uv_mutex_lock(&call->mu);
    size_t pending = call->out.length - call->sent;
    uv_mutex_unlock(&call->mu);
    bool pressed = pending > PENDING_MAX;
    if (pressed && !call->is_pressed)
        host_tell_pressure(call, pending);
    call->is_pressed = pressed;
    return pressed;
}

/* The answer; of a stream, whose client reads along, the room for its end. False without memory. */
static bool prepare_answer(struct host_call *call)
{
    uv_mutex_lock(&call->mu);
    if (call->streams)
        host_text_reserve(&call->out, HOST_END_BYTES);
    else if (call->model->embeds)
        host_reply_embeddings_end(call);
    else
        host_reply_chat(call);
    bool has_failed = call->out.failed;
    uv_mutex_unlock(&call->mu);
    return !has_failed;
}

/* What is told on the bus is told before the client can see it, so that who asks the trackers afterwards finds it; and
 * that the call is complete is told when nothing can fail any more. */
static void complete(struct host_call *call)
{
    if (!prepare_answer(call)) {
        fail_call(call, &no_memory, no_memory_message);
        return;
    }
    host_tell_completed(call);
    uv_mutex_lock(&call->mu);
    if (call->streams)
        host_reply_end(call);
    call->status = MHD_HTTP_OK;
    uv_mutex_unlock(&call->mu);
}

static void stream_token(struct host_call *call)
{
    host_tell_token(call);
    uv_mutex_lock(&call->mu);
    host_reply_chunk(call);
    call->status = MHD_HTTP_OK;
    host_call_wake(call);
    uv_mutex_unlock(&call->mu);
}

/* One input at a time: there may be thousands, and streams have their tokens between them. */
static void embed(struct host_call *call)
{
    uv_mutex_lock(&call->mu);
    host_reply_embedding(call);
    uv_mutex_unlock(&call->mu);
}

static int64_t decode(struct host_call *call)
{
    const struct host_model *model = call->model;
    if (!call->is_decoding && !model->embeds) {
        call->is_decoding = true;
        host_tell_prefilled(call);
    }
    if (call->streams && is_pressed(call))
        return PRESSED_NS;
    if (call->fault == HOST_FAULT_MIDWAY && call->told >= call->answer_tokens / 2) {
        fail_by_fault(call);
        return -1;
    }
    if (call->embedded < call->inputs) {
        embed(call);
        return 0;
    }
    if (call->told < call->answer_tokens) {
        call->told++;
        if (call->streams)
            stream_token(call);
    }
    if (call->told < call->answer_tokens)
        return model->itl_ns;
    complete(call);
    return -1;
}

/* Returns when the next one is due, from when this one was; -1 = it is over. */
static int64_t step(struct host_call *call, bool is_hurried)
{
    static const struct host_failure shutting_down = {503, "server_error", "shutting_down"};
    uv_mutex_lock(&call->mu);
    bool is_gone = call->is_begun && host_call_is_gone(call), has_failed = call->out.failed;
    uv_mutex_unlock(&call->mu);
    if (is_gone) {
        cancel(call);
        return -1;
    }
    if (is_hurried || has_failed) {
        fail_call(call, is_hurried ? &shutting_down : &no_memory,
                  is_hurried ? "the server is shutting down" : no_memory_message);
        return -1;
    }
    if (!call->is_begun)
        return begin(call);
    if (call->fault == HOST_FAULT_INTERNAL || call->fault == HOST_FAULT_OVERLOAD) {
        fail_by_fault(call);
        return -1;
    }
    return decode(call);
}

static void finish(struct host_engine *engine, struct host_call *call)
{
    uv_mutex_lock(&call->mu);
    call->is_over = true;
    host_call_wake(call);
    uv_mutex_unlock(&call->mu);
    host_call_release(call);
    atomic_fetch_sub(&engine->active, 1);
}

/* --- Workers --- */

/* Waits until something is due; false = nothing is left, and nothing comes. [mu held] */
static bool wait_for_due(struct worker *worker)
{
    for (;;) {
        int64_t now = (int64_t)uv_hrtime();
        if (worker->heap.count == 0) {
            if (worker->is_stopping)
                return false;
            uv_cond_wait(&worker->wake, &worker->mu);
        } else if (worker->is_hurried || worker->heap.entries[0].due_ns <= now) {
            return true;
        } else {
            uv_cond_timedwait(&worker->wake, &worker->mu, (uint64_t)(worker->heap.entries[0].due_ns - now));
        }
    }
}

static void work(void *user)
{
    struct worker *worker = user;
    uv_mutex_lock(&worker->mu);
    while (wait_for_due(worker)) {
        struct heap_entry entry = worker->heap.entries[0];
        struct host_call *call = entry.item;
        bool is_hurried = worker->is_hurried;
        heap_pop(&worker->heap);
        uv_mutex_unlock(&worker->mu);

        int64_t now = (int64_t)uv_hrtime(), wait_ns = step(call, is_hurried);
        if (wait_ns < 0)
            finish(worker->engine, call);

        uv_mutex_lock(&worker->mu);
        if (wait_ns < 0)
            continue;
        entry.due_ns = entry.due_ns + wait_ns > now ? entry.due_ns + wait_ns : now;
        if (heap_push(&worker->heap, entry))
            continue;
        uv_mutex_unlock(&worker->mu);
        fail_call(call, &no_memory, no_memory_message);
        finish(worker->engine, call);
        uv_mutex_lock(&worker->mu);
    }
    uv_mutex_unlock(&worker->mu);
}

bool host_engine_submit(struct host_engine *engine, struct host_call *call)
{
    struct worker *worker = &engine->workers[atomic_fetch_add(&engine->turn, 1) % engine->count];
    call->worker = worker->name;
    call->references++;
    call->is_submitted = true;
    atomic_fetch_add(&engine->active, 1);
    uv_mutex_lock(&worker->mu);
    const struct heap_entry entry = {.due_ns = (int64_t)uv_hrtime(), .number = worker->next++, .item = call};
    bool is_taken = !worker->is_hurried && heap_push(&worker->heap, entry);
    uv_cond_signal(&worker->wake);
    uv_mutex_unlock(&worker->mu);
    if (!is_taken) {
        atomic_fetch_sub(&engine->active, 1);
        call->is_submitted = false;
        call->references--;
    }
    return is_taken;
}

uint64_t host_engine_active(struct host_engine *engine)
{
    return atomic_load(&engine->active);
}

void host_engine_hurry(struct host_engine *engine)
{
    for (uint32_t i = 0; i < engine->count; i++) {
        uv_mutex_lock(&engine->workers[i].mu);
        engine->workers[i].is_hurried = true;
        uv_cond_signal(&engine->workers[i].wake);
        uv_mutex_unlock(&engine->workers[i].mu);
    }
}

/* --- Opening --- */

static int open_worker(struct host_engine *engine, struct worker *worker)
{
    worker->engine = engine;
    snprintf(worker->name, sizeof worker->name, "worker-%u", engine->count + 1);
    int error = uv_mutex_init(&worker->mu);
    if (error)
        return error;
    error = uv_cond_init(&worker->wake);
    if (error) {
        uv_mutex_destroy(&worker->mu);
        return error;
    }
    error = uv_thread_create(&worker->thread, work, worker);
    if (error) {
        uv_cond_destroy(&worker->wake);
        uv_mutex_destroy(&worker->mu);
        return error;
    }
    engine->count++;
    return 0;
}

int host_engine_open(struct host *host, uint32_t threads, struct host_engine **ret)
{
    struct host_engine *engine = tbus_mem_alloc(sizeof *engine + threads * sizeof *engine->workers);
    int error = engine ? 0 : UV_ENOMEM;
    if (error)
        return error;
    engine->host = host;
    for (uint32_t i = 0; i < threads && !error; i++)
        error = open_worker(engine, &engine->workers[i]);
    if (error)
        host_engine_close(engine);
    else
        *ret = engine;
    return error;
}

void host_engine_close(struct host_engine *engine)
{
    if (!engine)
        return;
    for (uint32_t i = 0; i < engine->count; i++) {
        struct worker *worker = &engine->workers[i];
        uv_mutex_lock(&worker->mu);
        worker->is_stopping = true;
        uv_cond_signal(&worker->wake);
        uv_mutex_unlock(&worker->mu);
        uv_thread_join(&worker->thread);
        uv_cond_destroy(&worker->wake);
        uv_mutex_destroy(&worker->mu);
        heap_close(&worker->heap);
    }
    tbus_mem_free(engine);
}
