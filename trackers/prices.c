#include "trackers/prices.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "trackers/table.h"

enum {
    RESOLVED_MAX = 511, /* bytes of a name that is looked for at all */
    PREFIXES_MAX = 8    /* provider prefixes taken off: a name of slashes must not cost one search for each */
};

struct image_price {
    int64_t price;
    uint32_t next; /* of the same model: number + 1; 0 = the last */
    char size[PRICES_LABEL_MAX + 1], quality[PRICES_LABEL_MAX + 1];
};

struct tbus_prices {
    atomic_uint holds;   /* its maker's and the trackers': the last to let go frees it, having acquired what the others
                            released */
    struct table models; /* of struct price_entry */
    struct image_price *images;
    uint32_t images_count, images_capacity;
};

static_assert(TBUS_PRICE_TIERS == 2, "tbus_price_none() lists them");

static tbus_price_tier_t tier_none(int64_t above_tokens)
{
    return (tbus_price_tier_t){.above_tokens = above_tokens,
                               .input = TBUS_PRICE_NONE,
                               .output = TBUS_PRICE_NONE,
                               .cached_input = TBUS_PRICE_NONE,
                               .cache_write = TBUS_PRICE_NONE,
                               .character = TBUS_PRICE_NONE,
                               .image = TBUS_PRICE_NONE};
}

tbus_price_t tbus_price_none(void)
{
    return (tbus_price_t){.input = TBUS_PRICE_NONE,
                          .output = TBUS_PRICE_NONE,
                          .cached_input = TBUS_PRICE_NONE,
                          .cache_write = TBUS_PRICE_NONE,
                          .batch_input = TBUS_PRICE_NONE,
                          .batch_output = TBUS_PRICE_NONE,
                          .character = TBUS_PRICE_NONE,
                          .image = TBUS_PRICE_NONE,
                          .reasoning = TBUS_PRICE_NONE,
                          .audio_input = TBUS_PRICE_NONE,
                          .audio_output = TBUS_PRICE_NONE,
                          .request = TBUS_PRICE_NONE,
                          .tiers = {tier_none(0), tier_none(0)}};
}

int tbus_prices_open(bool with_builtin, tbus_prices_t **ret)
{
    if (!ret)
        return UV_EINVAL;
    tbus_prices_t *prices = tbus_mem_alloc(sizeof *prices);
    if (!prices)
        return UV_ENOMEM;
    atomic_init(&prices->holds, 1);
    table_init(&prices->models, sizeof(struct price_entry), PRICES_NAME_MAX, PRICES_MODELS_MAX);
    int error = with_builtin ? prices_set_builtin(prices) : 0;
    if (error) {
        tbus_prices_close(prices);
        return error;
    }
    *ret = prices;
    return 0;
}

void tbus_prices_close(tbus_prices_t *prices)
{
    if (!prices || atomic_fetch_sub_explicit(&prices->holds, 1, memory_order_acq_rel) > 1)
        return;
    table_clear(&prices->models);
    tbus_mem_free(prices->images);
    tbus_mem_free(prices);
}

const tbus_prices_t *prices_hold(const tbus_prices_t *prices)
{
    atomic_fetch_add_explicit(&((tbus_prices_t *)(uintptr_t)prices)->holds, 1, memory_order_relaxed);
    return prices;
}

bool prices_are_shared(const tbus_prices_t *prices)
{
    /* Whoever has let go has read it for the last time, before anything is set in it. */
    return atomic_load_explicit(&prices->holds, memory_order_acquire) > 1;
}

size_t tbus_prices_count(const tbus_prices_t *prices)
{
    return prices ? prices->models.count : 0;
}

/* --- Setting --- */

static bool are_prices(const int64_t *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i] < TBUS_PRICE_NONE)
            return false;
    }
    return true;
}

static bool price_is_valid(const tbus_price_t *price)
{
    const int64_t units[] = {price->input,       price->output,       price->cached_input, price->cache_write,
                             price->batch_input, price->batch_output, price->character,    price->image,
                             price->reasoning,   price->audio_input,  price->audio_output, price->request};
    bool valid = are_prices(units, sizeof units / sizeof *units);
    for (int i = 0; i < TBUS_PRICE_TIERS; i++) {
        const tbus_price_tier_t *tier = &price->tiers[i];
        const int64_t above[] = {tier->input,       tier->output,    tier->cached_input,
                                 tier->cache_write, tier->character, tier->image};
        valid = valid && tier->above_tokens >= 0 && are_prices(above, sizeof above / sizeof *above);
    }
    return valid;
}

static bool name_is_valid(const char *model)
{
    return model && *model && strnlen(model, PRICES_NAME_MAX + 1) <= PRICES_NAME_MAX;
}

/* The entry of a model, made with no price where it is new. Errors: UV_E2BIG, UV_ENOMEM. */
static int take_entry(tbus_prices_t *prices, const char *model, struct price_entry **ret)
{
    bool is_new;
    int error;
    struct price_entry *entry = table_add(&prices->models, model, &is_new, &error);
    if (!entry)
        return error == UV_ENOSPC ? UV_E2BIG : error;
    if (is_new)
        entry->price = tbus_price_none();
    *ret = entry;
    return 0;
}

