/* pack OUTPUT PAGE.html STYLE.css SCRIPT.js...: runs when the library is built. Puts the style and the scripts, one
 * behind the other, in the places that the page has for them, and writes the page and its policy as C. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trackers/digest.h"

enum { PER_LINE = 20, HASH_TEXT_BYTES = (DIGEST_BYTES + 2) / 3 * 4 + 1 };

struct piece {
    char *bytes;
    size_t length;
};

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "pack: %s: %s\n", what, name);
    exit(1);
}

static void append(struct piece *piece, const char *bytes, size_t length)
{
    char *grown = realloc(piece->bytes, piece->length + length + 1);
    if (!grown)
        fail("no memory", "");
    memcpy(grown + piece->length, bytes, length);
    grown[piece->length + length] = '\0';
    piece->bytes = grown;
    piece->length += length;
}

static void append_file(struct piece *piece, const char *name)
{
    char buffer[8192];
    size_t got;
    FILE *file = fopen(name, "rb");
    if (!file)
        fail("can not be read", name);
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        append(piece, buffer, got);
    if (ferror(file))
        fail("can not be read", name);
    fclose(file);
}

/* A style or script, on a line of its own. A carriage return would be gone from what a browser hashes; "</" may end the
 * element, and "<!--" hide its end. */
static void append_embedded(struct piece *piece, const char *name)
{
    size_t begin = piece->length;
    append(piece, "\n", 1);
    append_file(piece, name);
    const char *text = piece->bytes + begin;
    if (strlen(text) != piece->length - begin || strchr(text, '\r') || strstr(text, "</") || strstr(text, "<!--"))
        fail("has a NUL, a carriage return, \"</\" or \"<!--\"", name);
}

/* As a policy names it: the base64 of its SHA-256. */
static void hash(const struct piece *piece, char text[HASH_TEXT_BYTES])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char digest[DIGEST_BYTES + 1] = {0}; /* whole groups of three */
    digest_bytes(piece->bytes, piece->length, digest);
    for (size_t i = 0; i < DIGEST_BYTES; i += 3) {
        unsigned long group = (unsigned long)digest[i] << 16 | (unsigned long)digest[i + 1] << 8 | digest[i + 2];
        for (int j = 0; j < 4; j++)
            *text++ = letters[group >> (18 - 6 * j) & 63];
    }
    text[-1] = '='; /* 32 bytes leave one place of the last four empty */
    *text = '\0';
}

/* The page up to `mark`, which must stand in it, and `filling` in its place. Returns what follows. */
static const char *add_up_to(struct piece *page, const char *from, const char *mark, const struct piece *filling)
{
    const char *at = strstr(from, mark);
    if (!at)
        fail("the page has no place for it", mark);
    append(page, from, (size_t)(at - from));
    append(page, filling->bytes, filling->length);
    return at + strlen(mark);
}

static void write_c(FILE *out, const struct piece *page, const char *style_hash, const char *script_hash)
{
    fputs("/* Made by pack.c. */\n#include \"exporters/dashboard/page.h\"\n\nconst unsigned char dashboard_page[] = {",
          out);
    for (size_t i = 0; i < page->length; i++)
        fprintf(out, "%s%d,", i % PER_LINE ? "" : "\n    ", (unsigned char)page->bytes[i]);
    fprintf(out, "\n};\nconst size_t dashboard_page_bytes = %zu;\n\n", page->length);
    fprintf(out,
            "const char dashboard_policy[] =\n"
            "    \"default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; \"\n"
            "    \"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \"\n"
            "    \"require-trusted-types-for 'script'; trusted-types 'none'\";\n",
            script_hash, style_hash);
}

int main(int argc, char **argv)
{
    struct piece html = {0}, style = {0}, script = {0}, page = {0};
    char style_hash[HASH_TEXT_BYTES], script_hash[HASH_TEXT_BYTES];
    if (argc < 5)
        fail("usage", "pack OUTPUT PAGE.html STYLE.css SCRIPT.js...");
    append_file(&html, argv[2]);
    append_embedded(&style, argv[3]);
    for (int i = 4; i < argc; i++)
        append_embedded(&script, argv[i]);
    hash(&style, style_hash);
    hash(&script, script_hash);
    const char *rest = add_up_to(&page, html.bytes, "@style@", &style);
    rest = add_up_to(&page, rest, "@script@", &script);
    append(&page, rest, strlen(rest));
    FILE *out = fopen(argv[1], "wb");
    if (!out)
        fail("can not be written", argv[1]);
    write_c(out, &page, style_hash, script_hash);
    if (fclose(out) != 0)
        fail("can not be written", argv[1]);
    free(html.bytes);
    free(style.bytes);
    free(script.bytes);
    free(page.bytes);
    return 0;
}
