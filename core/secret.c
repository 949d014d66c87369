#include "core/secret.h"

#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/crypto.h"

#ifdef _WIN32

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

#else

#include <sys/mman.h>

#include "core/list.h"
#include "core/thread.h"

/** What stands before the memory that is given out. */
struct head {
    ed_list_node node; /* in `watched` */
    size_t size;       /* of all of it */
};

enum { HEAD_SIZE = 64 }; /* what comes behind it is aligned to that */

static_assert(sizeof(struct head) <= HEAD_SIZE, "the head has room before the memory");

/* --------------------------------------------------------------- where the system does not wipe */

static ed_mutex mutex = ED_MUTEX_STATIC; /* of what follows */
static ed_list watched;                  /* the child of a fork wipes these by itself */
static bool is_watching;

static void before_fork(void)
{
    ed_mutex_lock(&mutex);
}

static void in_parent(void)
{
    ed_mutex_unlock(&mutex);
}

static void in_child(void)
{
    for (ed_list_node *node = ed_list_first(&watched); node != NULL;
         node = ed_list_next(&watched, node)) {
        struct head *head = ED_CONTAINER(node, struct head, node);
        ed_wipe((uint8_t *)head + HEAD_SIZE, head->size - HEAD_SIZE);
    }
    ed_mutex_unlock(&mutex);
}

/** @return whether the child will wipe it. */
static bool watch(struct head *head)
{
    ed_mutex_lock(&mutex);
    if (!is_watching) {
        ed_list_init(&watched);
        is_watching = ed_thread_at_fork(before_fork, in_parent, in_child) == EDDY_OK;
    }
    bool is_watched = is_watching;
    if (is_watched)
        ed_list_push_back(&watched, &head->node);
    ed_mutex_unlock(&mutex);
    return is_watched;
}

static void stop_watching(struct head *head)
{
    ed_mutex_lock(&mutex);
    ed_list_remove(&head->node);
    ed_mutex_unlock(&mutex);
}

/* ------------------------------------------------------------------------------------- memory --
 */

/** An old kernel may not know it. @return whether a child finds zeros there. */
static bool is_wiped_on_fork(void *memory, size_t size)
{
#ifdef MADV_WIPEONFORK
    return madvise(memory, size, MADV_WIPEONFORK) == 0;
#else
    (void)memory, (void)size;
    return false;
#endif
}

void *ed_secret_allocate(size_t size)
{
    size_t all = HEAD_SIZE + size;
    struct head *head = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (head == MAP_FAILED)
        return NULL;
#ifdef MADV_DONTDUMP
    (void)madvise(head, all, MADV_DONTDUMP); // an old kernel may not know that either
#endif
    head->size = all;
    if (is_wiped_on_fork(head, all) || watch(head))
        return (uint8_t *)head + HEAD_SIZE;
    (void)munmap(head, all);
    return NULL;
}

void ed_secret_free(void *memory, size_t size)
{
    if (memory == NULL)
        return;
    struct head *head = (void *)((uint8_t *)memory - HEAD_SIZE);

    if (ed_list_linked(&head->node))
        stop_watching(head);
    (void)munmap(head, HEAD_SIZE + size); // the kernel zeroes pages before anybody gets them again
}

#endif
