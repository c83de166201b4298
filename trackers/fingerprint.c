/* The four replacements in one pass.
 *
 * They are defined one after another over the whole message: UUIDs, request ids, addresses, runs of digits. Each sees
 * the text that the one before it left, so an earlier one wins wherever two want the same bytes. One pass gives the
 * same because of two facts:
 * - What is put in ("<UUID>" and so on) can take no part in a later match: it has no digit, no "0x" and no "req-", and
 *   its brackets are neither letter nor digit. So a later match simply ends where an earlier one begins.
 * - Whether a match begins at a byte that no match covers can be told from the bytes that follow: a later kind never
 *   reaches back over the beginning of an earlier one, but for its run (of letters and digits, hex digits, digits) into
 *   which an earlier kind may cut.
 * So at each position: is there a UUID? else a request id? else an address? else a digit? else copy the byte. A run
 * ends before the UUID, or for digits the address, that begins in it.
 *
 * Reading stops when the output is full. Each byte is looked at a bounded number of times. */
#include "trackers/fingerprint.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "trackers/digest.h"

/* What a byte may be part of. */
enum {
    DIGIT = 1, /* 0-9 */
    HEX = 2,   /* 0-9 a-f A-F */
    ALNUM = 4, /* ASCII letters and digits */
    PLAIN = 8, /* ASCII with which no match begins, so neither a hex digit nor 'r': most of a message; not NUL */
    HIGH = 16  /* 0x80 and above */
};

enum { UUID_BYTES = 36, UUID_FIRST_DIGITS = 8 };

/* clang-format off */
#define P PLAIN
#define A (ALNUM | PLAIN)
#define X (HEX | ALNUM)
#define D (DIGIT | HEX | ALNUM)
#define R ALNUM
#define H HIGH
static const uint8_t classes[256] = {
    0, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,  P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,  D, D, D, D, D, D, D, D, D, D, P, P, P, P, P, P,
    P, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,  A, A, A, A, A, A, A, A, A, A, A, P, P, P, P, P,
    P, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,  A, A, R, A, A, A, A, A, A, A, A, P, P, P, P, P,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,  H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,  H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,  H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,  H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H};
#undef P
#undef A
#undef X
#undef D
#undef R
#undef H
/* clang-format on */

/* The text ends with a NUL, which belongs to no class: each look-ahead below stops there of itself. */
typedef const unsigned char *text_t;

struct output {
    char *at;
    unsigned points; /* code points written */
};

static bool uuid_at(text_t at)
{
    static const unsigned char digits_of_group[] = {UUID_FIRST_DIGITS, 4, 4, 4, 12};

    for (unsigned group = 0; group < sizeof digits_of_group; group++) {
        if (group > 0 && *at++ != '-')
            return false;
        for (unsigned left = digits_of_group[group]; left > 0; left--) {
            if (!(classes[*at++] & HEX))
                return false;
        }
    }
    return true;
}

static bool request_at(text_t at)
{
    return at[0] == 'r' && at[1] == 'e' && at[2] == 'q' && at[3] == '-' && (classes[at[4]] & ALNUM) && !uuid_at(at + 4);
}

static bool address_at(text_t at)
{
    return at[0] == '0' && at[1] == 'x' && (classes[at[2]] & HEX) && !uuid_at(at + 2);
}

/* Where the run of bytes of a class ends that is at `from`: before the first byte of another class, or before the match
 * of an earlier kind that begins in the run. A UUID can begin in it at one place only, 8 hex digits before the first
 * dash; hex letters may lie between a run of digits and that dash. */
static text_t run_end(text_t from, unsigned class)
{
    text_t end = from;
    while (classes[*end] & class)
        end++;
    text_t dash = end;
    while (dash - end < UUID_FIRST_DIGITS && (classes[*dash] & HEX))
        dash++;
    if (*dash == '-' && dash - from >= UUID_FIRST_DIGITS && uuid_at(dash - UUID_FIRST_DIGITS))
        return dash - UUID_FIRST_DIGITS;
    if (class == DIGIT && end > from && address_at(end - 1))
        return end - 1;
    return end;
}

