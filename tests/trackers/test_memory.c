/* What the headers say of memory holds, in each part grown just past a doubling of its table, as bad as it gets. */
#include <tallybus/inference.h>
#include <tallybus/kvcache.h>
#include <tallybus/models.h>
#include <tallybus/requests.h>

#include <stdio.h>

#include "tests/oom.h"

#define KIB ((size_t)1024)

enum { NAMES = 513, MANY = 8193, MODELS = 33, TIME = 1 };

/* Requests or users that there might be. */
enum { APART = 1 << 20 };

struct name {
    char text[200];
};

/* As long as any that is kept whole. */
static struct name name_of(int i)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%0191d", i);
    return name;
}

/* What a tracker took at most: `fill` opens it, tells it of so many names, and closes it. */
static size_t peak_of(void (*fill)(int count), int count)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    fill(count);
    oom_remove();
    cr_assert_eq(oom.live, 0);
    return oom.bytes_peak;
}

/* What each of `count` names took; nor is the header to say much more. */
static void expect_each(void (*fill)(int count), int count, size_t stated)
{
    const size_t none = peak_of(fill, 0), all = peak_of(fill, count), each = (all - none) / (size_t)count;
    cr_assert_leq(each, stated, "%zu, and stated is %zu", each, stated);
    cr_assert_geq(each, stated * 3 / 4, "%zu, and stated is %zu", each, stated);
}

static void expect_below(size_t bytes, size_t stated)
{
    cr_assert_leq(bytes, stated, "%zu, and stated is %zu", bytes, stated);
}

/* --- Inference --- */

static void fill_inference(int models, int requests, int workers, int queues)
{
    tbus_inference_t *inference;
    cr_assert_eq(
        tbus_inference_open(&(tbus_inference_options_t){.active_max = APART, .workers_max = MANY, .queues_max = MANY},
                            &inference),
        0);
    for (int i = 0; i < models || i < requests; i++)
        cr_assert_eq(
            tbus_inference_record_start(inference, name_of(i).text, i < models ? name_of(i).text : "other", 1, TIME),
            0);
    for (int i = 0; i < workers; i++)
        cr_assert_eq(tbus_inference_record_worker_done(inference, "", name_of(i).text, 1, TIME), 0);
    for (int i = 0; i < queues; i++)
        cr_assert_eq(tbus_inference_record_queue_depth(inference, name_of(i).text, 1, TIME), 0);
    tbus_inference_close(inference);
}

static void fill_inference_models(int count)
{
    fill_inference(count, 0, 0, 0);
}

static void fill_inference_requests(int count)
{
    fill_inference(0, count, 0, 0);
}

static void fill_inference_workers(int count)
{
    fill_inference(0, 0, count, 0);
}

static void fill_inference_queues(int count)
{
    fill_inference(0, 0, 0, count);
}

Test(memory, of_the_inference_tracker)
{
    expect_below(peak_of(fill_inference_models, 0), 4096 * KIB + 850 * KIB);
    expect_each(fill_inference_models, MODELS, 850 * KIB);
    expect_each(fill_inference_requests, MANY, 1000);
    expect_each(fill_inference_workers, NAMES, 750);
    expect_below((peak_of(fill_inference_queues, NAMES) - peak_of(fill_inference_queues, 0)) / NAMES, 750);
    expect_below(peak_of(fill_inference_models, 50), 46 * KIB * KIB);
}

/* --- Models --- */

static void fill_model_tracker(int models_count, int endpoints, int users, uint32_t users_max)
{
    tbus_models_t *models;
    const tbus_traffic_end_t end = {.time_ns = TIME};
    cr_assert_eq(tbus_models_open(&(tbus_models_options_t){.endpoints_max = MANY, .users_max = users_max}, &models), 0);
    for (int i = 0; i < models_count; i++)
        cr_assert_eq(tbus_models_record_end(models, name_of(i).text, NULL, NULL, &end), 0);
    for (int i = 0; i < endpoints; i++)
        cr_assert_eq(tbus_models_record_end(models, "other", name_of(i).text, NULL, &end), 0);
    for (int i = 0; i < users; i++)
        cr_assert_eq(tbus_models_record_end(models, "other", NULL, name_of(i).text, &end), 0);
    tbus_models_close(models);
}

static void fill_models(int count)
{
    fill_model_tracker(count, 0, 0, 0);
}

static void fill_models_of_many_users(int count)
{
    fill_model_tracker(count, 0, 0, APART);
}

static void fill_models_endpoints(int count)
{
    fill_model_tracker(0, count, 0, 0);
}

static void fill_models_users(int count)
{
    fill_model_tracker(0, 0, count, APART);
}

Test(memory, of_the_model_tracker)
{
    expect_below(peak_of(fill_models, 0), 700 * KIB + 125 * KIB + 3 * (MANY + 10000) / 8);
    expect_each(fill_models, MODELS, 125 * KIB + 3 * (MANY + 10000) / 8);
    expect_each(fill_models_of_many_users, MODELS, 125 * KIB + 3 * (MANY + APART) / 8);
    expect_each(fill_models_endpoints, NAMES, 650);
    expect_each(fill_models_users, MANY, 460);
}

/* --- Requests, KV cache --- */

static void fill_requests(int count)
{
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    for (int i = 0; i < count; i++)
        cr_assert_eq(tbus_requests_record_start(requests, name_of(i).text, TIME), 0);
    tbus_requests_close(requests);
}

Test(memory, of_the_request_tracker)
{
    expect_below(peak_of(fill_requests, 0), 700 * KIB + 125 * KIB);
    expect_each(fill_requests, 65, 125 * KIB);
}

static void fill_kvcache(int count)
{
    tbus_kvcache_t *kvcache;
    cr_assert_eq(tbus_kvcache_open(&(tbus_kvcache_options_t){.endpoints_max = MANY}, &kvcache), 0);
    for (int i = 0; i < count; i++)
        cr_assert_eq(tbus_kvcache_record_lookup(kvcache, name_of(i).text, 1, 1), 0);
    tbus_kvcache_close(kvcache);
}

Test(memory, of_the_kv_cache_tracker)
{
    expect_each(fill_kvcache, NAMES, 900);
}
