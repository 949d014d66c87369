/**
 * Alarms by their time: any number, setting and clearing one in constant time. Never early, in the
 * order of their times, then of their setting, and up to ED_WHEEL_TICK_NS late. A wheel of slots
 * for each size of step, each 64 times as coarse as the one before; an alarm moves down as its time
 * comes near, at most once a wheel. (core/deadline.h is exact, and takes longer the more there
 * are.)
 */
#ifndef ED_WHEEL_H
#define ED_WHEEL_H

#include "core/list.h"

enum {
    ED_WHEEL_TICK_BITS = 16, /* 65,536 ns */
    ED_WHEEL_TICK_NS = 1 << ED_WHEEL_TICK_BITS,
    ED_WHEEL_SLOT_BITS = 6,
    ED_WHEEL_SLOTS = 1 << ED_WHEEL_SLOT_BITS,
    ED_WHEEL_LEVELS = 9, /* 64 bits of ns above the tick, rounded up */
};

/** Zeroed or cleared: not set. Stays where it is while it is set. */
typedef struct ed_alarm {
    ed_list_node node;
    uint64_t at_ns;
    uint64_t order; /* of setting */
    uint16_t place; /* level and slot, 1 up; 0: it is due or not set */
} ed_alarm;

typedef struct ed_wheel {
    uint64_t tick;  /* all before it, and itself, are in `due` */
    uint64_t order; /* the next to be given */
    size_t count;
    ed_list due;                    /* in order */
    uint64_t used[ED_WHEEL_LEVELS]; /* a bit for each slot that is not empty */
    ed_list slots[ED_WHEEL_LEVELS][ED_WHEEL_SLOTS];
} ed_wheel;

/** @param now_ns no alarm is set for a time before it. */
void ed_wheel_init(ed_wheel *wheel, uint64_t now_ns);

/** Sets an alarm, anew if it was set. UINT64_MAX is not a time: see ed_wheel_clear. */
void ed_wheel_set(ed_wheel *wheel, ed_alarm *alarm, uint64_t at_ns);

/** One that is not set is fine. */
void ed_wheel_clear(ed_wheel *wheel, ed_alarm *alarm);

static inline bool ed_alarm_is_set(const ed_alarm *alarm)
{
    return ed_list_linked(&alarm->node);
}

/**
 * When to look again: UINT64_MAX with no alarm set. No later than the first alarm; and earlier,
 * at most once a wheel, where that is far off.
 */
uint64_t ed_wheel_next_ns(const ed_wheel *wheel);

/** Takes the first alarm that is due. @param now_ns not before that of the last call. */
ed_alarm *ed_wheel_pop(ed_wheel *wheel, uint64_t now_ns);

/** Whether counts, bits and places agree. */
bool ed_wheel_valid(const ed_wheel *wheel);

#endif
