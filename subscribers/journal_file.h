/* The file of a journal: takes whole lines, keeps only whole lines, and makes room for itself by rotation. All calls
 * block; one thread at a time. */
#ifndef SUBSCRIBERS_JOURNAL_FILE_H
#define SUBSCRIBERS_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#define JOURNAL_FILE_TAIL_MAX ((size_t)1024 * 1024) /* of a half line at the end of a file; a longer one is no line */

struct journal_file {
    char *path;                      /* [const after open] */
    char *rotated_from, *rotated_to; /* room for two more paths */
    size_t path_room;                /* of each of these */
    uint64_t rotate_bytes;
    uint32_t keep;
    bool sync;

    uv_file file; /* -1 = it has to be opened */
    bool is_regular;
    bool
        mid_line; /* the last line in the file is a half one that could not be taken back: its rest has to come first */
    uint64_t size, device, inode;

    uint64_t rotations;
    uint64_t torn_lines; /* lines whose second half came to nothing, for its file was gone */
};

/* Takes copies; opens the file. Errors: as tbus_journal_open(). */
int journal_file_init(struct journal_file *file, const char *path, uint64_t rotate_bytes, uint32_t keep, bool sync);

/* Appends lines, each with its newline, behind what the file has. `*ret_taken` bytes of them are done with, also when
 * there is an error; they end with a line unless `mid_line` says otherwise. Opens the file where that is needed. */
int journal_file_append(struct journal_file *file, const char *lines, size_t length, size_t *ret_taken);

/* Closes the file and frees what belongs to it; a zeroed struct whose `file` is -1 is allowed. */
int journal_file_fini(struct journal_file *file);

#endif
