/* Numbers from text, exactly: no floating point, no locale, no sign, no blank. */
#ifndef TOOLS_NUMBERS_H
#define TOOLS_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole number of at most `max` from all of the text. False leaves `*ret` alone. */
bool number_whole(const char *text, size_t length, int64_t max, int64_t *ret);

/* A decimal such as "0.25" in units of 10^-digits: with 6 digits 250000. Refuses what is finer than that, and what is
 * larger than `max` units. */
bool number_decimal(const char *text, size_t length, unsigned digits, int64_t max, int64_t *ret);

/* a + b * c, all of them >= 0; false when that does not fit. */
bool number_add_product(int64_t a, int64_t b, int64_t c, int64_t *ret);

#endif
