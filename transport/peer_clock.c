#include "transport/peer_clock.h"

#include "transport/check.h"

enum { PPM = 1000 * 1000 };

/** A stamp beyond this is none: so what follows from one does not come to where it wraps. */
#define TIME_NS_MAX (UINT64_MAX >> 2)

/** From where to where the peer's clock is ahead of ours. */
struct bounds {
    uint64_t least;
    uint64_t most;
};

/** How far `a` is above `b`, both of which wrap. */
static int64_t above(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return above(a, b) > 0 ? a : b;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return above(a, b) > 0 ? b : a;
}

/** How far apart two clocks may move in a time. */
static uint64_t drift_ns(uint64_t elapsed_ns)
{
    return elapsed_ns / (PPM / ED_CLOCK_DRIFT_PPM) + 1;
}

/* ---------------------------------------------------------------------------------- asking -- */

bool ed_peer_clock_asks(const ed_peer_clock *clock, uint64_t patience_ns, uint64_t now_ns)
{
    bool is_early = clock->answer_count < ED_CLOCK_EARLY_COUNT;
    uint64_t interval_ns = (is_early ? ED_CLOCK_EARLY_MS : ED_CLOCK_LATE_MS) * ED_NS_PER_MS;

    if (clock->is_waiting) // a new question makes the answer to this one worthless
        interval_ns = ed_max_u64(interval_ns, patience_ns);
    else if (clock->asked_ns == 0)
        return true; // nor was it asked before
    return now_ns - clock->asked_ns >= interval_ns;
}

void ed_peer_clock_on_asked(ed_peer_clock *clock, uint64_t number, uint64_t now_ns)
{
    clock->asked_in = (uint32_t)number;
    clock->asked_ns = now_ns;
    clock->is_waiting = true;
}

/* -------------------------------------------------------------------------------- answering -- */

void ed_peer_clock_on_question(ed_peer_clock *clock, uint64_t number, uint64_t now_ns)
{
    clock->owed_to = (uint32_t)number;
    clock->owed_ns = now_ns;
    clock->is_owed = true;
}

ed_time_frame ed_peer_clock_answer(ed_peer_clock *clock, uint64_t now_ns)
{
    ED_ASSERT(clock->is_owed && now_ns >= clock->owed_ns);
    clock->is_owed = false;
    return (ed_time_frame){.is_answer = true,
                           .packet = clock->owed_to,
                           .held_ns = now_ns - clock->owed_ns,
                           .time_ns = now_ns};
}

/* --------------------------------------------------------------------------------- bounding -- */

/** What is known, as of `now_ns`. */
static struct bounds bounds_at(const ed_peer_clock *clock, uint64_t now_ns)
{
    uint64_t apart_ns = drift_ns(now_ns - clock->at_ns);

    return (struct bounds){.least = clock->ahead_ns - apart_ns,
                           .most = clock->ahead_ns + clock->width_ns + apart_ns};
}

/** What holds both before and now; where nothing does, a clock was set, and what is new holds. */
static struct bounds meet(struct bounds old, struct bounds new)
{
    struct bounds both = {.least = higher(old.least, new.least), .most = lower(old.most, new.most)};

    return above(both.most, both.least) >= 0 ? both : new;
}

static void set_bounds(ed_peer_clock *clock, struct bounds bounds, uint64_t now_ns)
{
    ED_ASSERT(bounds.most - bounds.least <= UINT32_MAX);
    clock->ahead_ns = bounds.least;
    clock->width_ns = (uint32_t)(bounds.most - bounds.least);
    clock->at_ns = now_ns;
}

void ed_peer_clock_on_answer(ed_peer_clock *clock, const ed_time_frame *answer, uint64_t now_ns)
{
    if (!clock->is_waiting || answer->packet != clock->asked_in)
        return;
    ED_ASSERT(now_ns >= clock->asked_ns);
    clock->is_waiting = false;
    uint64_t round_ns = now_ns - clock->asked_ns;
    uint64_t most_ns = round_ns + drift_ns(round_ns); // by the peer's clock

    uint64_t path_ns = most_ns - answer->held_ns;

    if (!SEC_CHECK(EDDY_CHECK_TIME, answer->held_ns <= most_ns && answer->time_ns <= TIME_NS_MAX) ||
        now_ns > TIME_NS_MAX || path_ns > UINT32_MAX)
        return; // the last: a path so long tells little
    struct bounds bounds = {.least = answer->time_ns - now_ns};
    bounds.most = bounds.least + path_ns;
    if (clock->answer_count > 0)
        bounds = meet(bounds_at(clock, now_ns), bounds);
    set_bounds(clock, bounds, now_ns);
    if (clock->answer_count < ED_CLOCK_EARLY_COUNT)
        clock->answer_count++;
}

/* ---------------------------------------------------------------------------------- telling -- */

/** How far what is told comes nearer to the truth, which is `gap_ns` above it. */
static int64_t step_of(int64_t gap_ns, uint64_t elapsed_ns)
{
    int64_t far_ns = (int64_t)(ED_CLOCK_STEP_MS * ED_NS_PER_MS);
    int64_t elapsed = (int64_t)ed_min_u64(elapsed_ns, INT64_MAX);
    int64_t slew = elapsed / ED_CLOCK_SLEW;

    if (gap_ns > far_ns)
        return gap_ns;
    if (gap_ns < -far_ns)
        return -elapsed;
    return gap_ns > slew ? slew : gap_ns < -slew ? -slew : gap_ns;
}

bool ed_peer_clock_tell(ed_peer_clock *clock, uint64_t now_ns, eddy_peer_time *time)
{
    if (clock->answer_count == 0)
        return false;
    now_ns = ed_max_u64(now_ns, ed_max_u64(clock->at_ns, clock->told_at_ns));
    struct bounds bounds = bounds_at(clock, now_ns);
    uint64_t middle = bounds.least + (bounds.most - bounds.least) / 2;

    if (!clock->is_told)
        clock->told_ns = middle;
    else
        clock->told_ns +=
            (uint64_t)step_of(above(middle, clock->told_ns), now_ns - clock->told_at_ns);
    clock->told_at_ns = now_ns;
    clock->is_told = true;
    time->now_ns = now_ns + clock->told_ns;
    time->error_ns = higher(bounds.most - clock->told_ns, clock->told_ns - bounds.least);
    return true;
}
