#include "trackers/prices.h"

/* Thousandths of a USD for a million tokens; NONE where there is no such price. */
enum { NONE = -1 };

static const struct {
    const char *model;
    int32_t input, output, cached_input;
} token_prices[] = {
    {"gpt-4", 30000, 60000, NONE},
    {"gpt-4-32k", 60000, 120000, NONE},
    {"gpt-4-turbo", 10000, 30000, NONE},
    {"gpt-4o", 5000, 15000, 2500},
    {"gpt-4o-2024-08-06", 2500, 10000, 1250},
    {"gpt-4o-mini", 150, 600, 75},
    {"gpt-3.5-turbo", 500, 1500, NONE},
    {"o1", 15000, 60000, NONE},
    {"o1-mini", 3000, 12000, NONE},
    {"text-embedding-3-small", 20, 0, NONE},
    {"text-embedding-3-large", 130, 0, NONE},
    {"text-embedding-ada-002", 100, 0, NONE},
    {"ft:gpt-4o-2024-08-06", 3750, 15000, NONE},
    {"ft:gpt-4o-mini-2024-07-18", 300, 1200, NONE},
    {"ft:gpt-3.5-turbo", 3000, 6000, NONE},
};

/* Thousandths of a USD for one image. */
static const struct {
    const char *model, *size, *quality;
    int32_t price;
} image_prices[] = {
    {"dall-e-3", "1024x1024", "standard", 40}, {"dall-e-3", "1024x1024", "hd", 80},
    {"dall-e-3", "1024x1792", "standard", 80}, {"dall-e-3", "1024x1792", "hd", 120},
    {"dall-e-3", "1792x1024", "standard", 80}, {"dall-e-3", "1792x1024", "hd", 120},
    {"dall-e-2", "1024x1024", "", 20},         {"dall-e-2", "512x512", "", 18},
    {"dall-e-2", "256x256", "", 16},
};

/* Thousandths of a USD for a million characters. */
static const struct {
    const char *model;
    int32_t price;
} character_prices[] = {{"tts-1", 15000}, {"tts-1-hd", 30000}, {"whisper-1", 6000}};

static int64_t per_token(int32_t milli_usd)
{
    return milli_usd == NONE ? TBUS_PRICE_NONE : PRICES_PER_MILLION(milli_usd);
}

int prices_set_builtin(tbus_prices_t *prices)
{
    int error = 0;

    for (size_t i = 0; !error && i < sizeof token_prices / sizeof *token_prices; i++) {
        tbus_price_t price = tbus_price_none();
        price.input = per_token(token_prices[i].input);
        price.output = per_token(token_prices[i].output);
        price.cached_input = per_token(token_prices[i].cached_input);
        error = tbus_prices_set(prices, token_prices[i].model, &price);
    }
    for (size_t i = 0; !error && i < sizeof image_prices / sizeof *image_prices; i++)
        error = tbus_prices_set_image(prices, image_prices[i].model, image_prices[i].size, image_prices[i].quality,
                                      PRICES_MILLI_USD(image_prices[i].price));
    for (size_t i = 0; !error && i < sizeof character_prices / sizeof *character_prices; i++) {
        tbus_price_t price = tbus_price_none();
        price.character = PRICES_PER_MILLION(character_prices[i].price);
        error = tbus_prices_set(prices, character_prices[i].model, &price);
    }
    return error;
}
