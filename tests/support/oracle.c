#include "tests/support/oracle.h"

#include <stdlib.h>

#include "core/base.h"
#include "sim/random.h"
#include "tests/support/check.h"

enum {
    EDGE_ONE_IN = 16, /* so often a message is of the smallest size, and of the largest */
    BROADCAST_TAG = 0xff00,
};

#define RECEIPT_MARK (UINT64_C(1) << 63)

/** A message that came before it was known from whom. */
struct ed_early {
    struct ed_early *next;
    eddy_event_message message;
    uint8_t data[];
};

void ed_endpoint_init(ed_endpoint *endpoint, ed_oracle *oracle, uint32_t node,
                      eddy_connection handle, bool incoming, ed_sizes sizes)
{
    ED_ASSERT(oracle->count < ED_ORACLE_ENDPOINTS_MAX && node < 256 && sizes.min <= sizes.max);
    *endpoint = (ed_endpoint){.oracle = oracle,
                              .name = oracle->name,
                              .handle = handle,
                              .node = node,
                              .incoming = incoming,
                              .sizes = sizes};
    endpoint->ledger.tag = (uint16_t)oracle->count;
    endpoint->ledger.broadcast_tag = (uint16_t)(BROADCAST_TAG | node);
    oracle->endpoints[oracle->count++] = endpoint;
}

static void free_early(ed_endpoint *endpoint)
{
    while (endpoint->early != NULL) {
        struct ed_early *early = endpoint->early;
        endpoint->early = early->next;
        free(early);
    }
}

void ed_endpoint_free(ed_endpoint *endpoint)
{
    free_early(endpoint);
    ed_ledger_free(&endpoint->ledger);
}

static bool is_reliable(eddy_guarantee guarantee)
{
    return guarantee >= EDDY_RELIABLE_UNORDERED;
}

static bool is_sequenced(eddy_guarantee guarantee)
{
    return guarantee == EDDY_UNRELIABLE_SEQUENCED || guarantee == EDDY_RELIABLE_SEQUENCED;
}

/* ----------------------------------------------------------------------------------- sending -- */

static size_t draw_size(const ed_endpoint *endpoint, eddy_guarantee guarantee, uint8_t stream,
                        uint32_t number)
{
    uint64_t lane = (uint64_t)endpoint->ledger.tag << 16 | (uint64_t)guarantee << 8 | stream;
    ed_rng rng = ed_rng_of(ed_mix_u64(ed_mix_u64(lane, number), ED_PURPOSE_MAP));
    uint64_t edge = ed_rng_below(&rng, EDGE_ONE_IN);
    ed_sizes sizes = endpoint->sizes;

    if (edge == 0)
        return sizes.min;
    if (edge == 1)
        return sizes.max;
    return sizes.min + (size_t)ed_rng_below(&rng, sizes.max - sizes.min + 1);
}

ed_note ed_endpoint_next_note(const ed_endpoint *endpoint, const ed_parcel *parcel)
{
    const ed_book *book = ed_ledger_find(&endpoint->ledger, parcel->guarantee, parcel->stream);
    uint32_t number = book == NULL ? 0 : book->count;
    size_t size = parcel->size != ED_SIZE_DRAWN
                      ? parcel->size
                      : draw_size(endpoint, parcel->guarantee, parcel->stream, number);
    bool may_expire = parcel->expire_ms != 0 || parcel->now_or_never;

    ED_ASSERT(parcel->stream != ED_BROADCAST_STREAM);
    // What may be missing, or may be in the wrong place, must say which one it is.
    if ((may_expire || parcel->size == ED_SIZE_DRAWN) && size < ED_NOTE_HEADER_SIZE &&
        (may_expire || is_sequenced(parcel->guarantee)))
        size = ED_NOTE_HEADER_SIZE;
    return (ed_note){.size = (uint32_t)size,
                     .number = number,
                     .wants_receipt = parcel->with_receipt,
                     .may_expire = may_expire};
}

