#include <string.h>

#include "tools/host_model.h"

#define MS INT64_C(1000000)
#define US INT64_C(1000)

static const struct host_model builtin[] = {
    {"gpt-4o", false, 128000, 0, 180 * MS, 60 * US, 14 * MS},
    {"gpt-4o-mini", false, 128000, 0, 120 * MS, 25 * US, 8 * MS},
    {"gpt-4-turbo", false, 128000, 0, 300 * MS, 110 * US, 28 * MS},
    {"o1-mini", false, 128000, 0, 450 * MS, 90 * US, 10 * MS},
    {"gpt-3.5-turbo", false, 16385, 0, 90 * MS, 20 * US, 9 * MS},
    {"text-embedding-3-small", true, 8191, 1536, 12 * MS, 5 * US, 0},
    {"text-embedding-3-large", true, 8191, 3072, 20 * MS, 8 * US, 0},
};

/* The first time without a blank: the list is told twice. */
#define WORDS(with)                                                                                                    \
    with("The") with("bus") with("hands") with("each") with("event") with("to") with("its") with("subscribers")        \
        with("in") with("order") with("of") with("priority") with("and") with("counts") with("what") with("it")        \
            with("could") with("not") with("deliver") with("so") with("nothing") with("is") with("lost")               \
                with("without") with("a") with("number") with("that") with("says") with("how") with("many")            \
                    with("were") with("shed")
#define PLAIN(word) word,
#define BLANK(word) " " word,

static const char *const first_words[] = {WORDS(PLAIN)};
static const char *const words[] = {WORDS(BLANK)};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

void host_models_init(struct host_model models[HOST_MODELS_MAX], double pace)
{
    memset(models, 0, HOST_MODELS_MAX * sizeof *models);
    for (size_t i = 0; i < COUNT_OF(builtin); i++) {
        models[i] = builtin[i];
        models[i].first_ns = (int64_t)((double)models[i].first_ns / pace);
        models[i].prefill_ns = (int64_t)((double)models[i].prefill_ns / pace);
        models[i].itl_ns = (int64_t)((double)models[i].itl_ns / pace);
    }
}

const struct host_model *host_models_find(const struct host_model models[HOST_MODELS_MAX], const char *name)
{
    for (size_t i = 0; name && i < HOST_MODELS_MAX && models[i].name; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

uint64_t host_hash(uint64_t hash, const char *text, size_t length)
{
    hash = hash ? hash : UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
    return hash;
}

uint64_t host_mix(uint64_t value)
{
    value += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

uint32_t host_tokens_of(size_t bytes)
{
    return (uint32_t)((bytes + 3) / 4);
}

uint32_t host_answer_tokens(uint64_t hash)
{
    return 16 + (uint32_t)(host_mix(hash) % 185);
}

const char *host_token(uint64_t hash, uint32_t number)
{
    uint64_t word = host_mix(hash + number) % COUNT_OF(words);
    return number == 0 ? first_words[word] : words[word];
}

float host_component(uint64_t hash, uint32_t number)
{
    return (float)(int32_t)(host_mix(hash + number) >> 32) * 0x1p-31F;
}
