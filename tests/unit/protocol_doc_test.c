/** The examples of PROTOCOL.md: packets, their keys, and frames. */
#include "tests/unit/protocol_page.h"

#include <inttypes.h>

#include "core/alloc.h"
#include "transport/admission.h"
#include "transport/credit.h"
#include "transport/frame.h"
#include "transport/packet.h"

enum {
    EXAMPLE_ID = 0x0a000102,
    EXAMPLE_NUMBER = 9,
    EXAMPLE_SERVER = 4, /* a byte of the server's secret key */
};

/* ----------------------------------------------------------------------------------- numbers -- */

static void write_varints(struct text *text)
{
    static const uint64_t values[] = {
        0, 1, 63, 64, 16383, 16384, (1 << 30) - 1, 1 << 30, ED_VARINT_MAX};

    for (size_t i = 0; i < ED_COUNT(values); i++) {
        uint8_t data[8];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_write_varint(&w, values[i]);
        ed_reader r = ed_reader_of(data, ed_writer_size(&w));
        CHECK_EQ("read back", ed_read_varint(&r), values[i]);
        add(text, "%" PRIu64 ": ", values[i]);
        add_bytes(text, data, ed_writer_size(&w), NULL);
    }
}

/* ----------------------------------------------------------------------------------- packets -- */

static const uint64_t example_challenge = UINT64_C(0x0123456789abcdef);

/** What one end has: the secret to the server is all 0x01, to the client all 0x02. */
static ed_keys example_keys(bool is_client, ed_aead aead)
{
    uint8_t up[ED_KEY_SIZE], down[ED_KEY_SIZE];
    ed_keys keys;

    memset(up, 1, sizeof(up));
    memset(down, 2, sizeof(down));
    ed_keys_init(&keys, aead, is_client ? up : down, is_client ? down : up, 0);
    return keys;
}

static void add_keys(struct text *text, const ed_ratchet *ratchet)
{
    add_bytes(text, ratchet->key.key, ED_KEY_SIZE, "key");
    add_bytes(text, ratchet->key.iv, ED_AEAD_NONCE_SIZE, "iv");
    add_bytes(text, ratchet->mask, ED_MAC_KEY_SIZE, "mask key");
    add_bytes(text, ratchet->secret, ED_KEY_SIZE, "the next secret");
}

static void write_keys(struct text *text)
{
    ed_keys keys = example_keys(true, ED_AEAD_CHACHA20);

    add(text, "# the secret: 32 bytes of 0x01\n");
    add_keys(text, &keys.send);
}

/** A packet, and the keys of its two ends. */
struct example {
    ed_packet packet;
    ed_keys sender;
    ed_keys receiver;
    const char *what;
};

static struct example example_of(bool is_up, ed_aead aead, const char *what)
{
    return (struct example){.packet = {.from_client = is_up,
                                       .id = is_up ? EXAMPLE_ID : 0,
                                       .number = EXAMPLE_NUMBER,
                                       .number_size = ED_PACKET_NUMBER_SIZE_MIN},
                            .sender = example_keys(is_up, aead),
                            .receiver = example_keys(!is_up, aead),
                            .what = what};
}

/** The other end takes it. */
static void check_packet(struct example *example, const uint8_t *sent, size_t size,
                         const ed_writer *frames)
{
    const ed_packet *packet = &example->packet;
    ed_keys *keys = &example->receiver;
    uint8_t data[256];
    ed_packet read;

    memcpy(data, sent, size);
    CHECK("unmask", ed_keys_unmask(keys, data, packet->number_at, size));
    CHECK_EQ("parse", ed_packet_parse(&read, data, size), EDDY_OK);
    CHECK_EQ("number", read.number, packet->number);
    CHECK_EQ("id", read.id, packet->id);
    CHECK_EQ("phase", read.phase, packet->phase);
    CHECK("open",
          ed_keys_open(keys, read.phase, read.number, data, read.header_size, size, 0, 0, 0));
    CHECK_BYTES("frames", data + read.header_size, frames->begin, ed_writer_size(frames));
    CHECK_EQ("followed", keys->send_phase, packet->phase);
}