eddy_send_options ed_endpoint_options(const ed_endpoint *endpoint, const ed_parcel *parcel,
                                      const ed_note *note)
{
    uint64_t lane = (uint64_t)parcel->guarantee << 8 | parcel->stream;
    uint64_t receipt =
        RECEIPT_MARK | (uint64_t)endpoint->ledger.tag << 44 | lane << 32 | note->number;

    return (eddy_send_options){.expire_ms = parcel->expire_ms,
                               .now_or_never = parcel->now_or_never,
                               .receipt =
                                   parcel->with_receipt || parcel->quiet_receipt ? receipt : 0,
                               .quiet_receipt = parcel->quiet_receipt};
}

static ed_note *note_of(const ed_endpoint *endpoint, uint64_t receipt)
{
    eddy_guarantee guarantee = (eddy_guarantee)(receipt >> 40 & 0xf);
    uint8_t stream = (uint8_t)(receipt >> 32);
    const ed_book *book = ed_ledger_find(&endpoint->ledger, guarantee, stream);
    uint32_t index = (uint32_t)receipt;

    return book == NULL || index >= book->count ? NULL : &book->notes[index];
}

const ed_note *ed_endpoint_note_of(const ed_endpoint *endpoint, uint64_t receipt)
{
    return note_of(endpoint, receipt);
}

void ed_endpoint_on_sent(ed_endpoint *endpoint, eddy_guarantee guarantee, uint8_t stream,
                         const ed_note *note)
{
    ed_book *book = ed_ledger_get(&endpoint->ledger, guarantee, stream);

    ed_book_add(book, note);
    book->expires_unheard |= note->may_expire && !note->wants_receipt;
    if (ed_note_is_counted(note, guarantee))
        book->tiny_sent[note->size]++;
    endpoint->owed += ed_guarantee_owes_each(guarantee) && !note->may_expire ? 1 : 0;
    endpoint->receipts_wanted += note->wants_receipt ? 1 : 0;
    *(is_reliable(guarantee) ? &endpoint->reliable_sent : &endpoint->unreliable_sent) += 1;
}

void ed_endpoint_on_refused(ed_endpoint *endpoint)
{
    endpoint->awaits_writable = true;
    endpoint->refusals++;
}

/* ---------------------------------------------------------------------------------- messages -- */

/** One that is like others of its size, which are only counted. */
static void take_counted(ed_endpoint *endpoint, ed_book *book, const eddy_event_message *message)
{
    ed_endpoint *from = endpoint->peer;
    ed_note note = {.size = (uint32_t)message->size};

    CHECK(endpoint->name, book->tiny_came[note.size] < book->tiny_sent[note.size]);
    CHECK(endpoint->name, ed_ledger_matches(&from->ledger, message->guarantee, message->stream,
                                            &note, message->data));
    book->tiny_came[note.size]++;
    book->came++;
    from->owed -= ed_guarantee_owes_each(message->guarantee) ? 1 : 0;
}

/** Which one it is. */
static uint32_t index_of(const ed_endpoint *endpoint, const ed_book *book,
                         const eddy_event_message *message)
{
    const ed_ledger *ledger = &endpoint->peer->ledger;
    uint16_t tag = 0;
    uint32_t number = 0;
    uint32_t index = book->next;

    if (message->size >= ED_NOTE_HEADER_SIZE) {
        ed_note_read(message->data, &tag, &number);
        CHECK_EQ(endpoint->name, tag,
                 message->stream == ED_BROADCAST_STREAM ? ledger->broadcast_tag : ledger->tag);
        return ed_book_find(book, number);
    }
    // Ordered, and without a deadline: it is the next that must come.
    while (index < book->count && book->notes[index].may_expire)
        index++;
    return index;
}

/** No message before `index` is missing that must come first. */
static void check_order(const ed_endpoint *endpoint, const ed_book *book, uint32_t index,
                        eddy_guarantee guarantee)
{
    CHECK(endpoint->name, index >= book->next); // never backwards
    for (uint32_t i = book->next; guarantee == EDDY_RELIABLE_ORDERED && i < index; i++)
        CHECK(endpoint->name, book->notes[i].may_expire);
}

