/**
 * What the programs at two ends say to each other, by number: each message is made of its number,
 * so that whoever hears it can tell whether it is whole, new and in order. For fuzz targets: what
 * should not be is asserted.
 */
#ifndef ED_TEST_TALK_H
#define ED_TEST_TALK_H

#include "core/eddy.h"

enum {
    ED_TALK_STREAMS = 2,
    ED_TALK_MESSAGES_MAX = 256,
    ED_TALK_SIZE_MAX = 20000,
    ED_TALK_GUARANTEES = EDDY_RELIABLE_SEQUENCED + 1,
};

typedef struct ed_said {
    uint16_t size;
    uint8_t guarantee;
    uint8_t stream;
    bool expires;
    bool is_heard;
    bool wants_receipt;
    uint8_t outcome; /* of the receipt that came; 0: none yet */
} ed_said;

/** What one end has said, and what the other has heard of it. Zeroed: nothing. */
typedef struct ed_talk {
    uint32_t count;
    /** Above the newest message that was heard, by its number. */
    uint32_t heard_end[ED_TALK_GUARANTEES][ED_TALK_STREAMS];
    ed_said said[ED_TALK_MESSAGES_MAX]; /* `count` of them */
} ed_talk;

/** Nothing is said yet. */
void ed_talk_init(ed_talk *talk);

/** A message as two numbers choose it, small ones more often than large ones, and how it is sent.
 */
ed_said ed_talk_choose(uint8_t what, uint16_t size, eddy_send_options *options);

/** Whether one more fits. */
bool ed_talk_has_room(const ed_talk *talk);

/** Writes the next message. @param data `said->size` bytes. */
void ed_talk_write(const ed_talk *talk, const ed_said *said, uint8_t *data);

/** It was accepted. */
void ed_talk_on_sent(ed_talk *talk, const ed_said *said);

/** The other end has heard a message. */
void ed_talk_on_heard(ed_talk *talk, const eddy_event_message *event);

/** What became of a message is told; the receipt's number is the message's and one. */
void ed_talk_on_receipt(ed_talk *talk, const eddy_event_receipt *receipt);

/** How many messages were not heard that nothing may have kept back for good. */
uint32_t ed_talk_missing(const ed_talk *talk);

/**
 * The connection is over, for both: all receipts were told, none of them says that a message
 * arrived that was not heard, and `undelivered` is enough for what was not.
 */
void ed_talk_check_over(const ed_talk *talk, uint64_t undelivered);

#endif