/** Seals frames into a packet, opens it again, and writes it down. */
static void write_packet(struct text *text, struct example *example, const ed_writer *frames)
{
    ed_packet *packet = &example->packet;
    uint8_t data[256];
    size_t header = ed_packet_write(packet, data);
    size_t plain = ed_writer_size(frames), at = 0;

    add_bytes(text, data, header, "header");
    add_bytes(text, frames->begin, plain, example->what);
    add(text, "as it is sent:\n");
    memcpy(data + header, frames->begin, plain);
    ed_keys_seal(&example->sender, packet->number, data, packet->number_at, header, header + plain);
    check_packet(example, data, header + plain + ED_TAG_SIZE, frames);
    add_field(text, data, &at, 1, "first byte, masked");
    if (packet->from_client)
        add_field(text, data, &at, ED_PACKET_ID_SIZE, "id");
    add_field(text, data, &at, packet->number_size, "number, masked");
    add_field(text, data, &at, plain, "frames, sealed");
    add_field(text, data, &at, ED_TAG_SIZE, "tag");
}

static const ed_message_frame hello_message = {
    .guarantee = ED_WIRE_RELIABLE_ORDERED,
    .sequence_bits = 16,
    .sequence = 7,
    .data = {.data = (const uint8_t *)"hello", .size = 5},
};

static void write_up(struct text *text, ed_aead aead)
{
    struct example example =
        example_of(true, aead, "MESSAGE: reliable ordered, sequence 7, \"hello\" to the end");
    uint8_t data[64];
    ed_writer frames = ed_writer_of(data, sizeof(data));

    if (!ed_aead_available(aead))
        return;
    ed_frame_write_message(&frames, &hello_message);
    ed_frame_drop_length(&frames, data, &hello_message);
    add(text, "# id 0x%08x, number %d, suite %d, secret all 0x01\n", (unsigned)EXAMPLE_ID,
        EXAMPLE_NUMBER, (int)aead);
    write_packet(text, &example, &frames);
}

static void put_ack(ed_writer *frames)
{
    static ed_range range = {0, 9};
    static const ed_ranges ranges = {.range = &range, .count = 1, .capacity = 1};

    ed_frame_write_ack(frames, &ranges, 1000);
}

static void write_down(struct text *text, ed_aead aead)
{
    struct example example = example_of(false, aead, "ACK of 0-9, 1,000 us after 9 came");
    uint8_t data[64];
    ed_writer frames = ed_writer_of(data, sizeof(data));

    if (!ed_aead_available(aead))
        return;
    put_ack(&frames);
    add(text, "# number %d, suite %d, secret all 0x02\n", EXAMPLE_NUMBER, (int)aead);
    write_packet(text, &example, &frames);
}

static void write_packet_up(struct text *text)
{
    write_up(text, ED_AEAD_CHACHA20);
}

static void write_packet_down(struct text *text)
{
    write_down(text, ED_AEAD_CHACHA20);
}

static void write_packet_up_aes(struct text *text)
{
    write_up(text, ED_AEAD_AES256);
}

static void write_packet_down_aes(struct text *text)
{
    write_down(text, ED_AEAD_AES256);
}

static void write_packet_challenge(struct text *text)
{
    struct example example =
        example_of(false, ED_AEAD_CHACHA20, "PATH_CHALLENGE: 8 unpredictable bytes");
    uint8_t data[64];
    ed_writer frames = ed_writer_of(data, sizeof(data));

    ed_frame_write_path(&frames, ED_FRAME_PATH_CHALLENGE, example_challenge);
    add(text, "# number %d, suite 1, secret all 0x02\n", EXAMPLE_NUMBER);
    write_packet(text, &example, &frames);
}

