#include "tests/support/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base.h"

int ed_folder_make(ed_folder *folder)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(folder->path, sizeof(folder->path), "%s/eddy-XXXXXX",
                   base == NULL ? "/tmp" : base);
    return mkdtemp(folder->path) == NULL ? -1 : 0;
}

int ed_folder_remove(ed_folder *folder)
{
    DIR *listing = opendir(folder->path);

    if (listing == NULL)
        return -1;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        char path[ED_FILE_PATH_SIZE];
        if (entry->d_name[0] != '.')
            (void)remove(ed_folder_path(folder, entry->d_name, path));
    }
    (void)closedir(listing);
    return rmdir(folder->path);
}

const char *ed_folder_path(const ed_folder *folder, const char *name, char path[ED_FILE_PATH_SIZE])
{
    int size = snprintf(path, ED_FILE_PATH_SIZE, "%s/%s", folder->path, name);

    ED_ASSERT(size > 0 && size < ED_FILE_PATH_SIZE);
    return path;
}

const char *ed_folder_put(const ed_folder *folder, const char *name, const void *data, size_t size,
                          unsigned mode, char path[ED_FILE_PATH_SIZE])
{
    int file = open(ed_folder_path(folder, name, path), O_WRONLY | O_CREAT | O_EXCL, 0600);

    ED_ASSERT(file >= 0);
    ssize_t written = write(file, data, size);
    ED_ASSERT(written == (ssize_t)size);
    int failed = fchmod(file, (mode_t)mode); // whatever the umask is
    ED_ASSERT(failed == 0);
    (void)close(file);
    return path;
}
