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
#include "trackers/fingerprint_text.h"

#include <assert.h>
#include <string.h>

#include "trackers/digest.h"

/* clang-format off */
#define P PLAIN
#define A (ALNUM | PLAIN)
#define X (HEX | ALNUM)
#define D (DIGIT | HEX | ALNUM)
#define R ALNUM
#define H HIGH
const uint8_t fingerprint_classes[256] = {
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

static bool request_at(text_t at)
{
    return at[0] == 'r' && at[1] == 'e' && at[2] == 'q' && at[3] == '-' && (fingerprint_classes[at[4]] & ALNUM) &&
           !uuid_at(at + 4);
}

static bool address_at(text_t at)
{
    return at[0] == '0' && at[1] == 'x' && (fingerprint_classes[at[2]] & HEX) && !uuid_at(at + 2);
}

/* Where the run of bytes of a class ends that is at `from`: before the first byte of another class, or before the match
 * of an earlier kind that begins in the run. A UUID can begin in it at one place only, 8 hex digits before the first
 * dash; hex letters may lie between a run of digits and that dash. */
static text_t run_end(text_t from, unsigned class)
{
    text_t end = from;
    while (fingerprint_classes[*end] & class)
        end++;
    text_t dash = end;
    while (dash - end < UUID_FIRST_DIGITS && (fingerprint_classes[*dash] & HEX))
        dash++;
    if (*dash == '-' && dash - from >= UUID_FIRST_DIGITS && uuid_at(dash - UUID_FIRST_DIGITS))
        return dash - UUID_FIRST_DIGITS;
    if (class == DIGIT && end > from && address_at(end - 1))
        return end - 1;
    return end;
}

/* A token for a match that has a run of a class at `run`: which, once nothing more is wanted, need not be read. */
static text_t put_token_and_skip(struct output *out, const char *token, text_t run, unsigned class)
{
    put_token(out, token);
    return out->points < FINGERPRINT_POINTS_MAX ? run_end(run, class) : run;
}

/* At a hex digit or an 'r'. */
static text_t replace_or_copy(struct output *out, text_t at)
{
    unsigned class = fingerprint_classes[*at];

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
    return !(class & DIGIT) && (*at == 'r' ? at[1] != 'e' : !(fingerprint_classes[at[1]] & HEX));
}

size_t tbus_error_normalize(const char *message, char normalized[TBUS_NORMALIZED_BYTES])
{
    text_t at = (text_t)(message ? message : "");
    struct output out = {.at = normalized};

    if (!normalized)
        return 0;
    while (out.points < FINGERPRINT_POINTS_MAX && *at) {
        unsigned class = fingerprint_classes[*at];
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