/** The first packet behind a key update. */
static void write_packet_update(struct text *text)
{
    struct example example =
        example_of(false, ED_AEAD_CHACHA20, "ACK of 0-9, 1,000 us after 9 came");
    uint8_t data[64];
    ed_writer frames = ed_writer_of(data, sizeof(data));

    put_ack(&frames);
    example.sender.update_packets = 1;
    ed_keys_on_acked(&example.sender, EXAMPLE_NUMBER - 1);
    ed_keys_update(&example.sender, EXAMPLE_NUMBER, 0, 0);
    example.packet.phase = example.sender.send_phase;
    CHECK("updated", example.packet.phase);
    add(text, "# as packet-down, with the keys of the next secret\n");
    add_keys(text, &example.sender.send);
    write_packet(text, &example, &frames);
}

/* ------------------------------------------------------------------------------------- reset -- */

static void fill(void *context, void *data, size_t size)
{
    (void)context;
    memset(data, 0x3b, size);
}

/** What a server answers to a packet that is nobody's: randomness is all 0x3b here. */
static void write_reset(struct text *text)
{
    static const eddy_entropy entropy = {.fill = fill};
    static const eddy_address client = {
        .ip = {192, 0, 2, 7}, .port = 4242, .family = EDDY_FAMILY_IPV4};
    uint8_t packet[ED_CLIENT_PACKET_SIZE_MIN] = {0x61, 2, 1, 0, 10}, reply[ED_DATAGRAM_SIZE];
    eddy_datagram datagram = {.remote = client, .data = packet, .size = sizeof(packet)};
    eddy_config config = eddy_config_default();
    eddy_stats stats = {0};
    ed_load load = {0};
    ed_admitted admitted;
    ed_door door;
    eddy_key secret;
    size_t size = sizeof(reply), at = 0;

    memset(&secret, EXAMPLE_SERVER, sizeof(secret));
    config.secret_key = &secret;
    config.accept = true;
    config.entropy = &entropy;
    config.allocator = ed_alloc_default();
    ed_identity *identity = ed_identity_create(&config, &entropy, 0, 0);
    CHECK("memory", identity != NULL);
    CHECK_EQ("door", ed_door_init(&door, &config, &identity->cookies), EDDY_OK);
    ed_reliable server = {.shared = {.identity = identity, .entropy = &entropy, .stats = &stats},
                          .door = &door,
                          .admitted = &admitted,
                          .accepts = true};
    CHECK_EQ("answered", ed_admission_judge(&server, &datagram, &load, reply, &size, 0),
             ED_ADMIT_REPLY);
    add(text,
        "# to a packet of %d bytes from 192.0.2.7:4242 with id 0x%08x;\n"
        "# the server's secret key is all 0x04, randomness all 0x3b\n",
        (int)sizeof(packet), (unsigned)EXAMPLE_ID);
    add_field(text, reply, &at, size - ED_RESET_TOKEN_SIZE, "looks like a packet");
    add_field(text, reply, &at, ED_RESET_TOKEN_SIZE, "token");
    ed_door_free(&door);
    ed_identity_destroy(identity);
}

/* ------------------------------------------------------------------------------------ frames -- */

