/* What keeps half lines out of the file
 *
 * A write may stop anywhere: the disk is full, a limit is reached. The part of a line that got through is cut off again
 * (ftruncate), and the whole line is the caller's to try again. Where cutting is not possible (a device, an append-only
 * file) the line is completed before anything else is written: `mid_line`.
 *
 * A crash may leave a half line too. It is looked for when a file is opened, and cut off where it begins as a line of a
 * journal does; any other file without an end is left alone, for it is none of ours. */
#include "subscribers/journal_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <tallybus/base.h>

enum { PATH_EXTRA = 16 /* a dot, digits of a uint32_t, NUL */, TAIL_BLOCK = 4096, FILE_MODE = 0600 };

/* --- Calls of libuv that wait --- */

static int stat_path(const char *path, uv_stat_t *ret_stat)
{
    uv_fs_t request;
    int error = uv_fs_stat(NULL, &request, path, NULL);
    *ret_stat = request.statbuf;
    uv_fs_req_cleanup(&request);
    return error;
}

static int rename_path(const char *from, const char *to)
{
    uv_fs_t request;
    int error = uv_fs_rename(NULL, &request, from, to, NULL);
    uv_fs_req_cleanup(&request);
    return error;
}

static int truncate_to(struct journal_file *file, uint64_t size)
{
    uv_fs_t request;
    int error = uv_fs_ftruncate(NULL, &request, file->file, (int64_t)size, NULL);
    uv_fs_req_cleanup(&request);
    return error;
}

static int close_file(struct journal_file *file)
{
    uv_fs_t request;
    if (file->file < 0)
        return 0;
    int error = uv_fs_close(NULL, &request, file->file, NULL);
    uv_fs_req_cleanup(&request);
    file->file = -1;
    return error;
}

static int read_at(struct journal_file *file, uint64_t at, char *bytes, size_t length)
{
    uv_fs_t request;
    uv_buf_t buffer = uv_buf_init(bytes, (unsigned)length);
    int got = uv_fs_read(NULL, &request, file->file, &buffer, 1, (int64_t)at, NULL);
    uv_fs_req_cleanup(&request);
    return got < 0 ? got : (size_t)got == length ? 0 : UV_EIO;
}

/* Writes all of it, or fails with `*ret_written` telling how much got through. */
static int write_all(struct journal_file *file, const char *bytes, size_t length, size_t *ret_written)
{
    for (*ret_written = 0; *ret_written < length;) {
        uv_fs_t request;
        size_t rest = length - *ret_written;
        uv_buf_t buffer = uv_buf_init((char *)bytes + *ret_written, (unsigned)rest);
        int written = uv_fs_write(NULL, &request, file->file, &buffer, 1, -1, NULL);
        uv_fs_req_cleanup(&request);
        if (written <= 0)
            return written < 0 ? written : UV_EIO;
        *ret_written += (size_t)written;
    }
    return 0;
}

static int sync_file(struct journal_file *file)
{
    uv_fs_t request;
    int error = uv_fs_fdatasync(NULL, &request, file->file, NULL);
    uv_fs_req_cleanup(&request);
    return error == UV_EINVAL && !file->is_regular ? 0 : error; /* a device has nothing to wait for */
}

/* --- Opening --- */

/* Where the line that has no end begins; the size where the file ends with a newline. */
static int find_half_line(struct journal_file *file, uint64_t *ret_start)
{
    char block[TAIL_BLOCK];
    uint64_t end = file->size, at = end;
    while (at > 0) {
        if (end - at > JOURNAL_FILE_TAIL_MAX)
            return UV_EINVAL;
        size_t length = at < sizeof block ? (size_t)at : sizeof block;
        int error = read_at(file, at - length, block, length);
        if (error)
            return error;
        for (size_t i = length; i > 0; i--, at--) {
            if (block[i - 1] == '\n') {
                *ret_start = at;
                return 0;
            }
        }
    }
    *ret_start = 0;
    return 0;
}

