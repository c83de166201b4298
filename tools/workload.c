/* Each thread merges its own requests: those that have begun wait in a binary heap for the time of their next event,
 * those that have not in a list sorted by start. So the memory goes with the requests that run at the same time, and a
 * token costs one sift of the heap, three stores and one publish. */
#include <assert.h>
#include <stdlib.h>

#include "tools/heap.h"
#include "tools/numbers.h"
#include "tools/script.h"
#include "tools/workload.h"

struct worker {
    const struct workload *load;
    uint32_t first, step;  /* requests first, first + step, ... are this thread's */
    struct start *starts;  /* of these, by time */
    uint32_t starts_count; /* at least 1 */
    struct heap heap;      /* requests under way, by the time of their next event */
    struct script script;
    int64_t begin_ns;  /* the earliest start of the whole workload */
    uint64_t begin_hr; /* when that was by uv_hrtime() */
    int error;
    uv_thread_t thread;
    bool running;
};

struct start {
    int64_t time_ns;
    uint32_t number;
};

bool workload_fits(const struct timing *timing, const struct request *request)
{
    int64_t end = request->start_ns;
    int64_t gap_ns = timing->jitter ? 2 * timing->itl_ns : timing->itl_ns;
    return number_add_product(end, timing->first_ns, 1, &end) &&
           number_add_product(end, timing->prefill_ns, request->context_tokens, &end) &&
           number_add_product(end, gap_ns, request->generated_tokens, &end);
}

uint64_t workload_events(const struct workload *load)
{
    uint64_t events = 0;
    for (uint32_t i = 0; i < load->count; i++) {
        uint32_t tokens = load->requests[i].generated_tokens;
        events += 4 + (uint64_t)tokens + (tokens > 0);
    }
    return events;
}

void workload_pace(uint64_t start, int64_t elapsed_ns, double speed)
{
    double due_ns = (double)elapsed_ns / speed;
    for (;;) {
        double wait_ms = (due_ns - (double)(uv_hrtime() - start)) / 1e6;
        if (wait_ms < 1)
            return;
        uv_sleep(wait_ms > 1000 ? 1000 : (unsigned)wait_ms);
    }
}

static int compare_starts(const void *one, const void *other)
{
    const struct start *a = one, *b = other;
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static int sort_starts(struct worker *worker)
{
    const struct workload *load = worker->load;
    assert(worker->first < load->count);
    worker->starts_count = (load->count - worker->first - 1) / worker->step + 1;
    worker->starts = tbus_mem_alloc(worker->starts_count * sizeof *worker->starts);
    if (!worker->starts)
        return UV_ENOMEM;
    for (uint32_t i = 0; i < worker->starts_count; i++) {
        uint32_t number = worker->first + i * worker->step;
        worker->starts[i] = (struct start){.time_ns = load->requests[number].start_ns, .number = number};
    }
    qsort(worker->starts, worker->starts_count, sizeof *worker->starts, compare_starts);
    return 0;
}

static void pace(const struct worker *worker, int64_t due_ns)
{
    if (worker->load->speed > 0)
        workload_pace(worker->begin_hr, due_ns - worker->begin_ns, worker->load->speed);
}

static int begin_request(struct worker *worker, const struct start *start)
{
    pace(worker, start->time_ns);
    struct heap_entry entry = {.number = start->number};
    entry.item = script_begin(&worker->script, start->number, &entry.due_ns);
    if (!entry.item)
        return UV_ENOMEM;
    if (heap_push(&worker->heap, entry))
        return 0;
    tbus_mem_free(entry.item);
    return UV_ENOMEM;
}

static void step_top(struct worker *worker)
{
    const struct heap_entry *top = worker->heap.entries;
    int64_t due_ns = 0;
    pace(worker, top->due_ns);
    if (script_step(&worker->script, top->item, top->due_ns, &due_ns))
        heap_delay_top(&worker->heap, due_ns);
    else
        heap_pop(&worker->heap);
}

static void work(void *user)
{
    struct worker *worker = user;
    uint32_t next = 0;
    worker->error = sort_starts(worker);
    while (!worker->error) {
        const struct start *start = next < worker->starts_count ? &worker->starts[next] : NULL;
        bool idle = worker->heap.count == 0;
        if (!start && idle)
            break;
        if (start && (idle || start->time_ns <= worker->heap.entries[0].due_ns)) {
            worker->error = begin_request(worker, start);
            next++;
        } else {
            step_top(worker);
        }
    }
    for (size_t i = 0; i < worker->heap.count; i++) /* only after an error */
        tbus_mem_free(worker->heap.entries[i].item);
    heap_close(&worker->heap);
    script_close(&worker->script);
    tbus_mem_free(worker->starts);
}

static int64_t earliest_start(const struct workload *load)
{
    int64_t earliest = INT64_MAX;
    for (uint32_t i = 0; i < load->count; i++)
        if (load->requests[i].start_ns < earliest)
            earliest = load->requests[i].start_ns;
    return earliest;
}

int workload_publish(const struct workload *load, tbus_t *bus, uint32_t threads, uint64_t *ret_lost)
{
    assert(threads >= 1 && threads <= WORKLOAD_THREADS_MAX);
    threads = threads < load->count ? threads : load->count;
    struct worker *workers = tbus_mem_alloc(threads * sizeof *workers);
    if (!workers)
        return UV_ENOMEM;
    int64_t begin_ns = earliest_start(load);
    uint64_t begin_hr = uv_hrtime();
    for (uint32_t i = 0; i < threads; i++) {
        struct worker *worker = &workers[i];
        *worker =
            (struct worker){.load = load, .first = i, .step = threads, .begin_ns = begin_ns, .begin_hr = begin_hr};
        script_open(&worker->script, load, bus);
        worker->running = uv_thread_create(&worker->thread, work, worker) == 0;
    }
    int error = 0;
    uint64_t lost = 0;
    for (uint32_t i = 0; i < threads; i++) {
        struct worker *worker = &workers[i];
        if (worker->running)
            uv_thread_join(&worker->thread);
        else
            work(worker); /* no thread to be had: its share is done all the same */
        lost += worker->script.lost;
        error = error ? error : worker->error ? worker->error : worker->script.error;
    }
    tbus_mem_free(workers);
    *ret_lost = lost;
    return error;
}
