#include "transport/loss.h"

#include "core/base.h"
#include "transport/check.h"

static bool is_in_flight(const ed_sent *packet)
{
    return packet->state == ED_SENT_OUTSTANDING && (packet->flags & ED_SENT_IN_FLIGHT) != 0;
}

static bool is_ack_eliciting(const ed_sent *packet)
{
    return (packet->flags & ED_SENT_ACK_ELICITING) != 0;
}

static bool is_prompt(const ed_sent *packet)
{
    return (packet->flags & ED_SENT_PROMPT) != 0;
}

void ed_loss_init(ed_loss *loss)
{
    *loss = (ed_loss){.loss_time_ns = ED_NEVER_NS};
}

void ed_loss_on_sent(ed_loss *loss, const ed_sent *packet)
{
    ED_ASSERT(packet->state == ED_SENT_OUTSTANDING);

    if (!is_in_flight(packet))
        return;
    loss->in_flight += packet->size;
    loss->probes_in_flight += (packet->flags & ED_SENT_PROBE) != 0 ? packet->size : 0;
    if (!is_ack_eliciting(packet))
        return;
    loss->ack_eliciting_in_flight++;
    ED_ASSERT(loss->ack_eliciting_in_flight <= ED_SENT_MAX);
    loss->last_ack_eliciting_sent_ns = packet->sent_ns;
    if (!is_prompt(packet))
        return;
    loss->prompt_in_flight++;
    loss->last_prompt_sent_ns = packet->sent_ns;
}

/** Takes an outstanding packet, about to change state, out of the sums. */
static void leave_flight(ed_loss *loss, const ed_sent *packet)
{
    if (!is_in_flight(packet))
        return;
    ED_ASSERT(loss->in_flight >= packet->size);
    loss->in_flight -= packet->size;
    loss->probes_in_flight -= (packet->flags & ED_SENT_PROBE) != 0 ? packet->size : 0;
    if (!is_ack_eliciting(packet))
        return;
    ED_ASSERT(loss->ack_eliciting_in_flight > 0);
    loss->ack_eliciting_in_flight--;
    ED_ASSERT(!is_prompt(packet) || loss->prompt_in_flight > 0);
    loss->prompt_in_flight -= is_prompt(packet) ? 1 : 0;
}

/* ------------------------------------------------------------------------- acknowledgement -- */

ed_loss_acks ed_loss_on_ack_range(ed_loss *loss, ed_sent_log *log, uint64_t first, uint64_t last,
                                  uint64_t now_ns)
{
    ed_loss_acks acks = {.loss = loss, .log = log, .now_ns = now_ns, .status = EDDY_OK};

    if (first > last || !SEC_CHECK(EDDY_CHECK_ACK_UNSENT, last < log->next)) {
        acks.status = EDDY_EPROTO;
        return acks;
    }
    // What the log has dropped was settled long ago; an ACK may go on naming it.
    acks.first = ed_max_u64(first, log->first);
    acks.end = ed_min_u64(ed_add_sat_u64(last, 1), log->next);
    return acks;
}

/**
 * Makes an acknowledged packet's run as long as it and the run below it are. Runs are what keeps an
 * ACK from costing as much as everything it repeats; that each look makes one longer keeps the
 * sum of all looks nearly linear, in whatever order the packets were acknowledged.
 */
static void lengthen_run(const ed_sent_log *log, ed_sent *packet)
{
    uint64_t held = packet->number - log->first + 1;

    if (packet->acked_run >= held)
        return; // nothing below is held; a count that went on from there would have no limit
    const ed_sent *below = ed_sent_at(log, packet->number - packet->acked_run);
    if (below->state == ED_SENT_ACKED)
        packet->acked_run =
            (uint16_t)ed_min_u64((uint32_t)packet->acked_run + below->acked_run, held);
}

/** How many numbers from a settled one down are settled, too; at least one. */
static uint64_t length_of_run(const ed_sent_log *log, ed_sent *packet)
{
    if (packet->state != ED_SENT_ACKED)
        return 1; // left out
    lengthen_run(log, packet);
    return packet->acked_run;
}

/** Ends the run of losses if this packet, which was one of it, did arrive. */
static void break_run(ed_loss *loss, const ed_sent *packet)
{
    if (packet->number >= loss->run_first && packet->number <= loss->run_last)
        loss->any_run = false;
}

static void acknowledge(ed_loss_acks *acks, ed_sent *packet)
{
    ed_loss *loss = acks->loss;

    ED_ASSERT(packet->state == ED_SENT_OUTSTANDING || packet->state == ED_SENT_LOST);
    leave_flight(loss, packet);
    break_run(loss, packet);
    packet->state = ED_SENT_ACKED;
    packet->acked_run = 1;
    if (!loss->any_acked)
        loss->first_ack_ns = acks->now_ns;
    loss->largest_acked = ed_max_u64(loss->largest_acked, packet->number);
    loss->any_acked = true;
    acks->any = true;
}

