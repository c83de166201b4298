/* Fuzz target: the finer normalization and the masking of secrets. What must hold of any message: bounded output that
 * ends where it says, no digit left, and a mask that masks nothing more the second time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus/fingerprint.h>

#include "trackers/redact.h"

static void demand(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_finer: %s\n", what);
    abort();
}

static void check_normalized(const char *message)
{
    char normalized[TBUS_NORMALIZED_BYTES], again[TBUS_NORMALIZED_BYTES];
    size_t length = tbus_error_normalize_finer(message, normalized);

    demand(length == strlen(normalized), "it tells another length than it has");
    demand(strpbrk(normalized, "0123456789") == NULL, "a digit is left");
    demand(tbus_error_normalize_finer(message, again) == length && strcmp(normalized, again) == 0,
           "not the same twice");
}

static void check_redacted(char *text)
{
    size_t length = strlen(text);
    redact_secrets(text);
    demand(strlen(text) <= length, "masking made it longer");
    char *once = strdup(text);
    demand(once != NULL, "no memory");
    redact_secrets(text);
    demand(strcmp(once, text) == 0, "masking twice masks more");
    redact_secrets_of_cut(text);
    demand(strlen(text) <= length, "masking made it longer");
    free(once);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char *message = malloc(size + 1);

    demand(message != NULL, "no memory");
    if (size)
        memcpy(message, data, size);
    message[size] = '\0';
    check_normalized(message);
    check_redacted(message);
    free(message);
    return 0;
}
