/* SHA-256 (FIPS 180-4) by libcrypto where the build has it, for its speed, and by the code below where it has not: so a
 * key or an error pattern has the same name in every build. The code below is always there, for two cases more:
 * libcrypto may refuse (it allocates inside), and its one-shot call wants all bytes in one piece. */
#include "trackers/digest.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "trackers/utf8_cut.h"

#if defined(TBUS_WITH_CRYPTO) && TBUS_WITH_CRYPTO
#include <openssl/sha.h>
#endif

enum { BLOCK_BYTES = 64, JOINED_MAX = 2048 /* parts up to here are joined on the stack, to be hashed in one shot */ };

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes taken so far */
    unsigned char block[BLOCK_BYTES];
};

static uint32_t rotate_right(uint32_t word, int bits)
{
    return word >> bits | word << (32 - bits);
}

static void expand_block(const unsigned char *block, uint32_t schedule[64])
{
    for (int i = 0; i < 16; i++)
        schedule[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                      (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t early = schedule[i - 15], late = schedule[i - 2];
        schedule[i] = schedule[i - 16] + schedule[i - 7] +
                      (rotate_right(early, 7) ^ rotate_right(early, 18) ^ early >> 3) +
                      (rotate_right(late, 17) ^ rotate_right(late, 19) ^ late >> 10);
    }
}

static void take_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t schedule[64], v[8];

    expand_block(block, schedule);
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t a = v[0], e = v[4];
        uint32_t chosen = (e & v[5]) ^ (~e & v[6]);
        uint32_t majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
        uint32_t first = v[7] + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) + chosen +
                         round_constants[i] + schedule[i];
        uint32_t second = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) + majority;
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += first;
        v[0] = first + second;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

static void take_bytes(struct sha256 *sha, const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        size_t filled = sha->length % BLOCK_BYTES, taken = BLOCK_BYTES - filled;
        if (filled == 0 && length >= BLOCK_BYTES) {
            take_block(sha->state, bytes);
        } else {
            taken = length < taken ? length : taken;
            memcpy(sha->block + filled, bytes, taken);
            if (filled + taken == BLOCK_BYTES)
                take_block(sha->state, sha->block);
        }
        sha->length += taken;
        bytes += taken;
        length -= taken;
    }
}

/* A one bit, zeroes up to 8 bytes before the end of a block, and the length in bits. */
static void finish(struct sha256 *sha)
{
    static const unsigned char padding[BLOCK_BYTES] = {0x80};
    uint64_t bits = sha->length * 8;
    size_t filled = sha->length % BLOCK_BYTES;
    unsigned char tail[8];

    for (int i = 0; i < 8; i++)
        tail[i] = (unsigned char)(bits >> (56 - 8 * i));
    take_bytes(sha, padding, filled < 56 ? 56 - filled : BLOCK_BYTES + 56 - filled);
    take_bytes(sha, tail, sizeof tail);
    assert(sha->length % BLOCK_BYTES == 0);
}

static void write_hex8(uint32_t word, char hex[DIGEST_HEX8_BYTES])
{
    for (int i = 0; i < 8; i++)
        hex[i] = "0123456789abcdef"[word >> (28 - 4 * i) & 15];
    hex[8] = '\0';
}

static struct sha256 hash_parts(const struct digest_part *parts, size_t count)
{
    /* the first 32 bits of the fractional parts of the square roots of the first 8 primes */
    struct sha256 sha = {
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};

    for (size_t i = 0; i < count; i++)
        take_bytes(&sha, parts[i].bytes, parts[i].length);
    finish(&sha);
    return sha;
}

void digest_portable_hex8(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX8_BYTES])
{
    write_hex8(hash_parts(parts, count).state[0], hex);
}

static void portable_bytes(const void *bytes, size_t length, unsigned char digest[DIGEST_BYTES])
{
    struct sha256 sha = hash_parts(&(struct digest_part){bytes, length}, 1);
    for (int i = 0; i < DIGEST_BYTES; i++)
        digest[i] = (unsigned char)(sha.state[i / 4] >> (24 - 8 * (i % 4)));
}

#if defined(TBUS_WITH_CRYPTO) && TBUS_WITH_CRYPTO

void digest_bytes(const void *bytes, size_t length, unsigned char digest[DIGEST_BYTES])
{
    if (!SHA256(length ? bytes : "", length, digest))
        portable_bytes(bytes, length, digest);
}

void digest_hex8(const void *bytes, size_t length, char hex[DIGEST_HEX8_BYTES])
{
    unsigned char digest[DIGEST_BYTES];

    digest_bytes(bytes, length, digest);
    write_hex8((uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3], hex);
}

void digest_parts_hex8(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX8_BYTES])
{
    unsigned char joined[JOINED_MAX];
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        if (parts[i].length > sizeof joined - length) {
            digest_portable_hex8(parts, count, hex);
            return;
        }
        if (parts[i].length)
            memcpy(joined + length, parts[i].bytes, parts[i].length);
        length += parts[i].length;
    }
    digest_hex8(joined, length, hex);
}

#else

void digest_bytes(const void *bytes, size_t length, unsigned char digest[DIGEST_BYTES])
{
    portable_bytes(bytes, length, digest);
}

void digest_hex8(const void *bytes, size_t length, char hex[DIGEST_HEX8_BYTES])
{
    digest_portable_hex8(&(struct digest_part){bytes, length}, 1, hex);
}

void digest_parts_hex8(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX8_BYTES])
{
    digest_portable_hex8(parts, count, hex);
}

#endif

void digest_fit(const char *text, char *to, size_t bytes)
{
    size_t length = strlen(text), kept = length;

    if (length < bytes) {
        to[length] = '\0';
    } else {
        kept = utf8_cut(text, length, bytes - 1 - DIGEST_HEX8_BYTES);
        to[kept] = '~';
        digest_hex8(text, length, to + kept + 1);
    }
    memcpy(to, text, kept);
}
