#include <assert.h>
#include <string.h>

#include <tallybus/base.h>

#include "tools/lines.h"

#define BLOCK_BYTES ((size_t)64 * 1024)
#define BUFFER_BYTES (LINES_MAX_BYTES + BLOCK_BYTES)

static_assert(BLOCK_BYTES <= LINES_MAX_BYTES, "a block must fit behind the longest line that is kept");

#define KIND_MASK 0170000u
#define KIND_DIRECTORY 0040000u
#define KIND_REGULAR 0100000u

/* What kind of file it is, as the mode's KIND_MASK tells; 0 when it can not be told. */
static unsigned file_kind(uv_file file)
{
    uv_fs_t request;
    int error = uv_fs_fstat(NULL, &request, file, NULL);
    unsigned kind = error ? 0 : (unsigned)request.statbuf.st_mode & KIND_MASK;
    uv_fs_req_cleanup(&request);
    return kind;
}

int lines_open(struct lines *lines, const char *path)
{
    *lines = (struct lines){.file = 0};
    if (strcmp(path, "-") != 0) {
        uv_fs_t request;
        lines->file = uv_fs_open(NULL, &request, path, UV_FS_O_RDONLY, 0, NULL);
        uv_fs_req_cleanup(&request);
        if (lines->file < 0)
            return lines->file;
    }
    if (file_kind(lines->file) == KIND_DIRECTORY) {
        lines_close(lines);
        return UV_EISDIR;
    }
    lines->buffer = tbus_mem_alloc(BUFFER_BYTES);
    if (lines->buffer)
        return 0;
    lines_close(lines);
    return UV_ENOMEM;
}

/* Reads a block, at `offset` or, where that is negative, where the last one ended. Returns its length, 0 at the end, or
 * a libuv error code. */
static int read_block(uv_file file, char *block, int64_t offset)
{
    uv_buf_t buffer = uv_buf_init(block, BLOCK_BYTES);
    int count;
    do {
        uv_fs_t request;
        count = uv_fs_read(NULL, &request, file, &buffer, 1, offset, NULL);
        uv_fs_req_cleanup(&request);
    } while (count == UV_EINTR);
    return count;
}

/* Reads one block behind what is there. */
static int fill(struct lines *lines)
{
    memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
    lines->end -= lines->start;
    lines->start = 0;
    assert(lines->end <= LINES_MAX_BYTES);
    int count = read_block(lines->file, lines->buffer + lines->end, -1);
    if (count < 0)
        return count;
    lines->at_end = count == 0;
    lines->end += (size_t)count;
    return 0;
}

int lines_peek(struct lines *lines, const char **ret_text, size_t *ret_length)
{
    if (lines->start == lines->end && !lines->at_end) {
        int error = fill(lines);
        if (error)
            return error;
    }
    *ret_text = lines->buffer + lines->start;
    *ret_length = lines->end - lines->start;
    return 0;
}

/* Hands out `length` bytes, which are a line, and uses up `used`. */
static enum lines_result take(struct lines *lines, size_t length, size_t used, const char **ret_line,
                              size_t *ret_length)
{
    char *line = lines->buffer + lines->start;
    lines->start += used;
    if (lines->number++ == 0 && length >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3;
        length -= 3;
    }
    if (length > 0 && line[length - 1] == '\r')
        length--;
    *ret_line = line;
    *ret_length = length;
    return LINES_LINE;
}

enum lines_result lines_next(struct lines *lines, const char **ret_line, size_t *ret_length, int *ret_error)
{
    bool skipping = false;
    size_t searched = 0; /* of what is there: known to hold no newline */
    for (;;) {
        char *text = lines->buffer + lines->start;
        size_t there = lines->end - lines->start;
        char *newline = memchr(text + searched, '\n', there - searched);
        size_t length = newline ? (size_t)(newline - text) : there;
        if (skipping || length > LINES_MAX_BYTES) {
            skipping = true;
            lines->start += newline ? length + 1 : length;
        }
        if (skipping && (newline || lines->at_end)) {
            lines->number++;
            return LINES_TOO_LONG;
        }
        if (newline)
            return take(lines, length, length + 1, ret_line, ret_length);
        if (lines->at_end)
            return there == 0 ? LINES_END : take(lines, length, length, ret_line, ret_length);
        searched = skipping ? 0 : there;
        *ret_error = fill(lines);
        if (*ret_error)
            return LINES_FAILED;
    }
}

uint64_t lines_count(const struct lines *lines)
{
    uint64_t count = 0;
    int64_t offset = 0;
    int length;
    char *block = file_kind(lines->file) == KIND_REGULAR ? tbus_mem_alloc(BLOCK_BYTES) : NULL;
    if (!block)
        return 0;
    while ((length = read_block(lines->file, block, offset)) > 0) {
        offset += length;
        const char *at = block;
        while ((at = memchr(at, '\n', (size_t)(block + length - at)))) {
            count++;
            at++;
        }
    }
    tbus_mem_free(block);
    return count + 1; /* the last one may lack its newline */
}

void lines_close(struct lines *lines)
{
    if (lines->file > 0) {
        uv_fs_t request;
        uv_fs_close(NULL, &request, lines->file, NULL);
        uv_fs_req_cleanup(&request);
    }
    tbus_mem_free(lines->buffer);
    *lines = (struct lines){.file = 0};
}
