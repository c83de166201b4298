#include <tallybus/base.h>

#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/digest.h"

Test(digest, known_digests)
{
    static const struct {
        const char *text, *hex;
    } known[] = {{"", "e3b0c442"},
                 {"abc", "ba7816bf"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61"}};
    char hex[DIGEST_HEX8_BYTES];

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct digest_part part = {known[i].text, strlen(known[i].text)};
        digest_hex8(part.bytes, part.length, hex);
        cr_assert_str_eq(hex, known[i].hex);
        digest_parts_hex8(&part, 1, hex);
        cr_assert_str_eq(hex, known[i].hex);
        digest_portable_hex8(&part, 1, hex);
        cr_assert_str_eq(hex, known[i].hex);
    }
}

Test(digest, all_its_bytes)
{
    static const unsigned char abc[DIGEST_BYTES] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                                    0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                                    0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    unsigned char digest[DIGEST_BYTES];
    digest_bytes("abc", 3, digest);
    cr_assert_arr_eq(digest, abc, sizeof abc);
    digest_bytes(NULL, 0, digest);
    cr_assert_eq(digest[0], 0xe3);
    cr_assert_eq(digest[DIGEST_BYTES - 1], 0x55);
}

Test(digest, nothing_may_be_null)
{
    char hex[DIGEST_HEX8_BYTES];

    digest_hex8(NULL, 0, hex);
    cr_assert_str_eq(hex, "e3b0c442");
    digest_parts_hex8(NULL, 0, hex);
    cr_assert_str_eq(hex, "e3b0c442");
    digest_parts_hex8(&(struct digest_part){NULL, 0}, 1, hex);
    cr_assert_str_eq(hex, "e3b0c442");
}

Test(digest, a_text_that_does_not_fit_ends_in_its_digest)
{
    enum { BYTES = 40, KEPT_MAX = BYTES - 10 };
    static const struct {
        const char *text; /* said again and again */
        size_t kept;
    } cut[] = {{"a", KEPT_MAX},
               {"ab\xe2\x82\xac", KEPT_MAX},
               {"b\xe2\x82\xac\xe2\x82\xac", KEPT_MAX - 1},
               {"\xf0\x9f\x98\x80", KEPT_MAX - 2},
               {"\x80", KEPT_MAX - 3}};

    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        char text[200] = "", fitted[BYTES], hex[DIGEST_HEX8_BYTES];
        while (strlen(text) < sizeof text - 8) {
            digest_fit(text, fitted, sizeof fitted);
            if (strlen(text) < BYTES) {
                cr_assert_str_eq(fitted, text);
            } else {
                digest_hex8(text, strlen(text), hex);
                cr_assert(memcmp(fitted, text, cut[i].kept) == 0 && fitted[cut[i].kept] == '~', "%s", fitted);
                cr_assert_str_eq(fitted + cut[i].kept + 1, hex);
            }
            strcat(text, cut[i].text);
        }
    }
}

/* A million letters a: the third example of FIPS 180-4, in one part and in parts that straddle every block. */
Test(digest, long_parts_need_no_memory)
{
    enum { LETTERS = 1000000 };
    static char letters[LETTERS];
    struct digest_part parts[3] = {{letters, 37}, {letters, 63}, {letters, LETTERS - 100}};
    char hex[DIGEST_HEX8_BYTES];

    memset(letters, 'a', sizeof letters);
    digest_hex8(letters, LETTERS, hex);
    cr_assert_str_eq(hex, "cdc76e5c");
    digest_parts_hex8(parts, 3, hex);
    cr_assert_str_eq(hex, "cdc76e5c");
    digest_portable_hex8(parts, 3, hex);
    cr_assert_str_eq(hex, "cdc76e5c");
}

/* Every length around the block borders, cut into two parts anywhere, and some past what is joined on the stack. */
Test(digest, all_ways_agree_with_hashlib)
{
    unsigned char bytes[5000];
    uint64_t random = oracle_seed("digest");
    struct oracle oracle;

    oracle_open(&oracle);
    for (size_t length = 0; length < sizeof bytes; length += length < 300 ? 1 : 97) {
        char whole[DIGEST_HEX8_BYTES], parted[DIGEST_HEX8_BYTES], portable[DIGEST_HEX8_BYTES];
        size_t cut = length ? oracle_random(&random) % length : 0;
        struct digest_part parts[2] = {{bytes, cut}, {bytes + cut, length - cut}};

        for (size_t i = 0; i < length; i++)
            bytes[i] = (unsigned char)oracle_random(&random);
        digest_hex8(bytes, length, whole);
        digest_parts_hex8(parts, 2, parted);
        digest_portable_hex8(parts, 2, portable);
        for (size_t i = 0; i < length; i++)
            fprintf(oracle.cases, "%02x", bytes[i]);
        fprintf(oracle.cases, " %s %s %s\n", whole, parted, portable);
        oracle.lines++;
    }
    oracle_check(&oracle, "tests/trackers/digest_oracle.py", "");
}
