/**
 * A message that arrives in parts. What has come is kept in pages, each as large as what is in it,
 * so that nobody can make us hold much more than was sent; it is copied together when it is
 * complete.
 */
#ifndef ED_FRAGMENT_H
#define ED_FRAGMENT_H

#include "core/list.h"
#include "core/pool.h"
#include "transport/credit.h"
#include "transport/frame.h"

enum { ED_ASSEMBLY_PAGES_FEW = 2 }; /* a part lies on one page, or on two */

/** ED_PAGE_UNITS units that stand one behind the other in the message. */
typedef struct ed_page {
    uint8_t *units; /* those that are here, packed, in their order */
    uint32_t number;
    uint16_t here; /* a bit for each unit */
    uint16_t next; /* of those with the same place in the table */
} ed_page;

typedef struct ed_assembly {
    ed_list_node node; /* its holder's */
    uint64_t since_ns; /* its holder's: since when nothing here keeps it from coming */
    uint8_t *tail;     /* what is behind the last whole unit, once it is here */
    uint32_t size;     /* of the whole message */
    uint32_t end;      /* where the part that reaches furthest ends; its holder's */
    uint32_t missing;  /* units that have not come, the tail among them */
    uint16_t page_count;
    uint16_t sequence; /* its holder's */
    union {            /* the pages in the order in which they came */
        ed_page few[ED_ASSEMBLY_PAGES_FEW];
        ed_page *many; /* and behind them a table of where to find which */
    };
} ed_assembly;

void ed_assembly_init(ed_assembly *assembly, uint32_t size);

/** Gives the pages back. */
void ed_assembly_free(ed_assembly *assembly, ed_pool *pool);

/** Whether the frame can be a part of this message. */
bool ed_assembly_fits(const ed_assembly *assembly, const ed_message_frame *part);

/**
 * Takes a part that fits. What has come before changes nothing.
 * @return EDDY_OK; EDDY_EEXIST if all of it was here; or EDDY_ENOMEM, and then it is to be sent
 * again, although some of it may be here now.
 */
EDDY_MUST_CHECK eddy_status ed_assembly_add(ed_assembly *assembly, ed_pool *pool,
                                            const ed_message_frame *part);

static inline bool ed_assembly_is_complete(const ed_assembly *assembly)
{
    return assembly->missing == 0;
}

/** Copies a complete message into one block. @return NULL out of memory: it stays as it is. */
ed_block *ed_assembly_join(const ed_assembly *assembly, ed_pool *pool);

#endif