static void check_skipped(const ed_endpoint *endpoint, const ed_book *book, uint32_t index,
                          const eddy_event_message *message)
{
    uint32_t gap = message->guarantee == EDDY_RELIABLE_ORDERED ? index - book->next : 0;

    CHECK(endpoint->name, message->skipped <= gap);
}

static void take_known(ed_endpoint *endpoint, ed_book *book, const eddy_event_message *message)
{
    ed_endpoint *from = endpoint->peer;
    eddy_guarantee guarantee = message->guarantee;
    uint32_t index = index_of(endpoint, book, message);

    CHECK(endpoint->name, index < book->count);
    ed_note *note = &book->notes[index];
    CHECK_EQ(endpoint->name, message->size, note->size);
    CHECK(endpoint->name,
          ed_ledger_matches(&from->ledger, guarantee, message->stream, note, message->data));
    CHECK(endpoint->name, !note->has_come);
    CHECK(endpoint->name, note->outcome != EDDY_OUTCOME_TOO_BIG);
    // Only what was never sent is lost for certain.
    CHECK(endpoint->name, !ed_guarantee_owes_each(guarantee) || note->outcome != EDDY_OUTCOME_LOST);
    if (guarantee == EDDY_RELIABLE_ORDERED || is_sequenced(guarantee))
        check_order(endpoint, book, index, guarantee);
    check_skipped(endpoint, book, index, message);
    note->has_come = true;
    book->came++;
    book->skipped += message->skipped;
    book->next = index + 1;
    from->owed -= ed_guarantee_owes_each(guarantee) && !note->may_expire ? 1 : 0;
}

static void take_from_peer(ed_endpoint *endpoint, const eddy_event_message *message)
{
    ed_book *book = ed_ledger_find(&endpoint->peer->ledger, message->guarantee, message->stream);
    ed_note like = {.size = (uint32_t)message->size};

    CHECK(endpoint->name, book != NULL); // something was sent on that lane
    if (ed_note_is_counted(&like, message->guarantee))
        take_counted(endpoint, book, message);
    else
        take_known(endpoint, book, message);
}

/* -------------------------------------------------------------------------------------- peer -- */

static bool may_be_peer(const ed_endpoint *endpoint, const ed_endpoint *other)
{
    return other->peer == NULL && other->incoming != endpoint->incoming &&
           other->node != endpoint->node;
}

/** Who it must be, if it can be only one. */
static ed_endpoint *only_candidate(const ed_endpoint *endpoint)
{
    const ed_oracle *oracle = endpoint->oracle;
    ed_endpoint *only = NULL;

    for (size_t i = 0; i < oracle->count; i++) {
        if (!may_be_peer(endpoint, oracle->endpoints[i]))
            continue;
        if (only != NULL)
            return NULL;
        only = oracle->endpoints[i];
    }
    return only;
}

/** Who sent it; NULL if that cannot be told. */
static ed_endpoint *sender_of(const ed_endpoint *endpoint, const eddy_event_message *message)
{
    uint16_t tag = 0;
    uint32_t number = 0;

    if (message->size < ED_NOTE_HEADER_SIZE || message->stream == ED_BROADCAST_STREAM)
        return only_candidate(endpoint);
    ed_note_read(message->data, &tag, &number);
    CHECK(endpoint->name, tag < endpoint->oracle->count);
    ed_endpoint *sender = endpoint->oracle->endpoints[tag];
    CHECK(endpoint->name, may_be_peer(endpoint, sender)); // else it is another connection's
    return sender;
}

static void keep_early(ed_endpoint *endpoint, const eddy_event_message *message)
{
    struct ed_early **last = &endpoint->early;
    struct ed_early *early = malloc(sizeof(*early) + message->size);

    ED_ASSERT(early != NULL);
    *early = (struct ed_early){.message = *message};
    if (message->size > 0)
        memcpy(early->data, message->data, message->size);
    early->message.data = early->data;
    while (*last != NULL)
        last = &(*last)->next;
    *last = early;
}

