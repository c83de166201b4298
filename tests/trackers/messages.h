/* Messages for tests: put together at random from pieces that meet at awkward seams, and of one thing over and over. */
#ifndef TESTS_TRACKERS_MESSAGES_H
#define TESTS_TRACKERS_MESSAGES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"

/* Mostly a few pieces, at times many, some of them cut at either end, at times a byte changed to any other. */
static inline size_t message_of_pieces(uint64_t *random, const char *const *pieces, size_t count, char *text,
                                       size_t room)
{
    size_t length = 0, wanted = oracle_random(random) % (oracle_random(random) % 8 == 0 ? 60 : 9);

    for (size_t i = 0; i < wanted; i++) {
        const char *piece = pieces[oracle_random(random) % count];
        size_t skipped = oracle_random(random) % 4 == 0 ? oracle_random(random) % strlen(piece) : 0;
        size_t bytes = strlen(piece + skipped);
        if (oracle_random(random) % 4 == 0)
            bytes = 1 + oracle_random(random) % bytes;
        if (length + bytes >= room)
            break;
        memcpy(text + length, piece + skipped, bytes);
        length += bytes;
    }
    if (length > 0 && oracle_random(random) % 8 == 0)
        text[oracle_random(random) % length] = (char)(1 + oracle_random(random) % 255);
    text[length] = '\0';
    return length;
}

/* A text in hex, for an oracle. */
static inline void message_put_hex(FILE *file, const char *text)
{
    for (; *text; text++)
        fprintf(file, "%02x", (unsigned char)*text);
}

enum { MESSAGE_HUGE = 10 * 1000 * 1000 };

/* Room for 10 MB. */
static inline char *message_huge_open(void)
{
    char *text = malloc(MESSAGE_HUGE + 1);
    cr_assert_not_null(text);
    return text;
}

/* Fills it with one thing over and over. */
static inline void message_huge_fill(char *text, const char *filler)
{
    size_t length = strlen(filler);
    for (size_t at = 0; at < MESSAGE_HUGE; at++)
        text[at] = filler[at % length];
    text[MESSAGE_HUGE] = '\0';
}

#endif
