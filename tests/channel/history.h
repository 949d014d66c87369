/**
 * What threads did to a channel, and whether there is an order in which one thread could have done
 * the same (Wing and Gong): each call takes effect at one moment between its beginning and its end.
 * For few calls: all orders are tried.
 */
#ifndef ED_TEST_HISTORY_H
#define ED_TEST_HISTORY_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base.h"
#include "core/eddy.h"

enum {
    HISTORY_CALLS_MAX = 16,
    HISTORY_BATCH_MAX = 4,
    HISTORY_ITEMS_MAX = HISTORY_CALLS_MAX * HISTORY_BATCH_MAX,
};

typedef enum call_kind {
    CALL_PUSH,
    CALL_PULL,
    CALL_CLOSE,
    CALL_LEAVE_SENDERS,
    CALL_LEAVE_RECEIVERS,
} call_kind;

typedef struct call {
    call_kind kind;
    eddy_status status;
    size_t count; /* pushed or pulled */
    uint32_t items[HISTORY_BATCH_MAX];
    uint64_t began; /* moments of a clock that all threads share */
    uint64_t ended;
} call;

typedef struct history {
    call calls[HISTORY_CALLS_MAX];
    size_t count;
    size_t capacity; /* of the channel; 0: unbounded */
    size_t senders;  /* at first */
    size_t receivers;
} history;

/** A channel as it is meant: what a thread alone would see. */
typedef struct meant {
    uint32_t items[HISTORY_ITEMS_MAX];
    size_t head;
    size_t tail;
    size_t senders;
    size_t receivers;
    bool closed;
} meant;

static inline bool meant_push(const history *h, meant *m, const call *c)
{
    size_t length = m->tail - m->head;
    bool fits = h->capacity == 0 || length + c->count <= h->capacity;

    if (m->closed || !fits)
        return c->status == (m->closed ? EDDY_ECLOSED : EDDY_EAGAIN);
    if (c->status != EDDY_OK)
        return false;
    memcpy(m->items + m->tail, c->items, c->count * sizeof(c->items[0]));
    m->tail += c->count;
    return true;
}

static inline bool meant_pull(meant *m, const call *c)
{
    if (m->tail == m->head)
        return c->status == (m->closed ? EDDY_ECLOSED : EDDY_EAGAIN);
    if (c->status != EDDY_OK || c->count > m->tail - m->head)
        return false;
    bool same = memcmp(m->items + m->head, c->items, c->count * sizeof(c->items[0])) == 0;
    m->head += c->count;
    return same;
}

/** @return whether the call could have done what it did, next. */
static inline bool meant_do(const history *h, meant *m, const call *c)
{
    switch (c->kind) {
    case CALL_PUSH:
        return meant_push(h, m, c);
    case CALL_PULL:
        return meant_pull(m, c);
    case CALL_CLOSE:
        m->closed = true;
        return true;
    case CALL_LEAVE_SENDERS:
        m->closed |= --m->senders == 0;
        return true;
    case CALL_LEAVE_RECEIVERS:
        m->closed |= --m->receivers == 0;
        return true;
    }
    return false;
}

/** Whether a call that is not done yet ended before this one began. */
static inline bool is_too_early(const history *h, uint32_t done, const call *c)
{
    for (size_t i = 0; i < h->count; i++)
        if ((done >> i & 1) == 0 && h->calls[i].ended < c->began)
            return true;
    return false;
}

/** @return whether the calls that are not done have an order, from here on. */
static inline bool has_order(const history *h, uint32_t done, const meant *now)
{
    if (done == (UINT32_C(1) << h->count) - 1)
        return true;
    for (size_t i = 0; i < h->count; i++) {
        meant next = *now;
        if ((done >> i & 1) == 0 && !is_too_early(h, done, &h->calls[i]) &&
            meant_do(h, &next, &h->calls[i]) && has_order(h, done | UINT32_C(1) << i, &next))
            return true;
    }
    return false;
}

static inline bool history_is_linear(const history *h)
{
    meant empty = {.senders = h->senders, .receivers = h->receivers};

    return has_order(h, 0, &empty);
}

/** For who has to find out what went wrong. */
static inline void history_print(const history *h)
{
    static const char *const names[] = {"push", "pull", "close", "sender leaves",
                                        "receiver leaves"};

    for (size_t i = 0; i < h->count; i++) {
        const call *c = &h->calls[i];
        fprintf(stderr, "%s %s", names[c->kind], eddy_status_name(c->status));
        for (size_t k = 0; k < c->count; k++)
            fprintf(stderr, " %u", c->items[k]);
        fprintf(stderr, " from %llu to %llu\n", (unsigned long long)c->began,
                (unsigned long long)c->ended);
    }
}

#endif