int tbus_prices_set(tbus_prices_t *prices, const char *model, const tbus_price_t *price)
{
    struct price_entry *entry = NULL;
    if (!prices || !price || !name_is_valid(model) || !price_is_valid(price))
        return UV_EINVAL;
    if (prices_are_shared(prices))
        return UV_EBUSY;
    int error = take_entry(prices, model, &entry);
    if (!error)
        entry->price = *price;
    return error;
}

/* The image price with exactly this size and quality, or NULL. */
static struct image_price *find_image(const tbus_prices_t *prices, const struct price_entry *entry, const char *size,
                                      const char *quality)
{
    for (uint32_t number = entry->first_image; number != 0; number = prices->images[number - 1].next) {
        struct image_price *image = &prices->images[number - 1];
        if (strcmp(image->size, size) == 0 && strcmp(image->quality, quality) == 0)
            return image;
    }
    return NULL;
}

/* Makes room for one image price more. Errors: UV_E2BIG, UV_ENOMEM. */
static int reserve_image(tbus_prices_t *prices)
{
    if (prices->images_count < prices->images_capacity)
        return 0;
    if (prices->images_count == PRICES_IMAGES_MAX)
        return UV_E2BIG;
    uint32_t capacity = prices->images_capacity ? 2 * prices->images_capacity : 16;
    if (capacity > PRICES_IMAGES_MAX)
        capacity = PRICES_IMAGES_MAX;
    struct image_price *images = tbus_mem_resize(prices->images, capacity * sizeof *images);
    if (!images)
        return UV_ENOMEM;
    prices->images = images;
    prices->images_capacity = capacity;
    return 0;
}

static void add_image(tbus_prices_t *prices, struct price_entry *entry, const char *size, const char *quality,
                      int64_t price)
{
    assert(prices->images_count < prices->images_capacity);
    struct image_price *image = &prices->images[prices->images_count++];
    *image = (struct image_price){.price = price, .next = entry->first_image};
    memcpy(image->size, size, strlen(size));
    memcpy(image->quality, quality, strlen(quality));
    entry->first_image = prices->images_count;
}

static bool label_is_valid(const char *label)
{
    return strnlen(label, PRICES_LABEL_MAX + 1) <= PRICES_LABEL_MAX;
}

int tbus_prices_set_image(tbus_prices_t *prices, const char *model, const char *size, const char *quality,
                          int64_t price)
{
    struct price_entry *entry = NULL;

    size = size ? size : "";
    quality = quality ? quality : "";
    if (!prices || !name_is_valid(model) || !label_is_valid(size) || !label_is_valid(quality) ||
        price < TBUS_PRICE_NONE)
        return UV_EINVAL;
    if (prices_are_shared(prices))
        return UV_EBUSY;
    if (!*size && !*quality) {
        int error = take_entry(prices, model, &entry);
        if (!error)
            entry->price.image = price;
        return error;
    }
    entry = table_find(&prices->models, model);
    struct image_price *image = entry ? find_image(prices, entry, size, quality) : NULL;
    if (image) {
        image->price = price;
        return 0;
    }
    int error = reserve_image(prices); /* before the model, which must not stay behind without a price */
    if (!error)
        error = take_entry(prices, model, &entry);
    if (!error)
        add_image(prices, entry, size, quality, price);
    return error;
}

/* --- Finding --- */

static bool is_number_within(const char *digits, int count, int lowest, int highest)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (digits[i] - '0');
    }
    return value >= lowest && value <= highest;
}

static bool is_year(const char *digits)
{
    return is_number_within(digits, 4, 2000, 2099);
}

static bool is_month_and_day(const char *month, const char *day)
{
    return is_number_within(month, 2, 1, 12) && is_number_within(day, 2, 1, 31);
}

/* The length of a name without the date at its end: -2024-05-13, -20240229, or -0613. Of the short form only what is a
 * month and a day counts, and not 1024, which is a size far more often than the 24th of October: so neither
 * "llama2-70b-4096" nor "mistral-large-2402" loses anything. */
static size_t dateless_length(const char *name, size_t length)
{
    const char *end = name + length;
    if (length > 11 && end[-11] == '-' && is_year(end - 10) && end[-6] == '-' && end[-3] == '-' &&
        is_month_and_day(end - 5, end - 2))
        return length - 11;
    if (length > 9 && end[-9] == '-' && is_year(end - 8) && is_month_and_day(end - 4, end - 2))
        return length - 9;
    if (length > 5 && end[-5] == '-' && is_month_and_day(end - 4, end - 2) && memcmp(end - 4, "1024", 4) != 0)
        return length - 5;
    return length;
}

/* Where the name goes on behind its first provider prefix, or NULL. A prefix has no colon: in "ft:gpt-4o:a/b:c" the
 * slash belongs to what somebody called his model. */
