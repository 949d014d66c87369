#include "transport/replay.h"

#include <string.h>

static_assert((ED_REPLAY_WINDOW & (ED_REPLAY_WINDOW - 1)) == 0, "the ring is indexed by a mask");
static_assert(ED_REPLAY_WORD_COUNT * sizeof(uint64_t) == 256, "the bitmap takes 256 bytes");

static size_t word_of(uint64_t number)
{
    return (size_t)(number / ED_REPLAY_WORD_BITS % ED_REPLAY_WORD_COUNT);
}

static uint64_t bit_of(uint64_t number)
{
    return UINT64_C(1) << number % ED_REPLAY_WORD_BITS;
}

bool ed_replay_check(const ed_replay *replay, uint64_t number)
{
    if (number >> ED_REPLAY_NUMBER_BITS != 0)
        return false;
    if (number >= replay->next)
        return true;
    // Subtracting on this side cannot wrap: the number is below `next`.
    if (replay->next - number > ED_REPLAY_WINDOW)
        return false;
    return (replay->bits[word_of(number)] & bit_of(number)) == 0;
}

/** Clears the bits from `first` up to, without, `end`; at most a window of them. */
static void clear_bits(ed_replay *replay, uint64_t first, uint64_t end)
{
    for (uint64_t at = first; at < end;) {
        uint64_t word_end = (at | (ED_REPLAY_WORD_BITS - 1)) + 1;
        uint64_t below = bit_of(at) - 1;
        uint64_t above = word_end <= end ? 0 : ~(bit_of(end) - 1);
        replay->bits[word_of(at)] &= below | above;
        at = word_end;
    }
}

static void slide(ed_replay *replay, uint64_t next)
{
    if (next - replay->next >= ED_REPLAY_WINDOW)
        memset(replay->bits, 0, sizeof(replay->bits));
    else
        clear_bits(replay, replay->next, next);
    replay->next = next;
}

void ed_replay_commit(ed_replay *replay, uint64_t number)
{
    ED_ASSERT(ed_replay_check(replay, number));

    if (number >= replay->next)
        slide(replay, number + 1);
    replay->bits[word_of(number)] |= bit_of(number);
    ED_ASSERT(!ed_replay_check(replay, number));
}