static void put_token(struct output *out, const char *token)
{
    for (; *token && out->points < FINGERPRINT_POINTS_MAX; out->points++)
        *out->at++ = *token++;
}

/* A token for a match that has a run of a class at `run`: which, once nothing more is wanted, need not be read. */
static text_t put_token_and_skip(struct output *out, const char *token, text_t run, unsigned class)
{
    put_token(out, token);
    return out->points < FINGERPRINT_POINTS_MAX ? run_end(run, class) : run;
}

/* A code point as the header counts them: a byte and the continuation bytes that it asks for, as far as they are there.
 * Whether that is valid UTF-8 makes no difference. */
static text_t copy_point(struct output *out, text_t at)
{
    unsigned wanted = *at >= 0xf8 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : 0;

    *out->at++ = (char)*at++;
    for (; wanted > 0 && (*at & 0xc0) == 0x80; wanted--)
        *out->at++ = (char)*at++;
    out->points++;
    return at;
}

/* At a hex digit or an 'r'. */
static text_t replace_or_copy(struct output *out, text_t at)
{
    unsigned class = classes[*at];

    if ((class & HEX) && uuid_at(at)) {
        put_token(out, "<UUID>");
        return at + UUID_BYTES;
    }
    if (request_at(at))
        return put_token_and_skip(out, "<REQUEST_ID>", at + 4, ALNUM);
    if (address_at(at))
        return put_token_and_skip(out, "<ADDR>", at + 2, HEX);
    if (class & DIGIT)
        return put_token_and_skip(out, "<NUM>", at, DIGIT);
    return copy_point(out, at);
}

/* Tells most hex letters and 'r's from those with which a match may begin. */
static inline bool is_only_letter(text_t at, unsigned class)
{
    return !(class & DIGIT) && (*at == 'r' ? at[1] != 'e' : !(classes[at[1]] & HEX));
}

size_t tbus_error_normalize(const char *message, char normalized[TBUS_NORMALIZED_BYTES])
{
    text_t at = (text_t)(message ? message : "");
    struct output out = {.at = normalized};

    if (!normalized)
        return 0;
    while (out.points < FINGERPRINT_POINTS_MAX && *at) {
        unsigned class = classes[*at];
        if (class & HIGH) {
            at = copy_point(&out, at);
        } else if ((class & PLAIN) || is_only_letter(at, class)) {
            *out.at++ = (char)*at++;
            out.points++;
        } else {
            at = replace_or_copy(&out, at);
        }
    }
    *out.at = '\0';
    assert(out.at - normalized < TBUS_NORMALIZED_BYTES);
    return (size_t)(out.at - normalized);
}

static struct digest_part part_of(const char *text)
{
    return (struct digest_part){text, text ? strlen(text) : 0};
}

void fingerprint_of(const char *type, const char *endpoint, const char *normalized,
                    char fingerprint[TBUS_FINGERPRINT_BYTES])
{
    static_assert(TBUS_FINGERPRINT_BYTES == DIGEST_HEX8_BYTES, "the same text");
    const struct digest_part parts[] = {part_of(type), {":", 1}, part_of(endpoint), {":", 1}, part_of(normalized)};

    digest_parts_hex8(parts, sizeof parts / sizeof *parts, fingerprint);
}

int tbus_error_fingerprint(const char *type, const char *endpoint, const char *message,
                           char fingerprint[TBUS_FINGERPRINT_BYTES])
{
    char normalized[TBUS_NORMALIZED_BYTES];

    if (!fingerprint)
        return UV_EINVAL;
    tbus_error_normalize(message, normalized);
    fingerprint_of(type, endpoint, normalized, fingerprint);
    return 0;
}