static const char *behind_prefix(const char *name)
{
    size_t length = strcspn(name, "/:");
    return name[length] == '/' ? name + length + 1 : NULL;
}

/* By the name, then without one prefix after the other. */
static const struct price_entry *find_prefixed(const tbus_prices_t *prices, const char *name)
{
    const struct price_entry *entry = NULL;
    for (int prefixes = 0; name && *name && !entry && prefixes <= PREFIXES_MAX; name = behind_prefix(name), prefixes++)
        entry = table_find(&prices->models, name);
    return entry;
}

/* The same, then without the date, which is cut off `name`. */
static const struct price_entry *find_dated(const tbus_prices_t *prices, char *name)
{
    const struct price_entry *entry = find_prefixed(prices, name);
    size_t length = strlen(name), dateless = dateless_length(name, length);
    if (entry || dateless == length)
        return entry;
    name[dateless] = '\0';
    return find_prefixed(prices, name);
}

/* Cuts "ft:BASE:whatever", with or without prefixes, to "ft:BASE". False when it is no such name. */
static bool cut_to_fine_tuned(char *name)
{
    char *own = name;
    for (const char *next = name; (next = behind_prefix(next));)
        own = name + (next - name);
    char *colon = strncmp(own, "ft:", 3) == 0 ? strchr(own + 3, ':') : NULL;
    if (!colon)
        return false;
    *colon = '\0';
    return true;
}

bool prices_is_named(const char *model, const char *name)
{
    const size_t wanted = strlen(name);
    for (int prefixes = 0; model && prefixes <= PREFIXES_MAX; model = behind_prefix(model), prefixes++) {
        size_t length = strnlen(model, RESOLVED_MAX + 1);
        if (length <= RESOLVED_MAX && (length == wanted || dateless_length(model, length) == wanted) &&
            memcmp(model, name, wanted) == 0)
            return true;
    }
    return false;
}

const struct price_entry *prices_lookup(const tbus_prices_t *prices, const char *model)
{
    char name[RESOLVED_MAX + 1];

    if (!prices || !model || !*model)
        return NULL;
    size_t length = strnlen(model, sizeof name);
    if (length == sizeof name)
        return NULL; /* longer than any name in the table, and nothing that a provider calls a model */
    memcpy(name, model, length + 1);
    const struct price_entry *entry = find_dated(prices, name);
    if (entry)
        return entry;
    memcpy(name, model, length + 1);
    return cut_to_fine_tuned(name) ? find_dated(prices, name) : NULL;
}

const tbus_price_t *tbus_prices_find(const tbus_prices_t *prices, const char *model)
{
    const struct price_entry *entry = prices_lookup(prices, model);
    return entry ? &entry->price : NULL;
}

int64_t prices_image(const tbus_prices_t *prices, const struct price_entry *entry, const char *size,
                     const char *quality)
{
    size = size ? size : "";
    quality = quality ? quality : "";
    const struct {
        const char *size, *quality;
    } tries[] = {{size, quality}, {size, *quality ? quality : "standard"}, {size, ""}, {"", quality}};

    for (size_t i = 0; entry->first_image && i < sizeof tries / sizeof *tries; i++) {
        const struct image_price *image = find_image(prices, entry, tries[i].size, tries[i].quality);
        if (image && image->price != TBUS_PRICE_NONE)
            return image->price;
    }
    return entry->price.image;
}

int64_t tbus_prices_find_image(const tbus_prices_t *prices, const char *model, const char *size, const char *quality)
{
    const struct price_entry *entry = prices_lookup(prices, model);
    return entry ? prices_image(prices, entry, size, quality) : TBUS_PRICE_NONE;
}

/* --- All or nothing --- */

static int copy_entry(tbus_prices_t *to, const tbus_prices_t *from, const struct price_entry *entry)
{
    const char *model = table_key(&from->models, entry, NULL);
    int error = tbus_prices_set(to, model, &entry->price);
    for (uint32_t number = entry->first_image; !error && number != 0; number = from->images[number - 1].next) {
        const struct image_price *image = &from->images[number - 1];
        error = tbus_prices_set_image(to, model, image->size, image->quality, image->price);
    }
    return error;
}

int prices_clone(const tbus_prices_t *prices, tbus_prices_t **ret)
{
    tbus_prices_t *clone;
    int error = tbus_prices_open(false, &clone);
    for (uint32_t cell = 0; !error && cell < prices->models.used; cell++) {
        const struct price_entry *entry = table_at(&prices->models, cell);
        error = copy_entry(clone, prices, entry);
        if (error)
            tbus_prices_close(clone);
    }
    if (!error)
        *ret = clone;
    return error;
}

void prices_swap(tbus_prices_t *a, tbus_prices_t *b)
{
    struct table models = a->models;
    struct image_price *images = a->images;
    uint32_t count = a->images_count, capacity = a->images_capacity;
    a->models = b->models;
    a->images = b->images;
    a->images_count = b->images_count;
    a->images_capacity = b->images_capacity;
    b->models = models;
    b->images = images;
    b->images_count = count;
    b->images_capacity = capacity;
}
