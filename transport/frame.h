/** Frames: what a packet says. PROTOCOL.md section 4. */
#ifndef ED_FRAME_H
#define ED_FRAME_H

#include "core/ranges.h"
#include "core/reader.h"
#include "core/writer.h"
#include "transport/limits.h"

/** The first byte of a frame; a message uses all values from 0x80 up. */
typedef enum ed_frame_type {
    ED_FRAME_PADDING = 0,
    ED_FRAME_PING,
    ED_FRAME_ACK,
    ED_FRAME_CREDIT,
    ED_FRAME_SKIP,
    ED_FRAME_CLOSE,
    ED_FRAME_PATH_CHALLENGE,
    ED_FRAME_PATH_RESPONSE,
    ED_FRAME_NEW_ID,
    ED_FRAME_RETIRE_ID,
    ED_FRAME_TIME,
    ED_FRAME_TICKET,
    ED_FRAME_MESSAGE, /* 0x80-0xff on the wire */
    ED_FRAME_TYPE_COUNT
} ed_frame_type;

/** Who said CLOSE. */
typedef enum ed_close_cause {
    ED_CLOSE_APPLICATION = 0, /* code and reason are the program's */
    ED_CLOSE_PROTOCOL = 1,    /* the receiver of this frame broke the protocol */
    ED_CLOSE_MEMORY = 2,      /* the sender has no memory to go on */
    ED_CLOSE_CAUSE_COUNT
} ed_close_cause;

typedef struct ed_close {
    uint8_t cause; /* ed_close_cause */
    uint32_t code;
    uint8_t reason_size;
    char reason[EDDY_REASON_SIZE];
} ed_close;

typedef struct ed_ack_frame {
    uint64_t delay_us;
    uint32_t count;                    /* 1-32 */
    ed_range range[ED_ACK_RANGES_MAX]; /* newest first */
} ed_ack_frame;

/** A guarantee on the wire takes three bits; the values are those of eddy_guarantee. */
enum {
    ED_WIRE_UNRELIABLE = 0,
    ED_WIRE_UNRELIABLE_SEQUENCED = 1,
    ED_WIRE_RELIABLE_UNORDERED = 2,
    ED_WIRE_RELIABLE_ORDERED = 3,
    ED_WIRE_RELIABLE_SEQUENCED = 4,
    ED_WIRE_GUARANTEE_COUNT
};

/** A message, or a part of one. */
typedef struct ed_message_frame {
    uint8_t guarantee; /* ED_WIRE_* */
    uint8_t stream;
    uint8_t sequence_bits; /* 0: none, 16 or 32 */
    bool fragment;
    uint32_t sequence;       /* its low bits */
    uint64_t whole_size;     /* of the whole message, if a fragment */
    uint64_t fragment_index; /* in ED_FRAGMENT_UNITs, if a fragment */
    ed_span data;            /* in the packet */
} ed_message_frame;

/** Whole messages of a lane, of which each but the first is told by the one before it. */
typedef struct ed_message_run {
    ed_message_frame first;
    size_t count; /* with the first, whose data stand here, too */
    size_t sizes[ED_FRAME_MESSAGES_MAX];
    const uint8_t *data[ED_FRAME_MESSAGES_MAX]; /* in the packet */
} ed_message_run;

/** A reliable message that its sender has given up. */
typedef struct ed_skip_frame {
    uint8_t guarantee; /* ED_WIRE_RELIABLE_* */
    uint8_t stream;
    uint32_t sequence; /* its low 32 bits */
    uint64_t charge;   /* what has been charged for it */
} ed_skip_frame;

/** A question what time it is, or the answer to one. */
typedef struct ed_time_frame {
    bool is_answer;
    uint32_t packet;  /* the question's; the low bits of its number */
    uint64_t held_ns; /* how long it waited for the answer to leave, */
    uint64_t time_ns; /* and what time it was then */
} ed_time_frame;

enum { ED_SKIP_SIZE_MAX = 1 + 1 + 1 + 4 + 8 };
enum { ED_TIME_SIZE_MAX = 1 + 1 + 4 + 8 + 8 };
enum { ED_CREDIT_SIZE_MAX = 1 + 8 };

/* What a message may save by following another: stream, sequence, length. */
enum { ED_FRAME_NEXT_SAVES_MAX = 1 + 4 + 2 };

typedef struct ed_frame {
    ed_frame_type type;
    union {
        ed_ack_frame ack;
        ed_close close;
        ed_message_frame message;
        uint64_t credit;
        uint64_t challenge; /* PATH_CHALLENGE and PATH_RESPONSE */
        ed_skip_frame skip;
        struct {
            uint64_t sequence;
            uint32_t id;             /* NEW_ID */
            uint8_t reset_token[16]; /* NEW_ID */
        } id;
        ed_time_frame time;
        uint8_t ticket[ED_COOKIE_SIZE];
    };
} ed_frame;

