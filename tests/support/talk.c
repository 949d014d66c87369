#include "tests/support/talk.h"

#include <string.h>

#include "core/base.h"

enum {
    SIZE_MIN = 2, /* a message says its number */
    SMALL_MAX = 200,
    MEDIUM_MAX = 4000,
};

void ed_talk_init(ed_talk *talk)
{
    talk->count = 0;
    memset(talk->heard_end, 0, sizeof(talk->heard_end));
}

ed_said ed_talk_choose(uint8_t what, uint16_t size, eddy_send_options *options)
{
    ed_said said = {.guarantee = what % ED_TALK_GUARANTEES,
                    .stream = what / ED_TALK_GUARANTEES % ED_TALK_STREAMS,
                    .expires = (what & 0x40) != 0};
    bool reliable = said.guarantee >= EDDY_RELIABLE_UNORDERED;

    *options = (eddy_send_options){.expire_ms = said.expires ? 1 + size % 300u : 0,
                                   .now_or_never = !reliable && (what & 0x80) != 0};
    unsigned largest = reliable ? ED_TALK_SIZE_MAX : EDDY_UNRELIABLE_SIZE_MAX;
    unsigned most = (size & 3) != 0 ? SMALL_MAX : (size & 31) != 0 ? MEDIUM_MAX : largest;
    said.size = (uint16_t)(SIZE_MIN + size % (most - SIZE_MIN + 1u));
    return said;
}

bool ed_talk_has_room(const ed_talk *talk)
{
    return talk->count < ED_TALK_MESSAGES_MAX;
}

/** What a message of that number is made of besides the number, as long as any. */
static const uint8_t *content_of(uint32_t number)
{
    static uint8_t table[ED_TALK_SIZE_MAX + ED_TALK_MESSAGES_MAX];
    static bool is_made;

    for (uint64_t i = 0; !is_made && i < sizeof(table); i++)
        table[i] = (uint8_t)((i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
    is_made = true;
    ED_ASSERT(number < ED_TALK_MESSAGES_MAX);
    return table + number;
}

void ed_talk_write(const ed_talk *talk, const ed_said *said, uint8_t *data)
{
    data[0] = (uint8_t)talk->count;
    data[1] = (uint8_t)(talk->count >> 8);
    memcpy(data + SIZE_MIN, content_of(talk->count), said->size - (size_t)SIZE_MIN);
}

void ed_talk_on_sent(ed_talk *talk, const ed_said *said)
{
    ED_ASSERT(ed_talk_has_room(talk));
    talk->said[talk->count++] = *said;
}

void ed_talk_on_heard(ed_talk *talk, const eddy_event_message *event)
{
    ED_ASSERT(event->size >= SIZE_MIN && event->size <= ED_TALK_SIZE_MAX);
    uint32_t number = (uint32_t)event->data[0] | (uint32_t)event->data[1] << 8;
    ED_ASSERT(number < talk->count);
    ed_said *said = &talk->said[number];
    ED_ASSERT(event->size == said->size && event->guarantee == said->guarantee);
    ED_ASSERT(event->stream == said->stream && !said->is_heard);
    ED_ASSERT(memcmp(event->data + SIZE_MIN, content_of(number), event->size - SIZE_MIN) == 0);
    said->is_heard = true;
    uint32_t *heard_end = &talk->heard_end[said->guarantee][said->stream];
    if (said->guarantee != EDDY_UNRELIABLE && said->guarantee != EDDY_RELIABLE_UNORDERED)
        ED_ASSERT(number >= *heard_end);
    ED_ASSERT(event->skipped == 0 || said->guarantee == EDDY_RELIABLE_ORDERED);
    *heard_end = number + 1;
}

void ed_talk_on_receipt(ed_talk *talk, const eddy_event_receipt *receipt)
{
    ED_ASSERT(receipt->receipt > 0 && receipt->receipt <= talk->count);
    ed_said *said = &talk->said[receipt->receipt - 1];
    ED_ASSERT(said->wants_receipt && said->outcome == 0 && receipt->outcome != 0);
    said->outcome = (uint8_t)receipt->outcome;
}

/** Whether it must arrive: nothing may have kept it back for good. */
static bool is_promised(const ed_talk *talk, uint32_t number)
{
    const ed_said *said = &talk->said[number];

    if (said->guarantee < EDDY_RELIABLE_UNORDERED || said->expires)
        return false;
    if (said->guarantee != EDDY_RELIABLE_SEQUENCED)
        return true;
    for (uint32_t i = number + 1; i < talk->count; i++)
        if (talk->said[i].guarantee == said->guarantee && talk->said[i].stream == said->stream)
            return false; // there is a newer one
    return true;
}

uint32_t ed_talk_missing(const ed_talk *talk)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < talk->count; i++)
        missing += !talk->said[i].is_heard && is_promised(talk, i) ? 1 : 0;
    return missing;
}

/** Whether it may have arrived, and wait for one before it that has not. */
static bool may_wait(const ed_talk *talk, uint32_t number)
{
    const ed_said *said = &talk->said[number];

    for (uint32_t i = 0; i < number; i++)
        if (talk->said[i].guarantee == said->guarantee && talk->said[i].stream == said->stream &&
            !talk->said[i].is_heard)
            return said->guarantee == EDDY_RELIABLE_ORDERED;
    return false;
}

void ed_talk_check_over(const ed_talk *talk, uint64_t undelivered)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < talk->count; i++) {
        const ed_said *said = &talk->said[i];
        ED_ASSERT(!said->wants_receipt || said->outcome != 0);
        if (said->is_heard || !is_promised(talk, i) || may_wait(talk, i))
            continue;
        ED_ASSERT(said->outcome != EDDY_OUTCOME_ACKED);
        missing++;
    }
    ED_ASSERT(missing <= undelivered);
}