/** Reads a frame back; it must be of that type and fill its bytes. */
static void check_frame(const uint8_t *data, size_t size, ed_frame_type type)
{
    ed_reader r = ed_reader_of(data, size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    CHECK_EQ("read", ed_frame_read(&r, &frame), EDDY_OK);
    CHECK_EQ("type", frame.type, type);
    CHECK_EQ("left", ed_reader_left(&r), 0);
}

static void write_ack_frame(struct text *text)
{
    static ed_range places[] = {{98, 100}, {95, 95}, {10, 40}};
    static const ed_ranges ranges = {.range = places, .count = 3, .capacity = 3};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    ed_frame_write_ack(&w, &ranges, 1000);
    check_frame(data, ed_writer_size(&w), ED_FRAME_ACK);
    add_field(text, data, &at, 1, "ACK");
    add_field(text, data, &at, 2, "largest: 100");
    add_field(text, data, &at, 2, "delay: 1,000 us");
    add_field(text, data, &at, 1, "2 more ranges");
    add_field(text, data, &at, 1, "length 2: 98-100");
    add_field(text, data, &at, 2, "gap 1, length 0: 95");
    add_field(text, data, &at, ed_writer_size(&w) - at, "gap 53, length 30: 10-40");
}

static void write_close_frame(struct text *text)
{
    static const ed_close close = {.code = 7, .reason_size = 3, .reason = "bye"};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    ed_frame_write_close(&w, &close);
    check_frame(data, ed_writer_size(&w), ED_FRAME_CLOSE);
    add_field(text, data, &at, 1, "CLOSE");
    add_field(text, data, &at, 1, "cause: the application");
    add_field(text, data, &at, 1, "code: 7");
    add_field(text, data, &at, 1, "size of the reason");
    add_field(text, data, &at, ed_writer_size(&w) - at, "\"bye\"");
}

static void write_path_frames(struct text *text)
{
    static const struct {
        ed_frame_type type;
        const char *name;
    } rows[] = {
        {ED_FRAME_PATH_CHALLENGE, "PATH_CHALLENGE"},
        {ED_FRAME_PATH_RESPONSE, "PATH_RESPONSE"},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[16];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame_write_path(&w, rows[i].type, example_challenge);
        check_frame(data, ed_writer_size(&w), rows[i].type);
        add_bytes(text, data, ed_writer_size(&w), rows[i].name);
    }
}

static void write_time_frames(struct text *text)
{
    static const ed_time_frame answer = {
        .is_answer = true, .packet = 9, .held_ns = 2000000, .time_ns = 1000000000};
    uint8_t data[32];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    ed_frame_write_time(&w, &(ed_time_frame){.is_answer = false});
    check_frame(data, ed_writer_size(&w), ED_FRAME_TIME);
    add_field(text, data, &at, ed_writer_size(&w), "TIME: a question");
    ed_frame_write_time(&w, &answer);
    check_frame(data + at, ed_writer_size(&w) - at, ED_FRAME_TIME);
    add_field(text, data, &at, 2, "TIME: an answer");
    add_field(text, data, &at, 4, "to packet 9");
    add_field(text, data, &at, 4, "held for 2,000,000 ns");
    add_field(text, data, &at, 8, "time: 1,000,000,000 ns");
}

static void write_credit_frame(struct text *text)
{
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    ed_frame_write_credit(&w, 16384);
    check_frame(data, ed_writer_size(&w), ED_FRAME_CREDIT);
    add_field(text, data, &at, 1, "CREDIT");
    add_field(text, data, &at, ed_writer_size(&w) - at, "limit: 16,384");
}

static void write_skip_frame(struct text *text)
{
    ed_skip_frame skip = {.guarantee = ED_WIRE_RELIABLE_ORDERED,
                          .stream = 9,
                          .sequence = 0x11234,
                          .charge = ed_charge_upto(2000, 1152)};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    ed_frame_write_skip(&w, &skip);
    check_frame(data, ed_writer_size(&w), ED_FRAME_SKIP);
    add_field(text, data, &at, 1, "SKIP");
    add_field(text, data, &at, 1, "reliable ordered");
    add_field(text, data, &at, 1, "stream 9");
    add_field(text, data, &at, 4, "sequence 0x11234");
    add_field(text, data, &at, ed_writer_size(&w) - at, "charge: 128 + 1,152, a part of a message");
}

static void write_message_frames(struct text *text)
{
    static const uint8_t last_part[514] = "hi";
    static const struct {
        const char *name;
        ed_message_frame message;
        bool is_last;
    } rows[] = {
        {"unreliable, \"hi\" to the end of the packet", {.data = {(const uint8_t *)"hi", 2}}, true},
        {"unreliable, with its length", {.data = {(const uint8_t *)"hi", 2}}, false},
        {"unreliable on stream 5, empty", {.stream = 5}, false},
        {"unreliable sequenced, to the end",
         {.guarantee = 1, .data = {(const uint8_t *)"hi", 2}},
         true},
        {"reliable ordered, sequence 7, to the end",
         {.guarantee = 3, .sequence_bits = 16, .sequence = 7, .data = {(const uint8_t *)"hi", 2}},
         true},
        {"reliable ordered on stream 255, sequence 0x1234, with its length",
         {.guarantee = 3,
          .stream = 255,
          .sequence_bits = 16,
          .sequence = 0x1234,
          .data = {(const uint8_t *)"hi", 2}},
         false},
        {"the same, its sequence in 32 bits",
         {.guarantee = 3,
          .stream = 255,
          .sequence_bits = 32,
          .sequence = 0x1234,
          .data = {(const uint8_t *)"hi", 2}},
         false},
        {"reliable ordered, the last 514 of 1,154 bytes, to the end: the first 2 of them",
         {.guarantee = 3,
          .sequence_bits = 16,
          .sequence = 7,
          .fragment = true,
          .whole_size = 1154,
          .fragment_index = 5,
          .data = {last_part, sizeof(last_part)}},
         true},
        {"unreliable sequenced, the same: with a sequence, 2",
         {.guarantee = 1,
          .sequence_bits = 16,
          .sequence = 2,
          .fragment = true,
          .whole_size = 1154,
          .fragment_index = 5,
          .data = {last_part, sizeof(last_part)}},
         true},
    };

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[640];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame_write_message(&w, &rows[i].message);
        if (rows[i].is_last)
            ed_frame_drop_length(&w, data, &rows[i].message);
        check_frame(data, ed_writer_size(&w), ED_FRAME_MESSAGE);
        size_t zeros = rows[i].message.data.size - ed_min_size(rows[i].message.data.size, 2);
        add_bytes(text, data, ed_writer_size(&w) - zeros, rows[i].name);
    }
}

