/** A temporary folder of one test. */
#ifndef ED_TEST_FOLDER_H
#define ED_TEST_FOLDER_H

#include <stddef.h>

typedef struct ed_folder {
    char path[256];
} ed_folder;

/** Makes an empty one. @return 0, or -1: as cmocka's setup does. */
int ed_folder_make(ed_folder *folder);

/** Removes it and the files in it. @return 0, or -1. */
int ed_folder_remove(ed_folder *folder);

enum { ED_FILE_PATH_SIZE = 320 };

/** The path of a file in it. @return `path`. */
const char *ed_folder_path(const ed_folder *folder, const char *name, char path[ED_FILE_PATH_SIZE]);

/** Makes a file of the bytes, with exactly these permissions. @return its path, in `path`. */
const char *ed_folder_put(const ed_folder *folder, const char *name, const void *data, size_t size,
                          unsigned mode, char path[ED_FILE_PATH_SIZE]);

#endif
