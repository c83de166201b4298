/* The ledger alone: records through to a file on disk, each commit waiting for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tallybus.h>

#include "bench/harness.h"

#define BEGIN_NS INT64_C(1767258000000000000)

enum { KEYS = 1000, MODELS = 20, NAME_BYTES = 40, COMMIT_EVERY = 32768, SEED = 88172645 };

struct ledger_bench {
    tbus_ledger_t *ledger;
    uint64_t state, number;
    char keys[KEYS][NAME_BYTES], models[MODELS][NAME_BYTES];
    char directory[64];
};

static void *open_ledger(void)
{
    struct ledger_bench *bench = calloc(1, sizeof *bench);
    char path[96];
    bench_require(bench != NULL, "calloc");
    snprintf(bench->directory, sizeof bench->directory, "/var/tmp/tallybus-bench-XXXXXX");
    bench_require(mkdtemp(bench->directory) != NULL, "mkdtemp");
    snprintf(path, sizeof path, "%s/usage.db", bench->directory);
    bench_require(tbus_ledger_open(&(tbus_ledger_options_t){.path = path}, NULL, 0, &bench->ledger) == 0,
                  "tbus_ledger_open");
    for (unsigned i = 0; i < KEYS; i++)
        snprintf(bench->keys[i], NAME_BYTES, "sk-b..%08x", i * 2654435761u);
    for (unsigned i = 0; i < MODELS; i++)
        snprintf(bench->models[i], NAME_BYTES, "house-model-%c", (int)('a' + i));
    bench->state = SEED;
    return bench;
}

static int append(struct ledger_bench *bench)
{
    uint64_t random = bench_random(&bench->state);
    uint32_t key = (uint32_t)(random % KEYS), number = (uint32_t)++bench->number;
    char request_id[NAME_BYTES];
    snprintf(request_id, sizeof request_id, "5f0c7a52-9d1e-4b0b-8a36-%012u", (unsigned)number);
    tbus_usage_record_t record = {.event_id = bench->number,
                                  .time_ns = BEGIN_NS + (int64_t)bench->number * 5000,
                                  .request_id = request_id,
                                  .user_id = "amina",
                                  .project_id = "search",
                                  .model = bench->models[(random >> 32) % MODELS],
                                  .endpoint = "/v1/chat/completions",
                                  .api_key = bench->keys[key],
                                  .input_tokens = 176,
                                  .cache_read_tokens = 1024,
                                  .output_tokens = (int64_t)(random >> 54),
                                  .cost = tbus_money_units((int64_t)(random >> 24)),
                                  .cache_savings = tbus_money_units(1280000000)};
    memcpy(record.key_digest, &key, sizeof key);
    record.key_digest[31] = 1;
    return tbus_ledger_append(bench->ledger, &record);
}

/* Thousands of rows a second, from the first append to the last commit. */
static double run_append(void *state, uint64_t operations)
{
    struct ledger_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 1; i <= operations; i++) {
        failures += append(bench) != 0;
        if (i % COMMIT_EVERY == 0 || i == operations)
            failures += tbus_ledger_commit(bench->ledger) != 0;
    }
    const double figure = (double)operations * 1e6 / (double)(uv_hrtime() - begin_ns);
    bench_require(failures == 0, "tbus_ledger_append and _commit");
    return figure;
}

static void close_ledger(void *state)
{
    struct ledger_bench *bench = state;
    static const char *const files[] = {"usage.db", "usage.db-wal", "usage.db-shm"};
    char path[96];
    bench_require(tbus_ledger_close(bench->ledger, NULL) == 0, "tbus_ledger_close");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", bench->directory, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(bench->directory);
    free(bench);
}

static const struct bench benches[] = {
    {"ledger.append", "k rows/s", 400000, open_ledger, run_append, close_ledger},
};

const struct bench_list ledger_benches = {benches, BENCH_WITH_LEDGER ? sizeof benches / sizeof *benches : 0,
                                          .takes_turns = false};