/** The frames of one packet, of which each but the first is told by the one before it. */
static void write_message_run(struct text *text)
{
    static const struct {
        const char *name;
        ed_span data;
    } rows[] = {
        {"reliable ordered on stream 5, sequence 0xffff, with its length",
         {(const uint8_t *)"hi", 2}},
        {"the next, sequence 0, of equal size", {(const uint8_t *)"yo", 2}},
        {"the next, sequence 1, with its length", {(const uint8_t *)"hey", 3}},
        {"the next, sequence 2, of equal size", {(const uint8_t *)"bye", 3}},
        {"the next, sequence 3, to the end of the packet", {(const uint8_t *)"!", 1}},
    };
    ed_message_frame message = {
        .guarantee = 3, .stream = 5, .sequence_bits = 16, .sequence = 0xffff};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));

    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        ed_message_frame before = message;
        uint8_t *at = w.at;
        message.data = rows[i].data;
        message.sequence = i == 0 ? message.sequence : ed_frame_next_sequence(&before);
        if (i == 0)
            ed_frame_write_message(&w, &message);
        else
            ed_frame_write_next(&w, &message, &before);
        if (i + 1 == ED_COUNT(rows))
            ed_frame_drop_length(&w, at, &message);
        add_bytes(text, at, (size_t)(w.at - at), rows[i].name);
    }
}

static const struct block examples[] = {
    {"varints", write_varints},
    {"packet-keys", write_keys},
    {"packet-up", write_packet_up},
    {"packet-down", write_packet_down},
    {"packet-up-aes", write_packet_up_aes},
    {"packet-down-aes", write_packet_down_aes},
    {"packet-challenge", write_packet_challenge},
    {"packet-update", write_packet_update},
    {"stateless-reset", write_reset},
    {"ack-frame", write_ack_frame},
    {"path-frames", write_path_frames},
    {"time-frames", write_time_frames},
    {"close-frame", write_close_frame},
    {"credit-frame", write_credit_frame},
    {"skip-frame", write_skip_frame},
    {"message-frames", write_message_frames},
    {"message-run", write_message_run},
};

int main(void)
{
    struct blocks blocks = {.word = "hex", .rows = examples, .count = ED_COUNT(examples)};

    return run_blocks(&blocks);
}
