#include "transport/resolver.h"

#include <stdatomic.h>
#include <string.h>

#include "core/addr.h"
#include "core/alloc.h"
#include "core/base.h"
#include "core/thread.h"
#include "transport/resolve.h"

enum { FOUND_MAX = 16 }; /* addresses of a name that are looked at */

struct ed_resolver {
    eddy_allocator allocator;
    eddy_resolver how;
    ed_mutex mutex;         /* of what follows */
    _Atomic size_t holders; /* look-ups that go on, and whoever has not closed it */
    bool is_closed;
    ed_resolver_done done;
    void *done_context;
};

/** One look-up. */
struct job {
    ed_thread thread;
    ed_resolver *resolver;
    eddy_connection connection;
    size_t size; /* of the whole job */
    char host_port[];
};

static eddy_status ask_system(void *context, const char *host_port, eddy_address *addresses,
                              size_t capacity, size_t *count)
{
    (void)context;
    return ed_resolve(host_port, addresses, capacity, count);
}

ed_resolver *ed_resolver_create(const eddy_allocator *allocator, const eddy_resolver *how,
                                ed_resolver_done done, void *done_context)
{
    ed_resolver *resolver = ed_alloc_zeroed(allocator, sizeof(*resolver));

    if (resolver == NULL)
        return NULL;
    *resolver = (ed_resolver){.allocator = *allocator,
                              .how = {.resolve = ask_system},
                              .holders = 1,
                              .done = done,
                              .done_context = done_context};
    if (how != NULL)
        resolver->how = *how;
    if (ed_mutex_init(&resolver->mutex) == EDDY_OK)
        return resolver;
    ed_alloc_free(allocator, resolver, sizeof(*resolver));
    return NULL;
}

/** One holder leaves, with the mutex held; the last takes everything along. */
static void leave_locked(ed_resolver *resolver)
{
    eddy_allocator allocator = resolver->allocator;

    size_t before = atomic_fetch_sub(&resolver->holders, 1);
    ED_ASSERT(before > 0);
    ed_mutex_unlock(&resolver->mutex);
    if (before > 1)
        return;
    ed_mutex_destroy(&resolver->mutex);
    ed_alloc_free(&allocator, resolver, sizeof(*resolver));
}

void ed_resolver_close(ed_resolver *resolver)
{
    if (resolver == NULL)
        return;
    ed_mutex_lock(&resolver->mutex);
    ED_ASSERT(!resolver->is_closed);
    resolver->is_closed = true;
    leave_locked(resolver);
}

/** Asked at each poll: without the mutex. Who leaves has told its result before. */
bool ed_resolver_is_busy(const ed_resolver *resolver)
{
    return atomic_load(&resolver->holders) > 1;
}

/* -------------------------------------------------------------------------------- a look-up -- */

/** Asks, and leaves out what is none to connect to: an own resolver may say anything. */
static size_t look_up(const struct job *job, eddy_address found[FOUND_MAX])
{
    const eddy_resolver *how = &job->resolver->how;
    size_t count = 0;
    size_t good = 0;

    memset(found, 0, FOUND_MAX * sizeof(*found));
    if (how->resolve(how->context, job->host_port, found, FOUND_MAX, &count) != EDDY_OK)
        return 0;
    for (size_t i = 0; i < ed_min_size(count, FOUND_MAX); i++)
        if (ed_addr_valid(&found[i]) && found[i].port != 0)
            found[good++] = found[i];
    return good;
}

static void run_job(void *context)
{
    struct job *job = context;
    ed_resolver *resolver = job->resolver;
    eddy_allocator allocator = resolver->allocator;
    eddy_address found[FOUND_MAX];
    size_t count = look_up(job, found);

    ed_mutex_lock(&resolver->mutex);
    if (!resolver->is_closed)
        resolver->done(resolver->done_context, job->connection, found, count);
    ed_alloc_free(&allocator, job, job->size);
    leave_locked(resolver);
}

eddy_status ed_resolver_start(ed_resolver *resolver, const char *host_port,
                              eddy_connection connection)
{
    size_t text_size = strlen(host_port) + 1;
    struct job *job = ed_alloc_zeroed(&resolver->allocator, sizeof(*job) + text_size);

    if (job == NULL)
        return EDDY_ENOMEM;
    job->resolver = resolver;
    job->connection = connection;
    job->size = sizeof(*job) + text_size;
    memcpy(job->host_port, host_port, text_size);
    ed_mutex_lock(&resolver->mutex);
    ED_ASSERT(!resolver->is_closed);
    (void)atomic_fetch_add(&resolver->holders, 1);
    ed_mutex_unlock(&resolver->mutex);
    eddy_status status = ed_thread_start_detached(&job->thread, "eddy-resolve", run_job, job);
    if (status == EDDY_OK)
        return EDDY_OK;
    ed_alloc_free(&resolver->allocator, job, job->size);
    ed_mutex_lock(&resolver->mutex);
    leave_locked(resolver);
    return status;
}