/* Removes the half line that a crash may have left. A crash of the machine may have left zeroes in its place. */
static int mend_end(struct journal_file *file)
{
    static const char beginning[] = "{\"type\":\"";
    char found[sizeof beginning - 1];
    uint64_t start;
    int error = find_half_line(file, &start);
    if (error || start == file->size)
        return error;
    size_t length = file->size - start < sizeof found ? (size_t)(file->size - start) : sizeof found;
    error = read_at(file, start, found, length);
    if (error)
        return error;
    if (found[0] != '\0' && memcmp(found, beginning, length) != 0)
        return UV_EINVAL;
    error = truncate_to(file, start);
    if (!error)
        file->size = start;
    return error;
}

static int look_at(struct journal_file *file)
{
    uv_fs_t request;
    int error = uv_fs_fstat(NULL, &request, file->file, NULL);
    const uv_stat_t found = request.statbuf;
    uv_fs_req_cleanup(&request);
    if (error)
        return error;
    file->is_regular = S_ISREG(found.st_mode);
    file->size = file->is_regular ? found.st_size : 0;
    file->device = found.st_dev;
    file->inode = found.st_ino;
    return file->is_regular ? mend_end(file) : 0;
}

static int open_file(struct journal_file *file)
{
    uv_stat_t found;
    assert(file->file < 0 && !file->mid_line);
    int error = stat_path(file->path, &found); /* before opening: that of a pipe waits for who reads it */
    if (error && error != UV_ENOENT)
        return error;
    if (!error && !S_ISREG(found.st_mode) && !S_ISCHR(found.st_mode))
        return UV_EINVAL;
    uv_fs_t request;
    int opened = uv_fs_open(NULL, &request, file->path, UV_FS_O_RDWR | UV_FS_O_APPEND | UV_FS_O_CREAT, FILE_MODE, NULL);
    uv_fs_req_cleanup(&request);
    if (opened < 0)
        return opened;
    file->file = opened;
    error = look_at(file);
    if (error)
        close_file(file);
    return error;
}

/* Lets go of a file that is not at its path any more: what went there would be read by no one. */
static void look_for_it(struct journal_file *file)
{
    uv_stat_t found;
    int error = file->file < 0 ? 0 : stat_path(file->path, &found);
    if (file->file < 0 || (error && error != UV_ENOENT && error != UV_ENOTDIR))
        return;
    if (!error && found.st_dev == file->device && found.st_ino == file->inode) {
        file->size = file->is_regular ? found.st_size : 0;
        return;
    }
    close_file(file);
}

int journal_file_init(struct journal_file *file, const char *path, uint64_t rotate_bytes, uint32_t keep, bool sync)
{
    size_t length = strlen(path), room = length + PATH_EXTRA;
    *file =
        (struct journal_file){.path_room = room, .rotate_bytes = rotate_bytes, .keep = keep, .sync = sync, .file = -1};
    file->path = tbus_mem_alloc(3 * room);
    if (!file->path)
        return UV_ENOMEM;
    memcpy(file->path, path, length);
    file->rotated_from = file->path + room;
    file->rotated_to = file->rotated_from + room;
    int error = open_file(file);
    if (error)
        journal_file_fini(file);
    return error;
}

int journal_file_fini(struct journal_file *file)
{
    int error = close_file(file);
    tbus_mem_free(file->path);
    *file = (struct journal_file){.file = -1};
    return error;
}

/* The length of the whole lines in some bytes. */
static size_t whole_lines(const char *bytes, size_t length)
{
    while (length > 0 && bytes[length - 1] != '\n')
        length--;
    return length;
}

/* --- Rotation --- */

static void name_rotated(const struct journal_file *file, char *name, uint32_t number)
{
    snprintf(name, file->path_room, "%s.%" PRIu32, file->path, number);
}

/* Moves path.1 to path.2 and so on, as far as it takes to get path.1 free: a rotation that failed half-way has left a
 * gap, and is gone on with from there, so that trying again pushes no file out. */
