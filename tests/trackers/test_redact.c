#include <string.h>

#include "tests/check.h"
#include "trackers/redact.h"

static void check(const char *text, const char *expected)
{
    char copy[256];

    cr_assert_lt(strlen(text), sizeof copy);
    strcpy(copy, text);
    redact_secrets(copy);
    cr_assert_str_eq(copy, expected, "%s", copy);
}

Test(redact, keys_are_masked)
{
    check("Incorrect API key provided: sk-proj-Ab<NUM>_c. Look it up.", "Incorrect API key provided: sk-* Look it up.");
    check("sk-a", "sk-*");
    check("key=sk-abc, key=sk-def", "key=sk-*, key=sk-*");
    check("'sk-<UUID>'", "'sk-*'");
}

Test(redact, bearer_tokens_are_masked)
{
    check("Authorization: Bearer eyJh.b-c_d/e+f== refused", "Authorization: Bearer * refused");
    check("bEARER  x", "bEARER  *");
    check("Bearer sk-abc", "Bearer *");
    check("bearer: x", "bearer: *");
}

Test(redact, the_rest_stays)
{
    check("", "");
    check("no secret here", "no secret here");
    check("task-<NUM> of disk-pool", "task-<NUM> of disk-pool");
    check("sk-", "sk-");
    check("sk- x", "sk- x");
    check("Bearer", "Bearer");
    check("Bearer ", "Bearer ");
    check("bearers of x", "bearers of x");
    check("SK-abc", "SK-abc");
    check("\xff\x80sk-abc\xc3\xa4", "\xff\x80sk-*\xc3\xa4");
}
