/* Lines of a file in bounded memory, whatever the file. */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#define LINES_MAX_BYTES ((size_t)1024 * 1024) /* longer lines are skipped */

struct lines {
    uv_file file;
    char *buffer;
    size_t start, end; /* what has been read and not yet handed out */
    uint64_t number;   /* of the line handed out last, from 1 */
    bool at_end;
};

enum lines_result {
    LINES_LINE,
    LINES_TOO_LONG, /* a line longer than LINES_MAX_BYTES was skipped; the lines behind it follow */
    LINES_END,
    LINES_FAILED
};

/* Opens a file ("-" = standard input) for reading by lines_next(). Returns 0 or a libuv error code; UV_EISDIR for a
 * directory. */
int lines_open(struct lines *lines, const char *path);

/* What the file begins with: at most the first block. Nothing is used up. `*ret_length` 0 means an empty file. */
int lines_peek(struct lines *lines, const char **ret_text, size_t *ret_length);

/* The next line without its newline and a carriage return before it; not NUL-terminated, valid until the next call.
 * A mark of byte order at the beginning of the file is left out. LINES_FAILED puts a libuv error code into
 * `*ret_error`. */
enum lines_result lines_next(struct lines *lines, const char **ret_line, size_t *ret_length, int *ret_error);

/* Lines of the whole file, counted ahead without using any up; 0 where it is no regular file. */
uint64_t lines_count(const struct lines *lines);

void lines_close(struct lines *lines);

#endif
