#include "transport/replay.h"

#include <string.h>

#include "core/alloc.h"

enum { WIDE_SIZE = ED_REPLAY_WINDOW / 8 };

static_assert((ED_REPLAY_NARROW & (ED_REPLAY_NARROW - 1)) == 0, "the ring is indexed by a mask");
static_assert((ED_REPLAY_WINDOW & (ED_REPLAY_WINDOW - 1)) == 0, "so is the wide one");

static uint64_t window_of(const ed_replay *replay)
{
    return replay->wide != NULL ? ED_REPLAY_WINDOW : ED_REPLAY_NARROW;
}

/** Where a number's word is among the words of its window. */
static size_t word_at(const ed_replay *replay, uint64_t number)
{
    return (size_t)((number & (window_of(replay) - 1)) / ED_REPLAY_WORD_BITS);
}

static uint64_t *word_of(ed_replay *replay, uint64_t number)
{
    return (replay->wide != NULL ? replay->wide : replay->narrow) + word_at(replay, number);
}

static uint64_t bit_of(uint64_t number)
{
    return UINT64_C(1) << number % ED_REPLAY_WORD_BITS;
}

/** Of a number in the window. */
static bool is_accepted(const ed_replay *replay, uint64_t number)
{
    const uint64_t *words = replay->wide != NULL ? replay->wide : replay->narrow;

    return (words[word_at(replay, number)] & bit_of(number)) != 0;
}

void ed_replay_free(ed_replay *replay, const eddy_allocator *allocator)
{
    ed_alloc_free(allocator, replay->wide, WIDE_SIZE);
    replay->wide = NULL;
}

bool ed_replay_check(const ed_replay *replay, uint64_t number)
{
    if (number >> ED_REPLAY_NUMBER_BITS != 0)
        return false;
    if (number >= replay->next)
        return true;
    // Subtracting on this side cannot wrap: the number is below `next`.
    return replay->next - number <= window_of(replay) && !is_accepted(replay, number);
}

bool ed_replay_is_unknown(const ed_replay *replay, uint64_t number)
{
    return replay->wide == NULL && number < replay->next &&
           replay->next - number > ED_REPLAY_NARROW && replay->next - number <= ED_REPLAY_WINDOW;
}

void ed_replay_widen(ed_replay *replay, const eddy_allocator *allocator)
{
    ED_ASSERT(replay->wide == NULL && replay->next > ED_REPLAY_NARROW);
    ed_replay wide = *replay;

    wide.wide = ed_alloc_zeroed(allocator, WIDE_SIZE);
    if (wide.wide == NULL)
        return;
    memset(wide.wide, 0xff, WIDE_SIZE);
    for (uint64_t n = replay->next - ED_REPLAY_NARROW; n < replay->next; n++)
        if (!is_accepted(replay, n))
            *word_of(&wide, n) &= ~bit_of(n);
    *replay = wide;
}

/** Clears the bits from `first` up to, without, `end`; at most a window of them. */
static void clear_bits(ed_replay *replay, uint64_t first, uint64_t end)
{
    for (uint64_t at = first; at < end;) {
        uint64_t word_end = (at | (ED_REPLAY_WORD_BITS - 1)) + 1;
        uint64_t below = bit_of(at) - 1;
        uint64_t above = word_end <= end ? 0 : ~(bit_of(end) - 1);
        *word_of(replay, at) &= below | above;
        at = word_end;
    }
}

/** The bit of the highest number itself may stay: it is set next. */
static void slide(ed_replay *replay, uint64_t next)
{
    uint64_t window = window_of(replay);

    clear_bits(replay, next - replay->next < window ? replay->next : next - window, next - 1);
    replay->next = next;
}

void ed_replay_commit(ed_replay *replay, uint64_t number)
{
    ED_ASSERT(ed_replay_check(replay, number));

    if (number >= replay->next)
        slide(replay, number + 1);
    *word_of(replay, number) |= bit_of(number);
    ED_ASSERT(!ed_replay_check(replay, number));
}
