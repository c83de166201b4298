/* A VFS of SQLite in front of the usual one, which lets one operation that changes a file fail: write, sync, truncate,
 * delete, opening, growing the shared memory. It is SQLite's default from faulty_vfs_install() on, for this process. */
#ifndef TESTS_FAULTY_VFS_H
#define TESTS_FAULTY_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#include "tests/check.h"

static struct {
    sqlite3_vfs *usual;
    long fail_at;      /* the operation that fails: 0 = the first; -1 = none */
    bool keep_failing; /* and all after it */
    int code;          /* what fails so; 0 = the operation's own kind of I/O error */
    long calls, failed;
} faulty = {.fail_at = -1};

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *usual; /* behind this struct */
};

static inline bool faulty_refuses(void)
{
    long call = faulty.calls++;
    if (faulty.fail_at < 0 || call < faulty.fail_at || (call > faulty.fail_at && !faulty.keep_failing))
        return false;
    faulty.failed++;
    return true;
}

static inline int faulty_code(int kind)
{
    return faulty.code ? faulty.code : kind;
}

#define FAULTY_FILE(file) (((struct faulty_file *)(file))->usual)
#define FAULTY_CALL(file, method, ...) FAULTY_FILE(file)->pMethods->method(FAULTY_FILE(file), __VA_ARGS__)
#define FAULTY_ASK(file, method) FAULTY_FILE(file)->pMethods->method(FAULTY_FILE(file))

static inline int faulty_close(sqlite3_file *file)
{
    return FAULTY_ASK(file, xClose);
}

static inline int faulty_read(sqlite3_file *file, void *to, int bytes, sqlite3_int64 at)
{
    return FAULTY_CALL(file, xRead, to, bytes, at);
}

/* A write that fails has been done by half. */
static inline int faulty_write(sqlite3_file *file, const void *from, int bytes, sqlite3_int64 at)
{
    if (!faulty_refuses())
        return FAULTY_CALL(file, xWrite, from, bytes, at);
    if (bytes > 1)
        (void)FAULTY_CALL(file, xWrite, from, bytes / 2, at);
    return faulty_code(SQLITE_IOERR_WRITE);
}

static inline int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return faulty_refuses() ? faulty_code(SQLITE_IOERR_TRUNCATE) : FAULTY_CALL(file, xTruncate, size);
}

static inline int faulty_sync(sqlite3_file *file, int flags)
{
    return faulty_refuses() ? faulty_code(SQLITE_IOERR_FSYNC) : FAULTY_CALL(file, xSync, flags);
}

static inline int faulty_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return FAULTY_CALL(file, xFileSize, size);
}

static inline int faulty_lock(sqlite3_file *file, int lock)
{
    return FAULTY_CALL(file, xLock, lock);
}

static inline int faulty_unlock(sqlite3_file *file, int lock)
{
    return FAULTY_CALL(file, xUnlock, lock);
}

static inline int faulty_is_reserved(sqlite3_file *file, int *result)
{
    return FAULTY_CALL(file, xCheckReservedLock, result);
}

static inline int faulty_control(sqlite3_file *file, int what, void *argument)
{
    return FAULTY_CALL(file, xFileControl, what, argument);
}

static inline int faulty_sector(sqlite3_file *file)
{
    return FAULTY_ASK(file, xSectorSize);
}

static inline int faulty_device(sqlite3_file *file)
{
    return FAULTY_ASK(file, xDeviceCharacteristics);
}

static inline int faulty_shm_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **at)
{
    return extend && faulty_refuses() ? faulty_code(SQLITE_IOERR_SHMSIZE)
                                      : FAULTY_CALL(file, xShmMap, page, bytes, extend, at);
}

static inline int faulty_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return FAULTY_CALL(file, xShmLock, offset, count, flags);
}

static inline void faulty_shm_barrier(sqlite3_file *file)
{
    FAULTY_ASK(file, xShmBarrier);
}

static inline int faulty_shm_unmap(sqlite3_file *file, int also_delete)
{
    return FAULTY_CALL(file, xShmUnmap, also_delete);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_is_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_device,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static inline int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct faulty_file *own = (struct faulty_file *)file;
    (void)vfs;
    memset(own, 0, sizeof *own);
    own->usual = (sqlite3_file *)(own + 1);
    if (faulty_refuses())
        return faulty_code(SQLITE_CANTOPEN);
    int code = faulty.usual->xOpen(faulty.usual, name, own->usual, flags, ret_flags);
    own->base.pMethods = own->usual->pMethods ? &faulty_methods : NULL;
    return code;
}

static inline int faulty_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    return faulty_refuses() ? faulty_code(SQLITE_IOERR_DELETE) : faulty.usual->xDelete(faulty.usual, name, sync);
}

static inline void faulty_vfs_install(void)
{
    static sqlite3_vfs vfs;
    faulty.usual = sqlite3_vfs_find(NULL);
    cr_assert_not_null(faulty.usual);
    vfs = *faulty.usual; /* what is not about files that change is the usual one's */
    vfs.pNext = NULL;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct faulty_file) + faulty.usual->szOsFile;
    vfs.xOpen = faulty_open;
    vfs.xDelete = faulty_delete;
    cr_assert_eq(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

static inline void faulty_fail_at(long call, bool keep_failing, int code)
{
    faulty.fail_at = call;
    faulty.keep_failing = keep_failing;
    faulty.code = code;
    faulty.calls = faulty.failed = 0;
}

#endif
