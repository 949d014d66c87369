/** Small files that may hold a secret: the only place where the library touches files. */
#ifndef ED_FILE_H
#define ED_FILE_H

#include "core/eddy_base.h"

/** Who may read a file. */
typedef enum ed_file_readers {
    ED_FILE_PRIVATE = 1, /* its owner */
    ED_FILE_SHARED = 2,  /* everybody */
} ed_file_readers;

/**
 * Reads the first `capacity` bytes of a regular file; `*size` says how many there were.
 * @return EDDY_OK; EDDY_EFILE; EDDY_EEXPOSED if it should be private and is not (never where files
 * have no such permissions). On failure `*size` is untouched, and `data` may be written to.
 */
EDDY_MUST_CHECK eddy_status ed_file_read(void *data, size_t capacity, size_t *size,
                                         const char *path, ed_file_readers readers);

/**
 * Makes a new file of the bytes, safely on its disk. One that exists is never touched.
 * @return EDDY_OK, or EDDY_EFILE: then there is no new file.
 */
EDDY_MUST_CHECK eddy_status ed_file_write_new(const char *path, const void *data, size_t size,
                                              ed_file_readers readers);

#endif
