/**
 * A message that arrives in parts: kept in pages that are taken as they are first written to, so
 * that nobody can make us hold much more than was sent, and copied together when it is complete.
 */
#ifndef ED_FRAGMENT_H
#define ED_FRAGMENT_H

#include "core/pool.h"
#include "transport/credit.h"
#include "transport/frame.h"

typedef struct ed_assembly {
    ed_list_node node; /* its holder's */
    ed_pool *pool;
    ed_block *table; /* of pointers to pages, or NULL where nothing was written; NULL: none yet */
    uint32_t page_capacity;
    uint32_t size;     /* of the whole message */
    uint32_t end;      /* where the part that reaches furthest ends; its holder's */
    uint32_t missing;  /* units that have not come */
    uint64_t since_ns; /* its holder's: since when nothing here keeps it from coming */
} ed_assembly;

void ed_assembly_init(ed_assembly *assembly, ed_pool *pool, uint32_t size);

/** Gives the pages back. */
void ed_assembly_free(ed_assembly *assembly);

/** Whether the frame can be a part of this message. */
bool ed_assembly_fits(const ed_assembly *assembly, const ed_message_frame *part);

/**
 * Takes a part that fits. What has come before changes nothing.
 * @return EDDY_OK; EDDY_EEXIST if all of it was here; or EDDY_ENOMEM, and then it may be sent
 * again.
 */
EDDY_MUST_CHECK eddy_status ed_assembly_add(ed_assembly *assembly, const ed_message_frame *part);

static inline bool ed_assembly_is_complete(const ed_assembly *assembly)
{
    return assembly->missing == 0;
}

/** Copies a complete message into one block. @return NULL out of memory: it stays as it is. */
ed_block *ed_assembly_join(const ed_assembly *assembly);

#endif
