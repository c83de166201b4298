/* Numbers as decimal digits, without the locale and without a C library's general way, which takes a microsecond for a
 * double. */
#ifndef EXPORTERS_DIGITS_H
#define EXPORTERS_DIGITS_H

#include <stddef.h>
#include <stdint.h>

#define DIGITS_BYTES 40

/* Each writes into at most DIGITS_BYTES, without a NUL, and returns the length. */
size_t digits_of_uint(uint64_t number, char *digits);

/* The shortest digits that give the same double back (of a power of two there may be one more), with an exponent
 * below 1e-4 and from 1e15 on; else as Prometheus writes it: NaN, +Inf, -Inf. */
size_t digits_of_double(double number, char *digits);

#endif