/**
 * Takes one frame. EDDY_ETRUNCATED if there is none; EDDY_EPROTO if the packet ends inside it or it
 * says what may not be said. `*frame` is meaningful on success only; a run of PADDING is one frame.
 * @param frame the one before it in the packet, as a message may be told by what differs from that;
 * ED_FRAME_PADDING before the first.
 */
EDDY_MUST_CHECK eddy_status ed_frame_read(ed_reader *r, ed_frame *frame);

/**
 * Takes what follows a whole message that was read, `most` with that, until something else comes,
 * or what may not be said: that is left to ed_frame_read.
 * @param last the message; then the last of those that follow. @return how many there are.
 */
size_t ed_frame_read_run(ed_reader *r, ed_message_frame *last, size_t most, ed_message_run *run);

/** What is legal where, and what obliges the receiver to acknowledge. */
typedef struct ed_frame_rule {
    const char *name;
    uint32_t states; /* bits of ed_conn_state: where it may arrive and is acted on */
    bool ack_eliciting;
} ed_frame_rule;

extern const ed_frame_rule ed_frame_rules[ED_FRAME_TYPE_COUNT];

static inline const ed_frame_rule *ed_frame_rule_of(ed_frame_type type)
{
    ED_ASSERT(type < ED_FRAME_TYPE_COUNT);
    return &ed_frame_rules[type];
}

void ed_frame_write_ack(ed_writer *w, const ed_ranges *ranges, uint64_t delay_us);
void ed_frame_write_close(ed_writer *w, const ed_close *close);
void ed_frame_write_credit(ed_writer *w, uint64_t limit);
void ed_frame_write_skip(ed_writer *w, const ed_skip_frame *skip);

void ed_frame_write_time(ed_writer *w, const ed_time_frame *time);

/** Whether a message carries a sequence: an unreliable one in one piece does not need it. */
static inline bool ed_frame_has_sequence(uint8_t guarantee, bool fragment)
{
    return guarantee >= ED_WIRE_RELIABLE_UNORDERED || fragment;
}

/** PATH_CHALLENGE or PATH_RESPONSE. */
void ed_frame_write_path(ed_writer *w, ed_frame_type type, uint64_t data);

/** The low bits of a sequence that the wire has. */
static inline uint32_t ed_frame_sequence_mask(const ed_message_frame *message)
{
    return (uint32_t)((UINT64_C(1) << message->sequence_bits) - 1);
}

/** The sequence of one that is `count` further on in its lane, as the wire has it. */
static inline uint32_t ed_frame_later_sequence(const ed_message_frame *message, size_t count)
{
    return (message->sequence + (uint32_t)count) & ed_frame_sequence_mask(message);
}

static inline uint32_t ed_frame_next_sequence(const ed_message_frame *message)
{
    return ed_frame_later_sequence(message, 1);
}

/** Whether a message is the next of its lane behind the one before it, and both are whole. */
static inline bool ed_frame_follows(const ed_message_frame *message, const ed_message_frame *before)
{
    return message->guarantee == before->guarantee && message->stream == before->stream &&
           message->sequence_bits == before->sequence_bits && !message->fragment &&
           !before->fragment && message->sequence == ed_frame_next_sequence(before);
}

/** One message of a run. */
static inline ed_message_frame ed_message_of_run(const ed_message_run *run, size_t i)
{
    ed_message_frame message = run->first;

    message.sequence = ed_frame_later_sequence(&run->first, i);
    message.data = (ed_span){.data = run->data[i], .size = run->sizes[i]};
    return message;
}

/** The bytes before a message's data, length included, if it does not follow another. */
static inline size_t ed_frame_message_overhead(const ed_message_frame *message)
{
    size_t fragment = message->fragment ? ed_varint_size(message->whole_size) +
                                              ed_varint_size(message->fragment_index)
                                        : 0;
    return 1u + (message->stream != 0) + message->sequence_bits / 8u + fragment +
           ed_varint_size(message->data.size);
}

/** The same of one that does follow another. */
static inline size_t ed_frame_next_overhead(const ed_message_frame *message,
                                            const ed_message_frame *before)
{
    bool is_equal = message->data.size == before->data.size;

    return 1u + (is_equal ? 0 : ed_varint_size(message->data.size));
}

/** Writes a message with its length. */
void ed_frame_write_message(ed_writer *to, const ed_message_frame *message);

/** Writes one that follows `before`, which stands right before it in the packet. */
void ed_frame_write_next(ed_writer *to, const ed_message_frame *message,
                         const ed_message_frame *before);

/**
 * Takes the length, if it has one, out of the message that was written last, from `at` to the
 * writer's end.
 */
void ed_frame_drop_length(ed_writer *w, uint8_t *at, const ed_message_frame *message);

#endif
