/** Messages of the program on their way to the core: all calls that send make batches of them. */
#ifndef ED_API_BATCH_H
#define ED_API_BATCH_H

#include "transport/api_state.h"

enum { ED_API_BATCH_MAX = 64 };

/**
 * Sends the first of the messages, as many as go together: one at least, unless it is refused.
 * @param shared of a broadcast, by shard: the copy that all of it share, made when it is needed,
 * and the caller's to give back. NULL: it is none, and each message has a block of its own.
 * @return how many were accepted; `*status` is EDDY_OK, or why the one behind them was not.
 */
size_t ed_api_send_some(eddy_manager *m, const eddy_message *messages, size_t count,
                        ed_block **shared, eddy_status *status);

#endif
