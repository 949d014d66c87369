/** What must hold of a connection when all is quiet. */
#include "tests/support/check.h"
#include "tests/support/oracle.h"

/** Whether the newest message of a reliable sequenced lane has not come. */
static bool owes_newest(const ed_book *book)
{
    if (book == NULL || book->count == 0)
        return false;
    const ed_note *newest = &book->notes[book->count - 1];
    if (newest->size < ED_NOTE_HEADER_SIZE)
        return book->tiny_came[newest->size] == 0;
    return !newest->has_come && !newest->may_expire;
}

bool ed_endpoint_owes(const ed_endpoint *endpoint)
{
    ed_book *const *books = endpoint->ledger.books[EDDY_RELIABLE_SEQUENCED];

    for (size_t i = 0; books != NULL && i < EDDY_STREAM_COUNT; i++)
        if (owes_newest(books[i]))
            return true;
    return endpoint->owed > 0;
}

static void check_note(const ed_endpoint *endpoint, eddy_guarantee guarantee, const ed_note *note,
                       ed_unheard *unheard)
{
    if (note->wants_receipt && note->outcome == 0)
        fail_msg("%s: node %u never heard of its message %u of %u bytes, guarantee %d",
                 endpoint->name, endpoint->node, note->number, note->size, (int)guarantee);
    if (note->outcome != EDDY_OUTCOME_ACKED || note->has_come ||
        ed_note_is_counted(note, guarantee))
        return;
    CHECK(endpoint->name, !ed_guarantee_owes_each(guarantee)); // it did arrive
    *(guarantee >= EDDY_RELIABLE_UNORDERED ? &unheard->sequenced : &unheard->unreliable) += 1;
}

static void check_book(const ed_endpoint *endpoint, eddy_guarantee guarantee, const ed_book *book,
                       ed_unheard *unheard)
{
    uint32_t expired = 0;

    for (uint32_t i = 0; i < book->count; i++) {
        check_note(endpoint, guarantee, &book->notes[i], unheard);
        expired += i < book->next && !book->notes[i].has_come &&
                           book->notes[i].outcome == EDDY_OUTCOME_EXPIRED
                       ? 1
                       : 0;
    }
    if (guarantee == EDDY_RELIABLE_ORDERED && !book->expires_unheard)
        CHECK_EQ(endpoint->name, book->skipped, expired);
}

void ed_endpoint_check_settled(const ed_endpoint *endpoint, ed_unheard *unheard)
{
    for (int g = 0; g < ED_GUARANTEE_COUNT; g++)
        for (size_t i = 0; endpoint->ledger.books[g] != NULL && i < EDDY_STREAM_COUNT; i++)
            if (endpoint->ledger.books[g][i] != NULL)
                check_book(endpoint, (eddy_guarantee)g, endpoint->ledger.books[g][i], unheard);
    CHECK_EQ(endpoint->name, endpoint->receipts_told, endpoint->receipts_wanted);
    CHECK(endpoint->name, !endpoint->awaits_writable);
    CHECK(endpoint->name, !ed_endpoint_owes(endpoint));
}

uint64_t ed_endpoint_sent(const ed_endpoint *endpoint)
{
    return endpoint->reliable_sent;
}

uint64_t ed_endpoint_received(const ed_endpoint *endpoint)
{
    return endpoint->reliable_received;
}