static void take_message(ed_endpoint *endpoint, const eddy_event_message *message)
{
    CHECK(endpoint->name, endpoint->connected);
    CHECK(endpoint->name, (uintptr_t)message->data % 16 == 0);
    *(is_reliable(message->guarantee) ? &endpoint->reliable_received
                                      : &endpoint->unreliable_received) += 1;
    if (endpoint->peer == NULL) {
        ed_endpoint *peer = sender_of(endpoint, message);
        if (peer == NULL) {
            keep_early(endpoint, message);
            return;
        }
        endpoint->peer = peer;
        peer->peer = endpoint;
    }
    for (const struct ed_early *early = endpoint->early; early != NULL; early = early->next)
        take_from_peer(endpoint, &early->message);
    free_early(endpoint);
    take_from_peer(endpoint, message);
}

/* ------------------------------------------------------------------------------------ events -- */

static void take_receipt(ed_endpoint *endpoint, const eddy_event_receipt *receipt)
{
    eddy_guarantee guarantee = (eddy_guarantee)(receipt->receipt >> 40 & 0xf);
    ed_note *note = note_of(endpoint, receipt->receipt);

    CHECK_EQ(endpoint->name, receipt->receipt >> 44,
             (RECEIPT_MARK | (uint64_t)endpoint->ledger.tag << 44) >> 44);
    CHECK(endpoint->name, note != NULL && note->wants_receipt);
    CHECK_EQ(endpoint->name, note->outcome, 0); // it is told once
    CHECK(endpoint->name,
          receipt->outcome >= EDDY_OUTCOME_ACKED && receipt->outcome <= EDDY_OUTCOME_TOO_BIG);
    CHECK(endpoint->name, receipt->outcome != EDDY_OUTCOME_LOST ||
                              !ed_guarantee_owes_each(guarantee) || !note->has_come);
    note->outcome = (uint8_t)receipt->outcome;
    endpoint->receipts_told++;
    endpoint->outcomes[receipt->outcome]++;
}

static void take_end(ed_endpoint *endpoint, const eddy_event_disconnected *end, uint64_t now_ns)
{
    endpoint->disconnected = true;
    endpoint->disconnected_ns = now_ns;
    endpoint->end = *end;
    CHECK(endpoint->name, end->undelivered <= endpoint->reliable_sent);
}

static void take_request(ed_endpoint *endpoint)
{
    CHECK(endpoint->name, !endpoint->asked && !endpoint->connected && endpoint->incoming);
    endpoint->asked = true;
}

static void take_connected(ed_endpoint *endpoint, bool incoming, uint64_t now_ns)
{
    CHECK(endpoint->name, !endpoint->connected);
    CHECK_EQ(endpoint->name, incoming, endpoint->incoming);
    endpoint->connected = true;
    endpoint->connected_ns = now_ns;
}

static void take_writable(ed_endpoint *endpoint)
{
    endpoint->awaits_writable = false;
    endpoint->writables++;
    CHECK(endpoint->name, endpoint->writables <= endpoint->refusals);
}

void ed_endpoint_take(ed_endpoint *endpoint, const eddy_event *event, uint64_t now_ns)
{
    CHECK(endpoint->name, !endpoint->disconnected);
    switch (event->type) {
    case EDDY_CONNECTED:
        take_connected(endpoint, event->connected.incoming, now_ns);
        return;
    case EDDY_DISCONNECTED:
        take_end(endpoint, &event->disconnected, now_ns);
        return;
    case EDDY_MESSAGE:
        take_message(endpoint, &event->message);
        return;
    case EDDY_MOVED:
        CHECK(endpoint->name, endpoint->connected && endpoint->incoming);
        endpoint->moves++;
        endpoint->moved_to = event->moved.remote;
        return;
    case EDDY_WRITABLE:
        take_writable(endpoint);
        return;
    case EDDY_RECEIPT:
        take_receipt(endpoint, &event->receipt);
        return;
    case EDDY_CONNECT_REQUEST:
        take_request(endpoint);
        return;
    case EDDY_EVENT_NONE:
        break;
    }
    fail_msg("%s: an event of type %d", endpoint->name, (int)event->type);
}