bool ed_loss_next_acked(ed_loss_acks *acks, ed_sent **packet)
{
    while (acks->end > acks->first) {
        ed_sent *at = ed_sent_at(acks->log, acks->end - 1);
        ED_ASSERT(at != NULL);
        acks->loss->visit_count++;
        if (!SEC_CHECK(EDDY_CHECK_ACK_SKIPPED, at->state != ED_SENT_SKIPPED)) {
            acks->status = EDDY_EPROTO;
            acks->end = acks->first;
            return false;
        }
        if (at->state == ED_SENT_OUTSTANDING || at->state == ED_SENT_LOST) {
            acknowledge(acks, at);
            acks->end--;
            *packet = at;
            return true;
        }
        acks->end -= ed_min_u64(length_of_run(acks->log, at), acks->end - acks->first);
    }
    return false;
}

eddy_status ed_loss_end_acks(ed_loss_acks *acks)
{
    ED_ASSERT(acks->status != EDDY_OK || acks->end <= acks->first);

    // The path works: the next probe timeout starts without backoff (RFC 9002 section 6.2.1).
    if (acks->any)
        acks->loss->pto_count = 0;
    return acks->status;
}

/* ------------------------------------------------------------------------------------ loss -- */

ed_loss_losses ed_loss_detect(ed_loss *loss, ed_sent_log *log, const ed_rtt *rtt, uint64_t now_ns)
{
    loss->loss_time_ns = ED_NEVER_NS;
    loss->scan_from = ed_max_u64(loss->scan_from, log->first);
    return (ed_loss_losses){
        .loss = loss, .log = log, .now_ns = now_ns, .delay_ns = ed_rtt_loss_delay_ns(rtt)};
}

ed_loss_losses ed_loss_give_up(ed_loss *loss, ed_sent_log *log, uint64_t now_ns)
{
    loss->loss_time_ns = ED_NEVER_NS;
    loss->scan_from = ed_max_u64(loss->scan_from, log->first);
    loss->any_run = false;
    loss->pto_count = 0;
    return (ed_loss_losses){.loss = loss, .log = log, .now_ns = now_ns, .gives_up = true};
}

/** Whether any of the packets between two, both excluded, was acknowledged, or is not known. */
static bool acked_between(const ed_sent_log *log, uint64_t before, uint64_t after)
{
    for (uint64_t number = before + 1; number < after; number++) {
        const ed_sent *packet = ed_sent_at(log, number);
        if (packet == NULL || packet->state == ED_SENT_ACKED)
            return true;
    }
    return false;
}

/** Adds a packet just lost to the run of losses, or begins another with it (section 7.6.2). */
static void lengthen_losses(ed_loss *loss, const ed_sent_log *log, const ed_sent *packet)
{
    if (!is_ack_eliciting(packet) || packet->sent_ns <= loss->first_ack_ns ||
        (packet->flags & ED_SENT_SIZE_PROBE) != 0)
        return;
    if (!loss->any_run || acked_between(log, loss->run_last, packet->number)) {
        loss->any_run = true;
        loss->run_first = packet->number;
        loss->run_first_ns = packet->sent_ns;
    }
    loss->run_last = packet->number;
    loss->run_last_ns = packet->sent_ns;
}

static void declare_lost(ed_loss_losses *losses, ed_sent *packet)
{
    leave_flight(losses->loss, packet);
    packet->state = ED_SENT_LOST;
    packet->flags |= ED_SENT_WAS_LOST;
    if (!losses->gives_up)
        lengthen_losses(losses->loss, losses->log, packet);
}

static uint64_t suspect_until_ns(const ed_loss_losses *losses, const ed_sent *packet)
{
    return ed_add_sat_u64(packet->sent_ns, losses->delay_ns);
}

/** Whether a packet in flight must be waited for yet. */
static bool is_suspect(const ed_loss_losses *losses, const ed_sent *packet)
{
    return !losses->gives_up &&
           losses->loss->largest_acked - packet->number < ED_LOSS_PACKET_THRESHOLD &&
           suspect_until_ns(losses, packet) > losses->now_ns;
}

/** One above the last number that may be lost. */
static uint64_t scan_end(const ed_loss_losses *losses)
{
    const ed_loss *loss = losses->loss;

    if (losses->gives_up)
        return losses->log->next;
    return loss->any_acked ? loss->largest_acked + 1 : 0;
}

bool ed_loss_next_lost(ed_loss_losses *losses, ed_sent **packet)
{
    ed_loss *loss = losses->loss;

    while (loss->scan_from < scan_end(losses)) {
        ed_sent *suspect = ed_sent_at(losses->log, loss->scan_from);
        ED_ASSERT(suspect != NULL);
        loss->visit_count++;
        if (!is_in_flight(suspect)) {
            loss->scan_from++;
            continue;
        }
        if (is_suspect(losses, suspect)) {
            // Those after it were sent later, and have fewer acknowledged after them.
            loss->loss_time_ns = suspect_until_ns(losses, suspect);
            return false;
        }
        loss->scan_from++;
        declare_lost(losses, suspect);
        *packet = suspect;
        return true;
    }
    return false;
}

