/* Price tables from inside: for the cost tracker, which keeps what a model resolved to, and for the loader, which
 * changes a table all or nothing. */
#ifndef TRACKERS_PRICES_H
#define TRACKERS_PRICES_H

#include <tallybus/prices.h>

/* USD per million of something, in thousandths of a USD, as units of 1e-12 USD for one of it. */
#define PRICES_PER_MILLION(milli_usd) (INT64_C(1000) * (milli_usd))

/* Thousandths of a USD as units of 1e-12 USD. */
#define PRICES_MILLI_USD(milli_usd) (INT64_C(1000000000) * (milli_usd))

enum {
    PRICES_MODELS_MAX = 100000,
    PRICES_IMAGES_MAX = 100000,
    PRICES_NAME_MAX = 128, /* bytes of a model's name */
    PRICES_LABEL_MAX = 31  /* bytes of an image's size, and of its quality */
};

/* A model in a table. It stays where it is for as long as nothing is set in the table. */
struct price_entry {
    tbus_price_t price;
    uint32_t first_image; /* its image prices by size and quality: number + 1 of the first; 0 = none */
};

/* One hold more on a table, for tbus_prices_close(). From the second one on nothing can be set in it. Returns `prices`.
 */
const tbus_prices_t *prices_hold(const tbus_prices_t *prices);
bool prices_are_shared(const tbus_prices_t *prices);

/* As tbus_prices_find(). */
const struct price_entry *prices_lookup(const tbus_prices_t *prices, const char *model);

/* Whether a model goes by this name, without provider prefixes and date. */
bool prices_is_named(const char *model, const char *name);

/* As tbus_prices_find_image(), of a model that has been looked up. */
int64_t prices_image(const tbus_prices_t *prices, const struct price_entry *entry, const char *size,
                     const char *quality);

/* Sets the built-in prices. Errors: UV_ENOMEM. */
int prices_set_builtin(tbus_prices_t *prices);

/* A table with the same prices. Errors: UV_ENOMEM. */
int prices_clone(const tbus_prices_t *prices, tbus_prices_t **ret);

/* Exchanges what two tables hold. */
void prices_swap(tbus_prices_t *a, tbus_prices_t *b);

#endif
