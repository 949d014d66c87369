/**
 * Looks host names up on threads of their own. A look-up may take longer than its manager lives: so
 * nobody waits for such a thread, and all that it touches goes away with the last of them.
 */
#ifndef ED_RESOLVER_H
#define ED_RESOLVER_H

#include "core/eddy.h"

typedef struct ed_resolver ed_resolver;

/**
 * Takes a result: the addresses that were found, which it may change. Any thread; never after
 * ed_resolver_close.
 */
typedef void (*ed_resolver_done)(void *context, eddy_connection connection, eddy_address *addresses,
                                 size_t count);

/**
 * @param allocator outlives the last look-up: the program's own may not.
 * @param how NULL: the operating system's. Copied. @return NULL out of memory.
 */
ed_resolver *ed_resolver_create(const eddy_allocator *allocator, const eddy_resolver *how,
                                ed_resolver_done done, void *done_context);

/** From here on nobody is told anything; what goes on goes on. Never waits. NULL is fine. */
void ed_resolver_close(ed_resolver *resolver);

/**
 * Begins to look up "HOST:PORT", which is copied; `done` gets the result.
 * @return EDDY_OK, EDDY_ENOMEM or EDDY_ESYSTEM, and then it gets none.
 */
EDDY_MUST_CHECK eddy_status ed_resolver_start(ed_resolver *resolver, const char *host_port,
                                              eddy_connection connection);

/** Whether a result is still to come; when it says no, all have been taken. */
bool ed_resolver_is_busy(const ed_resolver *resolver);

#endif
