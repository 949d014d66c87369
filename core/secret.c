#include "core/secret.h"

#include "core/alloc.h"
#include "core/crypto.h"

#ifdef __linux__
#include <sys/mman.h>

void *ed_secret_allocate(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    // An old kernel may not know them: it does without.
    (void)madvise(memory, size, MADV_DONTDUMP);
    (void)madvise(memory, size, MADV_WIPEONFORK);
    return memory;
}

void ed_secret_free(void *memory, size_t size)
{
    if (memory != NULL)
        (void)munmap(memory, size); // the kernel zeroes pages before anybody gets them again
}

#else

void *ed_secret_allocate(size_t size)
{
    return ed_alloc_zeroed(ed_alloc_default(), size);
}

void ed_secret_free(void *memory, size_t size)
{
    if (memory == NULL)
        return;
    ed_wipe(memory, size);
    ed_alloc_free(ed_alloc_default(), memory, size);
}

#endif
