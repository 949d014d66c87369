/**
 * Memory for secrets: pages that a core dump leaves out (Linux: MADV_DONTDUMP), and that a forked
 * child finds zeroed (Linux: MADV_WIPEONFORK; elsewhere, and where the kernel is older than that,
 * the child zeroes them itself before fork() returns). Windows: plain memory; nothing forks there.
 * Only pages that are used take real memory.
 */
#ifndef ED_SECRET_H
#define ED_SECRET_H

#include <stddef.h>

/** @return zeroed memory, or NULL. Give it back with ed_secret_free. */
void *ed_secret_allocate(size_t size);

/** Wipes and gives back. NULL is fine. */
void ed_secret_free(void *memory, size_t size);

#endif