bool ed_loss_take_persistent(ed_loss *loss, const ed_rtt *rtt, uint64_t max_ack_delay_ns)
{
    uint64_t pto_ns =
        ed_min_u64(ed_rtt_pto_ns(rtt, max_ack_delay_ns), ED_NEVER_NS / ED_LOSS_PERSISTENT_PTOS);

    if (!loss->any_run)
        return false;
    ED_ASSERT(loss->run_first <= loss->run_last);
    ED_ASSERT(loss->run_first_ns <= loss->run_last_ns);
    if (loss->run_last_ns - loss->run_first_ns <= ED_LOSS_PERSISTENT_PTOS * pto_ns)
        return false;
    loss->any_run = false;
    return true;
}

void ed_loss_trim(const ed_loss *loss, ed_sent_log *log, const ed_rtt *rtt,
                  uint64_t max_ack_delay_ns, uint64_t now_ns)
{
    uint64_t pto_ns =
        ed_min_u64(ed_rtt_pto_ns(rtt, max_ack_delay_ns), ED_NEVER_NS / ED_LOSS_REMEMBER_PTOS);
    uint64_t keep_ns = ED_LOSS_REMEMBER_PTOS * pto_ns;
    uint64_t below = loss->largest_acked > ED_LOSS_REMEMBER_PACKETS
                         ? loss->largest_acked - ED_LOSS_REMEMBER_PACKETS
                         : 0;

    ed_sent_trim(log, below, now_ns > keep_ns ? now_ns - keep_ns : 0);
}

/* ---------------------------------------------------------------------------------- timing -- */

/** How long to wait after the packet sent at `since_ns`, given the probes without an answer. */
static uint64_t backed_off_ns(const ed_loss *loss, const ed_rtt *rtt, uint64_t pto_ns,
                              uint64_t since_ns, bool clamp)
{
    if (loss->pto_count == 0)
        return pto_ns;
    uint64_t shift = ed_min_u64(loss->pto_count, ED_LOSS_BACKOFF_MAX);
    uint64_t doubled_ns = pto_ns > ED_NEVER_NS >> shift ? ED_NEVER_NS : pto_ns << shift;
    if (!clamp)
        return doubled_ns;
    // By the time of the last probe and not the present, so that a deadline once told stands.
    uint64_t early_until_ns =
        ed_add_sat_u64(loss->probing_since_ns, ED_LOSS_PROBE_EARLY_FOR_S * ED_NS_PER_S);
    bool early = since_ns < early_until_ns;
    uint64_t limit_ms = early ? ED_LOSS_PROBE_EARLY_MS : ED_LOSS_PROBE_LATE_MS;
    return ed_min_u64(doubled_ns, ed_max_u64(limit_ms * ED_NS_PER_MS, rtt->smoothed_ns));
}

uint64_t ed_loss_deadline_ns(const ed_loss *loss, const ed_rtt *rtt, bool clamp)
{
    bool prompt = loss->prompt_in_flight > 0;
    uint64_t since_ns = prompt ? loss->last_prompt_sent_ns : loss->last_ack_eliciting_sent_ns;

    if (loss->loss_time_ns != ED_NEVER_NS)
        return loss->loss_time_ns;
    if (loss->ack_eliciting_in_flight == 0)
        return ED_NEVER_NS;
    uint64_t pto_ns = ed_rtt_pto_ns(rtt, prompt ? ED_ACK_DELAY_NS : ED_ACK_PATIENCE_NS);
    return ed_add_sat_u64(since_ns, backed_off_ns(loss, rtt, pto_ns, since_ns, clamp));
}

bool ed_loss_due(const ed_loss *loss, uint64_t now_ns)
{
    return loss->loss_time_ns <= now_ns;
}

void ed_loss_on_probe_timeout(ed_loss *loss, uint64_t now_ns)
{
    ED_ASSERT(loss->loss_time_ns == ED_NEVER_NS);
    ED_ASSERT(loss->ack_eliciting_in_flight > 0);

    if (loss->pto_count == 0)
        loss->probing_since_ns = now_ns;
    // Beyond this the count changes no deadline any more.
    loss->pto_count = (uint32_t)ed_min_u64(loss->pto_count + UINT64_C(1), UINT32_MAX);
}

bool ed_loss_valid(const ed_loss *loss, const ed_sent_log *log)
{
    uint64_t in_flight = 0, probes = 0;
    uint32_t ack_eliciting = 0, prompt = 0;

    for (uint64_t number = log->first; number < log->next; number++) {
        const ed_sent *packet = ed_sent_at(log, number);
        if (!is_in_flight(packet))
            continue;
        in_flight += packet->size;
        probes += (packet->flags & ED_SENT_PROBE) != 0 ? packet->size : 0;
        ack_eliciting += is_ack_eliciting(packet) ? 1 : 0;
        prompt += is_prompt(packet) ? 1 : 0;
        if (packet->number < loss->scan_from)
            return false; // nobody will ever look at it again
    }
    return in_flight == loss->in_flight && probes == loss->probes_in_flight &&
           ack_eliciting == loss->ack_eliciting_in_flight && prompt == loss->prompt_in_flight;
}
