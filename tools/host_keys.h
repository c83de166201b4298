/* Who may use the demonstration host, and for how much. */
#ifndef TOOLS_HOST_KEYS_H
#define TOOLS_HOST_KEYS_H

#include <tallybus.h>

#define HOST_KEYS_MAX 32

#define HOST_KEY_BYTES 128

struct host_key {
    char key[HOST_KEY_BYTES];
    const char *user, *project;
    tbus_money_t limit; /* HARD, for each day */
    bool has_limit;
};

struct host_keys {
    struct host_key list[HOST_KEYS_MAX];
    size_t count;
};

/* The built-in keys. */
void host_keys_init(struct host_keys *keys);

/* "KEY" or "KEY=USD". NULL, or what was expected. */
const char *host_keys_add(struct host_keys *keys, const char *text);

/* Gives each key with a limit its budget. Returns 0 or a libuv error code. */
int host_keys_set_budgets(const struct host_keys *keys, tbus_budgets_t *budgets);

/* The key of an Authorization header ("Bearer KEY"), or NULL; the header may be NULL. Compares all keys in the same time,
 * so that how long it takes tells nothing. */
const struct host_key *host_keys_find(const struct host_keys *keys, const char *authorization);

#endif