static int shift_rotated(struct journal_file *file)
{
    uv_stat_t found;
    uint32_t free_number = 1;
    for (; free_number < file->keep; free_number++) {
        name_rotated(file, file->rotated_to, free_number);
        int error = stat_path(file->rotated_to, &found);
        if (error == UV_ENOENT)
            break;
        if (error)
            return error;
    }
    for (uint32_t number = free_number; number > 1; number--) {
        name_rotated(file, file->rotated_from, number - 1);
        name_rotated(file, file->rotated_to, number);
        int error = rename_path(file->rotated_from, file->rotated_to);
        if (error)
            return error;
    }
    return 0;
}

/* On an error the file that there is goes on, or `file` is -1. */
static int rotate(struct journal_file *file)
{
    assert(file->is_regular && !file->mid_line);
    int error = shift_rotated(file);
    if (error)
        return error;
    name_rotated(file, file->rotated_to, 1);
    int close_error = close_file(file); /* first: not every system renames a file that is open */
    error = rename_path(file->path, file->rotated_to);
    int open_error = open_file(file);
    if (!error)
        file->rotations++;
    return error ? error : open_error ? open_error : close_error;
}

/* How many bytes of the lines, ending with a line, the file has room for: 0 where it has to be rotated first. */
static size_t room_for(const struct journal_file *file, const char *lines, size_t length)
{
    if (file->rotate_bytes == 0 || !file->is_regular || file->mid_line)
        return length;
    uint64_t left = file->size < file->rotate_bytes ? file->rotate_bytes - file->size : 0;
    if (left >= length)
        return length;
    size_t whole = whole_lines(lines, (size_t)left);
    if (whole > 0 || file->size > 0)
        return whole;
    return (size_t)((const char *)memchr(lines, '\n', length) - lines) + 1;
}

/* --- Appending --- */

/* After a write of lines that got no further than `written` bytes: how many of them stay in the file. */
static size_t settle(struct journal_file *file, const char *lines, size_t written)
{
    size_t whole = whole_lines(lines, written), half = written - whole;
    bool began_here = whole > 0 || !file->mid_line; /* the line that is now the last one */
    if (half > 0 && began_here && file->is_regular && truncate_to(file, file->size - half) == 0) {
        file->size -= half;
        file->mid_line = false;
        return whole;
    }
    file->mid_line = half > 0 || !began_here;
    return written;
}

/* What is left of a line whose beginning went with its file. */
static size_t drop_torn(struct journal_file *file, const char *lines, size_t length)
{
    const char *end = memchr(lines, '\n', length);
    assert(end);
    file->mid_line = false;
    file->torn_lines++;
    return (size_t)(end - lines) + 1;
}

static int append_once(struct journal_file *file, const char *lines, size_t length, size_t *ret_taken)
{
    size_t written;
    int error = write_all(file, lines, length, &written);
    file->size += written;
    if (error) {
        *ret_taken = settle(file, lines, written);
    } else {
        file->mid_line = false;
        *ret_taken = length;
    }
    return error;
}

int journal_file_append(struct journal_file *file, const char *lines, size_t length, size_t *ret_taken)
{
    int rotate_error = 0;
    *ret_taken = 0;
    assert(length > 0 && lines[length - 1] == '\n');
    look_for_it(file);
    if (file->file < 0 && file->mid_line)
        *ret_taken = drop_torn(file, lines, length);
    int error = file->file < 0 ? open_file(file) : 0;
    while (!error && *ret_taken < length) {
        const char *rest = lines + *ret_taken;
        size_t taken = room_for(file, rest, length - *ret_taken);
        if (taken == 0 && !rotate_error) {
            rotate_error = rotate(file);
            if (file->file < 0)
                return rotate_error;
            continue;
        }
        /* Rather a file that is too large than events that are lost. */
        error = append_once(file, rest, taken > 0 ? taken : length - *ret_taken, &taken);
        *ret_taken += taken;
    }
    if (!error && file->sync)
        error = sync_file(file);
    return error ? error : rotate_error;
}
