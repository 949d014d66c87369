/** What goes along again in a packet that leaves anyway: redundancy.h says how often. */
#include <string.h>

#include "transport/conn_draft.h"

/** Whether the path has bytes to spare for copies. */
static bool may_copy(ed_conn *conn, uint64_t now_ns)
{
    size_t spare_size = ED_COPY_SPARE_DATAGRAMS * (size_t)conn->mtu.size;

    return !ed_outbox_has_next(&conn->outbox) &&
           ed_rtt_queue_ns(&conn->rtt) <= ED_COPY_QUEUE_MS * ED_NS_PER_MS &&
           ed_pacer_when_ns(&conn->pacer, spare_size, now_ns) <= now_ns;
}

/**
 * Puts in again, as far as it fits, what a packet carried first of what a reference names, and none
 * has carried from `before` on.
 */
static void put_copies_by(ed_draft *d, ed_conn *conn, ed_sent_ref ref, uint64_t packet,
                          uint64_t before)
{
    for (ed_part *part = ed_outbox_first_of(&conn->outbox, ref);
         part != NULL && ed_draft_has_place(d, conn); part = ed_outbox_next_of(ref, part))
        if (part->last_packet < before && ed_outbox_wants_copy(&conn->outbox, part, packet))
            (void)ed_draft_put_again(d, conn, part);
}

/** The same of all that it names, if it was sent before `sent_ns`. */
static void put_copies_of(ed_draft *d, ed_conn *conn, uint64_t number, uint64_t sent_ns,
                          uint64_t before)
{
    const ed_sent *packet = ed_sent_at(&conn->sent, number);

    if (packet == NULL || packet->sent_ns >= sent_ns || packet->state == ED_SENT_ACKED)
        return;
    for (size_t i = 0; i < packet->ref_count; i++)
        put_copies_by(d, conn, ed_sent_refs(&conn->sent, packet, i), number, before);
}

/** Packets of which messages go along again. */
struct choice {
    uint64_t first, end;           /* the newest, as many as there are to be copies; */
    uint64_t newest;               /* of them */
    uint64_t overdue, overdue_end; /* and the oldest, as far as they are older than that: */
    uint64_t overdue_ns;           /* an answer should have come, and all copies may be lost */
};

static void choose_newest(struct choice *choice, const ed_conn *conn, uint64_t end, uint64_t now_ns)
{
    uint32_t left = ed_redundancy_copies(&conn->redundancy);
    uint64_t number = end;

    choice->first = choice->newest = choice->end = end;
    for (uint32_t i = 0; i < ED_COPY_LOOK_BACK && left > 0 && number > 0; i++) {
        const ed_sent *packet = ed_sent_at(&conn->sent, --number);
        if (packet == NULL)
            return;
        if (packet->ref_count == 0 || packet->sent_ns == now_ns)
            continue; // what leaves at once is lost at once
        if (choice->newest == end)
            choice->newest = number;
        choice->first = number;
        left--;
    }
}

static void choose_overdue(struct choice *choice, const ed_conn *conn, uint64_t now_ns)
{
    const ed_out *oldest = ed_outbox_oldest(&conn->outbox);

    choice->overdue = choice->overdue_end = choice->first;
    choice->overdue_ns = now_ns - ed_min_u64(ed_conn_pto_ns(conn), now_ns);
    if (oldest == NULL || oldest->part.first_packet >= choice->first)
        return;
    choice->overdue = ed_max_u64(oldest->part.first_packet, conn->sent.first);
    choice->overdue_end = ed_min_u64(choice->first, choice->overdue + ED_COPY_LOOK_BACK);
}

/** Puts them in, as far as they fit, and none has carried them from `before` on. */
static void put_choice(ed_draft *d, ed_conn *conn, const struct choice *choice, uint64_t before)
{
    for (uint64_t n = choice->overdue; n < choice->overdue_end; n++)
        put_copies_of(d, conn, n, choice->overdue_ns, before);
    for (uint64_t n = choice->first; n < choice->end; n++)
        put_copies_of(d, conn, n, d->record.sent_ns, before);
}

/** Where the messages end that were put in before the copies, and with what. */
struct news {
    uint8_t *end;
    uint8_t *last_at;
    ed_message_frame last;
};

/** Moves them behind the copies. The first, which follows one of these now, becomes shorter. */
static void put_behind_copies(ed_draft *d, const struct news *news)
{
    ED_UNCLEARED uint8_t kept[EDDY_DATAGRAM_SIZE_MAX];
    size_t size = (size_t)(news->end - d->first_at);
    size_t copies_size = (size_t)(d->w.at - news->end);
    ed_frame first = {.type = ED_FRAME_PADDING};

    memcpy(kept, d->first_at, size);
    memmove(d->first_at, news->end, copies_size);
    ed_reader r = ed_reader_of(kept, size);
    d->w.at = d->first_at + copies_size;
    eddy_status status = ed_frame_read(&r, &first);
    ED_ASSERT(status == EDDY_OK && first.type == ED_FRAME_MESSAGE);
    ed_draft_put_frame(d, &first.message);
    if (ed_reader_left(&r) == 0)
        return;
    ed_write_bytes(&d->w, r.at, ed_reader_left(&r));
    d->last = news->last;
    d->last_at = news->last_at == NULL ? NULL : d->w.at - (news->end - news->last_at);
}

void ed_draft_put_copies(ed_draft *d, ed_conn *conn, uint64_t now_ns)
{
    struct choice choice;

    if (ed_redundancy_copies(&conn->redundancy) == 0 || !may_copy(conn, now_ns))
        return;
    choose_newest(&choice, conn, d->packet.number, now_ns);
    choose_overdue(&choice, conn, now_ns);
    struct news news = {.end = d->w.at, .last_at = d->last_at, .last = d->last};
    bool has_news = d->first_at != NULL;
    d->last_at = NULL; // they begin anew
    // First what the packet before had no room for; and nothing that is in already.
    put_choice(d, conn, &choice, choice.newest);
    put_choice(d, conn, &choice, d->packet.number);
    if (d->w.at == news.end)
        d->last_at = news.last_at;
    else if (has_news)
        put_behind_copies(d, &news);
}
