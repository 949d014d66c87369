#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

#include "core/base.h"

#ifdef _WIN32
enum { OPEN_FLAGS = O_BINARY | O_NOINHERIT };

// Who may read is not in the mode of a file there: a folder of the user's own keeps others out.
static bool is_exposed(const struct stat *info)
{
    (void)info;
    return false;
}

static bool sync_file(int file)
{
    return _commit(file) == 0;
}
#else
// What is no regular file must not make us wait, nor become our terminal.
enum { OPEN_FLAGS = O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

static bool is_exposed(const struct stat *info)
{
    return (info->st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

static bool sync_file(int file)
{
    return fsync(file) == 0;
}
#endif

enum {
    STEP_SIZE_MAX = 1 << 20, /* what one call reads or writes at most, of the type it counts in */
    MODE_PRIVATE = 0600,
    MODE_SHARED = 0644,
};

/** Fills `data` as far as the file goes. False if it cannot be read. */
static bool read_all(int file, uint8_t *data, size_t capacity, size_t *size)
{
    size_t done = 0;

    while (done < capacity) {
        ssize_t step = read(file, data + done, ed_min_size(capacity - done, STEP_SIZE_MAX));
        if (step < 0 && errno == EINTR)
            continue;
        if (step < 0)
            return false;
        if (step == 0)
            break;
        done += (size_t)step;
    }
    *size = done;
    return true;
}

eddy_status ed_file_read(void *data, size_t capacity, size_t *size, const char *path,
                         ed_file_readers readers)
{
    struct stat info;
    eddy_status status = EDDY_OK;

    int file = path == NULL ? -1 : open(path, O_RDONLY | OPEN_FLAGS);
    if (file < 0)
        return EDDY_EFILE;
    // The open file is looked at, not its name, which may mean another one by then.
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode))
        status = EDDY_EFILE;
    else if (readers == ED_FILE_PRIVATE && is_exposed(&info))
        status = EDDY_EEXPOSED;
    else if (!read_all(file, data, capacity, size))
        status = EDDY_EFILE;
    (void)close(file); // nothing was written that this could lose
    return status;
}

static bool write_all(int file, const uint8_t *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t step = write(file, data + done, ed_min_size(size - done, STEP_SIZE_MAX));
        if (step < 0 && errno == EINTR)
            continue;
        if (step <= 0)
            return false;
        done += (size_t)step;
    }
    return true;
}

eddy_status ed_file_write_new(const char *path, const void *data, size_t size,
                              ed_file_readers readers)
{
    int mode = readers == ED_FILE_SHARED ? MODE_SHARED : MODE_PRIVATE;

    int file = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | OPEN_FLAGS, mode);
    if (file < 0)
        return EDDY_EFILE;
    bool written = write_all(file, data, size) && sync_file(file);
    if (close(file) == 0 && written)
        return EDDY_OK;
    (void)remove(path); // it is new, so it is ours
    return EDDY_EFILE;
}
