#include "tests/trackers/messages.h"
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

Test(redact, keys_of_many_makers_are_masked)
{
    check("sk-ant-api03-Ab_c, AKIAIOSFODNN7EXAMPLE.", "sk-*, AKIA*");
    check("(ASIAIOSFODNN<NUM>EXAMPLE)", "(ASIA*)");
    check("?key=AIzaSyD-<NUM>_x&v=1", "?key=AIza*&v=1");
    check("ghp_a gho_b ghu_c ghs_d ghr_e github_pat_f", "ghp_* gho_* ghu_* ghs_* ghr_* github_pat_*");
    check("xoxb-1 xoxp-2, xoxa-3; glpat-x", "xoxb-* xoxp-*, xoxa-*; glpat-*");
    check("sk_live_1 rk_live_2", "sk_live_* rk_live_*");
    check("hf_abcdefghijklmnop and hf_hub", "hf_* and hf_hub");
    check("eyJhbGciOiJIUzI1NiIs.eyJz.c and eyJ", "eyJ* and eyJ");
    check("AKIA AIza ghp_ xox-1 xoxB-1 taskAKIA1234", "AKIA AIza ghp_ xox-1 xoxB-1 taskAKIA1234");
}

Test(redact, what_is_assigned_to_a_key_is_masked)
{
    check("api_key=Abcdefgh", "api_key=*");
    check("api-key: 1abcdefg, next", "api-key: *, next");
    check("apikey='abcdefgh1' API KEY: \"<UUID>-<NUM>\"", "apikey='*' API KEY: \"*\"");
    check("{\"token\":\"aB3aB3aB3\",\"n\":1}", "{\"token\":\"*\",\"n\":1}");
    check("{\\\"token\\\": \\\"aB3aB3aB3\\\"}", "{\\\"token\\\": \\\"*\\\"}");
    check("OPENAI_API_KEY=abcdefgh9 X-Api-Key:abcdefgh9", "OPENAI_API_KEY=* X-Api-Key:*");
    check("?access_token=abcdefghijklmnopqrst&x=1", "?access_token=*&x=1");
    check("password: hunter2hunter2; secret = AbcdefghI", "password: *; secret = *");
    check("secret_key=abcdefgh1 secretkey:abcdefgh1", "secret_key=* secretkey:*");
    check("token: Bearer abc", "token: Bearer *");
    check("api_key=sk-abc", "api_key=sk-*");
}

Test(redact, what_is_not_a_key_stays)
{
    check("unexpected token: ')'", "unexpected token: ')'");
    check("unexpected token: identifier", "unexpected token: identifier");
    check("token <NUM> of <NUM>", "token <NUM> of <NUM>");
    check("max_tokens: 4096000000, tokens=1234567890", "max_tokens: 4096000000, tokens=1234567890");
    check("token=\"\" password: wrong", "token=\"\" password: wrong");
    check("no api key given", "no api key given");
    check("mytoken1=abcdefgh9", "mytoken1=abcdefgh9");
}

Test(redact, a_key_that_was_replaced_in_part_is_masked_however_short_the_rest_is)
{
    check("hf_abcdefgh<NUM>", "hf_*");
    check("gsk_a<NUM>", "gsk_*");
    check("token=Ab<NUM>", "token=*");
    check("password: q<UUID>", "password: *");
    check("unexpected token: <NUM>", "unexpected token: <NUM>");
    check("unexpected token: <", "unexpected token: <");
}

Test(redact, an_escaped_character_before_a_key_hides_nothing)
{
    check("{\"e\":\"no such key\\nsk-abc\"}", "{\"e\":\"no such key\\nsk-*\"}");
    check("?q=key%3Dsk-abc", "?q=key%3Dsk-*");
    check("a=\\u003dAIzaSy12", "a=\\u003dAIza*");
    check("access_token%3Dabcdefgh1&x", "access_token%3D*&x");
    check("access token %3aabcdefgh1", "access token %3a*");
    check("Bearer%20abc, bearer=abc, Bearer\tabc, Bearer \"abc\"", "Bearer%20*, bearer=*, Bearer\t*, Bearer \"*\"");
}

Test(redact, other_kinds_of_credentials_are_masked)
{
    check("Authorization: Basic dXNlcjpwYXNz rest", "Authorization: Basic * rest");
    check("basic authentication is required", "basic authentication is required");
    check("authorization=abcdefgh1", "authorization=*");
    check("xai-abcdefghijklmnop pplx-abcdefghijklmnop", "xai-* pplx-*");
    check("nvapi-abcdefghijklmnop r8_abcdefghijklmnop", "nvapi-* r8_*");
    check("ya29.abcdefghijklmnop sk_test_a", "ya29.* sk_test_*");
}

static void check_cut(const char *text, const char *expected)
{
    char copy[256];

    strcpy(copy, text);
    redact_secrets_of_cut(copy);
    cr_assert_str_eq(copy, expected, "%s", copy);
}

Test(redact, what_a_cut_may_have_made_too_short_is_masked)
{
    check_cut("token=a", "token=*");
    check_cut("it is AKI", "it is AKI");
    check_cut("it is AKIAx", "it is AKIA*");
    check_cut("it is AKIAx y", "it is AKIAx y");
    check_cut("hf_ab", "hf_*");
    check_cut("token=", "token=");
    check_cut("", "");
}

Test(redact, masking_twice_changes_nothing_more)
{
    static const char *const texts[] = {"sk-a AKIA1234 Bearer x token=abcdefgh1 ghp_x", "eyJabcdefghijklmnopq",
                                        "token=Bearer sk-a"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char once[256], twice[256];
        strcpy(once, texts[i]);
        redact_secrets(once);
        strcpy(twice, once);
        redact_secrets(twice);
        cr_assert_str_eq(once, twice);
    }
}

/* Were it quadratic, one of these would take hours. */
Test(redact, ten_megabytes_take_linear_time)
{
    static const char *const fillers[] = {"token ",  "token:",     "bearer ", "token=a ", "bearer:", "s-",
                                          "api key", "password\"", "eyJ ",    "AKIA ",    "token",   " "};
    char *text = message_huge_open();

    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        message_huge_fill(text, fillers[i]);
        redact_secrets_of_cut(text);
        cr_assert_leq(strlen(text), MESSAGE_HUGE);
    }
    free(text);
}
