#include "transport/path.h"

#include <string.h>

#include "core/alloc.h"
#include "transport/check.h"

#define HOLD_NS (ED_PATH_HOLD_MS * ED_NS_PER_MS)
#define PATIENCE_NS (ED_PATH_PATIENCE_MS * ED_NS_PER_MS)

static bool local_equal(const eddy_address *a, const eddy_address *b)
{
    return a->family == EDDY_FAMILY_NONE || b->family == EDDY_FAMILY_NONE ||
           eddy_address_equal(a, b);
}

bool ed_path_equal(const ed_path *a, const ed_path *b)
{
    return eddy_address_equal(&a->remote, &b->remote) && local_equal(&a->local, &b->local);
}

bool ed_path_same_hosts(const ed_path *a, const ed_path *b)
{
    eddy_address remote = a->remote;

    remote.port = b->remote.port;
    return eddy_address_equal(&remote, &b->remote) && local_equal(&a->local, &b->local);
}

/* --------------------------------------------------------------------------- the candidate -- */

void ed_paths_init(ed_paths *paths, const ed_path *current)
{
    *paths = (ed_paths){.at[ED_PATH_CURRENT] = *current, .deadline_ns = ED_NEVER_NS};
    ED_ASSERT(ed_paths_valid(paths));
}

bool ed_paths_has_candidate(const ed_paths *paths)
{
    return paths->at[ED_PATH_CANDIDATE].remote.family != EDDY_FAMILY_NONE;
}

static bool is_candidate(const ed_paths *paths, const ed_path *path)
{
    return ed_paths_has_candidate(paths) && ed_path_equal(&paths->at[ED_PATH_CANDIDATE], path);
}

ed_path_news ed_paths_on_packet(ed_paths *paths, const ed_path *from, size_t size, bool is_newest,
                                uint64_t now_ns)
{
    ED_CHECKED(ed_paths_valid(paths));
    if (is_candidate(paths, from)) {
        paths->received += size;
        return ED_PATH_KNOWN;
    }
    if (!is_newest || ed_path_equal(&paths->at[ED_PATH_CURRENT], from))
        return ED_PATH_KNOWN;
    return SEC_CHECK(EDDY_CHECK_PATH_RATE, now_ns >= paths->next_ns) ? ED_PATH_NEWS
                                                                     : ED_PATH_TOO_SOON;
}

void ed_paths_follow(ed_paths *paths, const ed_path *from, size_t size)
{
    ED_ASSERT(from->remote.family != EDDY_FAMILY_NONE);
    ED_ASSERT(!ed_path_equal(&paths->at[ED_PATH_CURRENT], from));
    if (!is_candidate(paths, from)) {
        paths->received = 0;
        paths->sent = 0;
    }
    paths->at[ED_PATH_CANDIDATE] = *from;
    paths->received += size;
    ed_paths_stop(paths);
}

void ed_paths_begin(ed_paths *paths, const ed_path *from, size_t size,
                    const uint64_t data[ED_PATH_END_COUNT], uint64_t pto_ns, uint64_t now_ns)
{
    ED_ASSERT(now_ns >= paths->next_ns || ED_CHECK_IS_OFF(EDDY_CHECK_PATH_RATE));
    ED_ASSERT(!is_candidate(paths, from));
    ed_paths_follow(paths, from, size);
    for (size_t i = 0; i < ED_PATH_END_COUNT; i++)
        paths->question[i] = (ed_path_question){.data = data[i], .is_due = true};
    paths->attempts = 1;
    paths->began_ns = now_ns;
    // The answer has the time of a probe timeout to come before another candidate takes over.
    paths->next_ns = ed_add_sat_u64(now_ns, ed_max_u64(HOLD_NS, pto_ns));
    paths->deadline_ns = ed_add_sat_u64(now_ns, pto_ns);
    ED_ASSERT(ed_paths_valid(paths));
}

void ed_paths_stop(ed_paths *paths)
{
    for (size_t i = 0; i < ED_PATH_END_COUNT; i++)
        paths->question[i] = (ed_path_question){0};
    paths->attempts = 0;
    paths->deadline_ns = ED_NEVER_NS;
    ED_ASSERT(ed_paths_valid(paths));
}

static void drop_candidate(ed_paths *paths)
{
    paths->at[ED_PATH_CANDIDATE] = (ed_path){0};
    paths->received = 0;
    paths->sent = 0;
    paths->next_ns = ed_min_u64(paths->next_ns, ed_add_sat_u64(paths->began_ns, HOLD_NS));
    ed_paths_stop(paths);
}

/**
 * When it is too late for an answer. The new path may be far slower than the old one, by which the
 * probe timeout goes, and nothing is learned of it before: who was too impatient waits longer.
 */
static uint64_t drop_at_ns(const ed_paths *paths, uint64_t pto_ns)
{
    uint64_t long_ns = ed_min_u64(pto_ns, ED_NEVER_NS / ED_PATH_PTOS) * ED_PATH_PTOS;

    return ed_add_sat_u64(paths->began_ns,
                          ed_max_u64(long_ns, PATIENCE_NS << paths->failure_count));
}

