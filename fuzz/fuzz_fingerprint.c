/* Fuzz target: the one-pass normalization against the definition, done the slow and obvious way. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus/errors.h>

/* Each finds how long a match at the start of `text` is: 0 = none. */
typedef size_t (*match_fn)(const char *text);

static size_t match_uuid(const char *text)
{
    static const char shape[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";

    for (size_t i = 0; shape[i]; i++) {
        if (shape[i] == 'h' ? !isxdigit((unsigned char)text[i]) : text[i] != '-')
            return 0;
    }
    return strlen(shape);
}

static size_t match_request(const char *text)
{
    size_t length = strlen("req-");

    if (strncmp(text, "req-", length) != 0)
        return 0;
    while (isalnum((unsigned char)text[length]))
        length++;
    return length > strlen("req-") ? length : 0;
}

static size_t match_address(const char *text)
{
    size_t length = strlen("0x");

    if (strncmp(text, "0x", length) != 0)
        return 0;
    while (isxdigit((unsigned char)text[length]))
        length++;
    return length > strlen("0x") ? length : 0;
}

static size_t match_number(const char *text)
{
    size_t length = 0;

    while (isdigit((unsigned char)text[length]))
        length++;
    return length;
}

/* Replaces each match, leftmost first, and frees the text it was given. */
static char *replace_all(char *text, match_fn match, const char *token)
{
    /* no token is more than 12 times as long as what it stands for */
    char *result = malloc(12 * strlen(text) + 1), *to = result;

    if (!result)
        abort();
    for (const char *from = text; *from;) {
        size_t length = match(from);
        if (length == 0) {
            *to++ = *from++;
            continue;
        }
        memcpy(to, token, strlen(token));
        to += strlen(token);
        from += length;
    }
    *to = '\0';
    free(text);
    return result;
}

static void cut(char *text)
{
    unsigned points = 0, wanted = 0;

    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x80 && byte < 0xc0 && wanted > 0) {
            wanted--;
            continue;
        }
        if (points == 200)
            break;
        points++;
        wanted = byte < 0xc0 || byte >= 0xf8 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    }
    *text = '\0';
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char normalized[TBUS_NORMALIZED_BYTES], fingerprint[TBUS_FINGERPRINT_BYTES];
    char *message = malloc(size + 1), *expected;

    if (!message)
        abort();
    if (size)
        memcpy(message, data, size);
    message[size] = '\0';
    expected = strdup(message);
    if (!expected)
        abort();
    expected = replace_all(expected, match_uuid, "<UUID>");
    expected = replace_all(expected, match_request, "<REQUEST_ID>");
    expected = replace_all(expected, match_address, "<ADDR>");
    expected = replace_all(expected, match_number, "<NUM>");
    cut(expected);

    size_t length = tbus_error_normalize(message, normalized);
    if (length != strlen(expected) || strcmp(normalized, expected) != 0) {
        fprintf(stderr, "one pass: %s\nfour:     %s\n", normalized, expected);
        abort();
    }
    if (tbus_error_fingerprint(message, message, message, fingerprint) != 0 || strlen(fingerprint) != 8)
        abort();
    free(expected);
    free(message);
    return 0;
}
