#include <string.h>
#include <strings.h>

#include "tools/host_keys.h"

#define USD(units)                                                                                                     \
    {                                                                                                                  \
        .low = (units)*UINT64_C(1000000000000)                                                                         \
    }

/* The last one is there to run into its limit. */
static const struct host_key builtin[] = {
    {"sk-demo-search-5f1c9e7a2b", "amina", "search", USD(1000), true},
    {"sk-demo-support-81d03c44ee", "bruno", "support", USD(1000), true},
    {"sk-demo-batch-0b7de9f21c", "chiara", "batch", USD(1000), true},
    {"sk-demo-mobile-c2a6f0819d", "dmitri", "mobile", USD(1000), true},
    {"sk-demo-intern-77e4b1a05f", "eun-ji", "intern", {.low = UINT64_C(50000000000)}, true}, /* 5 cents */
};

void host_keys_init(struct host_keys *keys)
{
    keys->count = sizeof builtin / sizeof *builtin;
    memcpy(keys->list, builtin, sizeof builtin);
}

const char *host_keys_add(struct host_keys *keys, const char *text)
{
    static const char expected[] = "KEY or KEY=USD, such as sk-test=0.25 for 25 cents a day, at most 27 times";
    struct host_key key = {.user = "guest", .project = "guest"};
    const char *sign = strchr(text, '=');
    size_t length = sign ? (size_t)(sign - text) : strlen(text);
    key.has_limit = sign != NULL;
    if (sign && (tbus_money_parse(sign + 1, &key.limit) || key.limit.high < 0))
        return expected;
    if (length == 0 || length >= sizeof key.key || keys->count == HOST_KEYS_MAX)
        return expected;
    memcpy(key.key, text, length);
    keys->list[keys->count++] = key;
    return NULL;
}

int host_keys_set_budgets(const struct host_keys *keys, tbus_budgets_t *budgets)
{
    int error = 0;
    for (size_t i = 0; i < keys->count && !error; i++)
        if (keys->list[i].has_limit)
            error = tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_KEY,
                                                              .subject = keys->list[i].key,
                                                              .limit = keys->list[i].limit,
                                                              .kind = TBUS_BUDGET_HARD,
                                                              .period = TBUS_BUDGET_DAILY});
    return error;
}

static bool is_same(const char *key, const char *given, size_t length)
{
    size_t key_length = strlen(key);
    unsigned difference = key_length != length;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)given[i] ^ (unsigned char)key[key_length ? i % key_length : 0];
    return difference == 0;
}

const struct host_key *host_keys_find(const struct host_keys *keys, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    const struct host_key *found = NULL;
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *given = authorization + sizeof scheme - 1;
    size_t length = strlen(given);
    for (size_t i = 0; i < keys->count; i++)
        if (is_same(keys->list[i].key, given, length))
            found = &keys->list[i];
    return found;
}