bool ed_paths_expire(ed_paths *paths, uint64_t pto_ns, uint64_t now_ns)
{
    ED_ASSERT(ed_paths_has_candidate(paths) && now_ns >= paths->deadline_ns);
    if (now_ns >= drop_at_ns(paths, pto_ns)) {
        drop_candidate(paths);
        paths->failure_count += paths->failure_count < ED_PATH_DOUBLINGS_MAX ? 1 : 0;
        return true;
    }
    paths->attempts++;
    for (size_t i = 0; i < ED_PATH_END_COUNT; i++)
        paths->question[i].is_due = true;
    // After one, two, four ... probe timeouts.
    uint64_t wait_ns = ed_max_u64(pto_ns, now_ns - paths->began_ns);
    paths->deadline_ns = ed_min_u64(ed_add_sat_u64(now_ns, wait_ns), drop_at_ns(paths, pto_ns));
    return false;
}

ed_path_answer ed_paths_on_answer(ed_paths *paths, uint64_t data)
{
    ed_path candidate = paths->at[ED_PATH_CANDIDATE];

    ED_ASSERT(ed_paths_valid(paths));
    if (paths->attempts == 0)
        return ED_PATH_ANSWER_NONE;
    bool stays = data == paths->question[ED_PATH_CURRENT].data;
    bool moves = data == paths->question[ED_PATH_CANDIDATE].data;
    if (!SEC_CHECK(EDDY_CHECK_PATH_ANSWER, stays || moves))
        return ED_PATH_ANSWER_NONE;
    drop_candidate(paths);
    if (stays && !ED_CHECK_IS_OFF(EDDY_CHECK_PATH_ANSWER))
        return ED_PATH_ANSWER_STAYED;
    paths->failure_count = 0;
    paths->at[ED_PATH_CURRENT] = candidate;
    return ED_PATH_ANSWER_MOVED;
}

/* --------------------------------------------------------------------------------- sending -- */

uint64_t ed_paths_credit(const ed_paths *paths)
{
    ED_ASSERT(paths->sent <= paths->received);
    return paths->received - paths->sent;
}

size_t ed_paths_room(const ed_paths *paths, const ed_path *path, size_t cause_size)
{
    if (ed_path_equal(&paths->at[ED_PATH_CURRENT], path))
        return ED_DATAGRAM_SIZE;
    if (is_candidate(paths, path))
        return (size_t)ed_min_u64(ed_paths_credit(paths), ED_DATAGRAM_SIZE);
    return ed_min_size(cause_size, ED_DATAGRAM_SIZE);
}

void ed_paths_on_sent(ed_paths *paths, const ed_path *path, size_t size)
{
    if (!is_candidate(paths, path))
        return;
    paths->sent += size;
    ED_ASSERT(ed_paths_valid(paths));
}

void ed_paths_on_asked(ed_paths *paths, ed_path_end end, uint64_t now_ns)
{
    ed_path_question *question = &paths->question[end];

    ED_ASSERT(paths->attempts > 0 && question->is_due);
    question->is_due = false;
    question->sent++;
    question->asked_ns = now_ns;
    ED_ASSERT(ed_paths_valid(paths));
}

bool ed_paths_valid(const ed_paths *paths)
{
    bool is_asking = paths->attempts > 0;

    if (paths->sent > paths->received || paths->failure_count > ED_PATH_DOUBLINGS_MAX)
        return false;
    if (is_asking != (paths->deadline_ns != ED_NEVER_NS))
        return false;
    for (size_t i = 0; i < ED_PATH_END_COUNT; i++)
        if (paths->question[i].sent + paths->question[i].is_due > paths->attempts)
            return false;
    if (!ed_paths_has_candidate(paths))
        return !is_asking && paths->received == 0;
    return !ed_path_equal(&paths->at[ED_PATH_CURRENT], &paths->at[ED_PATH_CANDIDATE]);
}

/* ------------------------------------------------------------------------ what the peer asks -- */

bool ed_path_debts_push(ed_path_debts *debts, const eddy_allocator *allocator,
                        const ed_path_debt *debt)
{
    if (debts->count == ED_PATH_DEBTS_MAX)
        return false;
    if (debts->debt == NULL)
        debts->debt = ed_alloc_array(allocator, ED_PATH_DEBTS_MAX, sizeof(*debts->debt));
    if (debts->debt == NULL)
        return false;
    debts->debt[debts->count++] = *debt;
    return true;
}

bool ed_path_debts_pop(ed_path_debts *debts, const eddy_allocator *allocator, ed_path_debt *debt)
{
    if (debts->count == 0)
        return false;
    *debt = debts->debt[0];
    debts->count--;
    memmove(debts->debt, debts->debt + 1, debts->count * sizeof(*debts->debt));
    if (debts->count == 0)
        ed_path_debts_drop(debts, allocator);
    return true;
}

void ed_path_debts_drop(ed_path_debts *debts, const eddy_allocator *allocator)
{
    ed_alloc_free(allocator, debts->debt, ED_PATH_DEBTS_MAX * sizeof(*debts->debt));
    *debts = (ed_path_debts){0};
}
