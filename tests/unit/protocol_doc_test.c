/**
 * The examples of transport/PROTOCOL.md against what the code writes. EDDY_PRINT=1 prints all
 * blocks as the page should have them. EDDY_ROOT is the project's top folder; without it, here.
 */
#include "tests/support/check.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base.h"
#include "transport/credit.h"
#include "transport/frame.h"
#include "transport/handshake.h"
#include "transport/packet.h"

enum {
    PAGE_MAX = 256 * 1024,
    BLOCK_MAX = 8 * 1024,
    LINE_BYTES = 16,
    COMMENT_AT = 50, /* the column where comments stand */
    HELLO_HEAD_SIZE = 80,
};

/** The text of one block while it is written. */
struct text {
    char data[BLOCK_MAX];
    size_t size;
};

/** What a block's first comment may choose. */
struct choice {
    uint32_t id;
    uint64_t number;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size =
        vsnprintf(text->data + text->size, sizeof(text->data) - text->size, format, arguments);
    va_end(arguments);
    ED_ASSERT(size >= 0 && (size_t)size < sizeof(text->data) - text->size);
    text->size += (size_t)size;
}

/** Adds bytes, 16 on a line, with a comment on the first. */
static void add_bytes(struct text *text, const uint8_t *data, size_t size, const char *comment)
{
    for (size_t at = 0; at < size; at += LINE_BYTES) {
        size_t end = ed_min_size(at + LINE_BYTES, size);
        for (size_t i = at; i < end; i++)
            add(text, i == at ? "%02x" : " %02x", data[i]);
        if (at == 0 && comment != NULL)
            add(text, "%*s# %s", (int)(COMMENT_AT - (3 * (end - at) - 1)), "", comment);
        add(text, "\n");
    }
}

/** One field of a longer run of bytes: moves `*at` behind it. */
static void add_field(struct text *text, const uint8_t *data, size_t *at, size_t size,
                      const char *comment)
{
    add_bytes(text, data + *at, size, comment);
    *at += size;
}

/* ------------------------------------------------------------------------------- the blocks -- */

static void write_varints(struct text *text, const struct choice *choice)
{
    static const uint64_t values[] = {
        0, 1, 63, 64, 16383, 16384, (1 << 30) - 1, 1 << 30, ED_VARINT_MAX};

    (void)choice;
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

static ed_keys example_keys(void)
{
    uint8_t nonce[ED_NONCE_SIZE], client[ED_EPHEMERAL_SIZE], server[ED_EPHEMERAL_SIZE];

    memset(nonce, 1, sizeof(nonce));
    memset(client, 2, sizeof(client));
    memset(server, 3, sizeof(server));
    return ed_protect_packet_keys(nonce, client, server);
}

/** Seals frames into a packet, opens it again, and writes it down. */
static void write_packet(struct text *text, ed_packet packet, const ed_writer *frames,
                         const char *what)
{
    ed_keys keys = example_keys();
    const ed_key *key = &keys.packet[packet.from_client ? ED_TO_SERVER : ED_TO_CLIENT];
    uint8_t data[256];
    size_t header = ed_packet_write(&packet, data);
    size_t plain = ed_writer_size(frames), at = 0;

    memcpy(data + header, frames->begin, plain);
    ed_protect_seal(key, packet.number, data, header, header + plain);
    add_field(text, data, &at, 1, "first byte");
    if (packet.from_client)
        add_field(text, data, &at, ED_PACKET_ID_SIZE, "id");
    add_field(text, data, &at, packet.number_size, "number");
    add_field(text, data, &at, plain, what);
    add_field(text, data, &at, ED_TAG_SIZE, "tag");
    ed_packet read;
    CHECK_EQ("parse", ed_packet_parse(&read, data, at), EDDY_OK);
    CHECK_EQ("number", read.number, packet.number);
    CHECK_EQ("id", read.id, packet.id);
    CHECK("open", ed_protect_open(key, packet.number, data, read.header_size, at));
}

static const ed_message_frame hello_message = {
    .guarantee = ED_WIRE_RELIABLE_ORDERED,
    .sequence_bits = 16,
    .sequence = 7,
    .data = {.data = (const uint8_t *)"hello", .size = 5},
};

static void write_packet_up(struct text *text, const struct choice *choice)
{
    uint8_t data[64];
    ed_writer frames = ed_writer_of(data, sizeof(data));

    ed_frame_write_message(&frames, &hello_message);
    ed_frame_drop_length(&frames, data, &hello_message);
    add(text, "# id=0x%08" PRIx32 " number=%" PRIu64 "\n", choice->id, choice->number);
    write_packet(text,
                 (ed_packet){.from_client = true,
                             .id = choice->id,
                             .number = choice->number,
                             .number_size = ED_PACKET_NUMBER_SIZE_MIN},
                 &frames, "MESSAGE: reliable ordered, sequence 7, \"hello\" to the end");
}

static void write_packet_down(struct text *text, const struct choice *choice)
{
    static const ed_ranges ranges = {.range = {{0, 9}}, .count = 1};
    uint8_t data[64];
    ed_writer frames = ed_writer_of(data, sizeof(data));

    ed_frame_write_ack(&frames, &ranges, 1000);
    add(text, "# number=%" PRIu64 "\n", choice->number);
    write_packet(text,
                 (ed_packet){.number = choice->number, .number_size = ED_PACKET_NUMBER_SIZE_MIN},
                 &frames, "ACK of 0-9, 1,000 us after 9 came");
}

static const uint64_t example_challenge = UINT64_C(0x0123456789abcdef);

static void write_packet_challenge(struct text *text, const struct choice *choice)
{
    uint8_t data[64];
    ed_writer frames = ed_writer_of(data, sizeof(data));

    ed_frame_write_path(&frames, ED_FRAME_PATH_CHALLENGE, example_challenge);
    add(text, "# number=%" PRIu64 "\n", choice->number);
    write_packet(text,
                 (ed_packet){.number = choice->number, .number_size = ED_PACKET_NUMBER_SIZE_MIN},
                 &frames, "PATH_CHALLENGE: 8 unpredictable bytes");
}

/** Reads a frame back; it must be of that type and fill its bytes. */
static void check_frame(const uint8_t *data, size_t size, ed_frame_type type)
{
    ed_reader r = ed_reader_of(data, size);
    ed_frame frame;

    CHECK_EQ("read", ed_frame_read(&r, &frame), EDDY_OK);
    CHECK_EQ("type", frame.type, type);
    CHECK_EQ("left", ed_reader_left(&r), 0);
}

static void write_ack_frame(struct text *text, const struct choice *choice)
{
    static const ed_ranges ranges = {.range = {{98, 100}, {95, 95}, {10, 40}}, .count = 3};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    (void)choice;
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

static void write_close_frame(struct text *text, const struct choice *choice)
{
    static const ed_close close = {.code = 7, .reason_size = 3, .reason = "bye"};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    (void)choice;
    ed_frame_write_close(&w, &close);
    check_frame(data, ed_writer_size(&w), ED_FRAME_CLOSE);
    add_field(text, data, &at, 1, "CLOSE");
    add_field(text, data, &at, 1, "cause: the application");
    add_field(text, data, &at, 1, "code: 7");
    add_field(text, data, &at, 1, "size of the reason");
    add_field(text, data, &at, ed_writer_size(&w) - at, "\"bye\"");
}

static void write_path_frames(struct text *text, const struct choice *choice)
{
    static const struct {
        ed_frame_type type;
        const char *name;
    } rows[] = {
        {ED_FRAME_PATH_CHALLENGE, "PATH_CHALLENGE"},
        {ED_FRAME_PATH_RESPONSE, "PATH_RESPONSE"},
    };

    (void)choice;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[16];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame_write_path(&w, rows[i].type, example_challenge);
        check_frame(data, ed_writer_size(&w), rows[i].type);
        add_bytes(text, data, ed_writer_size(&w), rows[i].name);
    }
}

static void write_credit_frame(struct text *text, const struct choice *choice)
{
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    (void)choice;
    ed_frame_write_credit(&w, 16384);
    check_frame(data, ed_writer_size(&w), ED_FRAME_CREDIT);
    add_field(text, data, &at, 1, "CREDIT");
    add_field(text, data, &at, ed_writer_size(&w) - at, "limit: 16,384");
}

static void write_skip_frame(struct text *text, const struct choice *choice)
{
    ed_skip_frame skip = {.guarantee = ED_WIRE_RELIABLE_ORDERED,
                          .stream = 9,
                          .sequence = 0x11234,
                          .charge = ed_charge_upto(2000, ED_PAGE_SIZE)};
    uint8_t data[64];
    ed_writer w = ed_writer_of(data, sizeof(data));
    size_t at = 0;

    (void)choice;
    ed_frame_write_skip(&w, &skip);
    check_frame(data, ed_writer_size(&w), ED_FRAME_SKIP);
    add_field(text, data, &at, 1, "SKIP");
    add_field(text, data, &at, 1, "reliable ordered");
    add_field(text, data, &at, 1, "stream 9");
    add_field(text, data, &at, 4, "sequence 0x11234");
    add_field(text, data, &at, ed_writer_size(&w) - at,
              "charge: 128 + 1,152, one page of a message in parts");
}

static void write_message_frames(struct text *text, const struct choice *choice)
{
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
        {"reliable ordered, the last 2 of 1,154 bytes, to the end",
         {.guarantee = 3,
          .sequence_bits = 16,
          .sequence = 7,
          .fragment = true,
          .whole_size = 1154,
          .fragment_index = 9,
          .data = {(const uint8_t *)"hi", 2}},
         true},
        {"unreliable sequenced, the same: with a sequence, 2",
         {.guarantee = 1,
          .sequence_bits = 16,
          .sequence = 2,
          .fragment = true,
          .whole_size = 1154,
          .fragment_index = 9,
          .data = {(const uint8_t *)"hi", 2}},
         true},
    };

    (void)choice;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        uint8_t data[64];
        ed_writer w = ed_writer_of(data, sizeof(data));
        ed_frame_write_message(&w, &rows[i].message);
        if (rows[i].is_last)
            ed_frame_drop_length(&w, data, &rows[i].message);
        check_frame(data, ed_writer_size(&w), ED_FRAME_MESSAGE);
        add_bytes(text, data, ed_writer_size(&w), rows[i].name);
    }
}

static void write_hello_head(struct text *text, const struct choice *choice)
{
    ed_hello hello = {.version = ED_PROTOCOL_VERSION,
                      .mode = ED_MODE_PLAIN,
                      .version_count = 1,
                      .versions = {ED_PROTOCOL_VERSION},
                      .protocol_id = UINT64_C(0x1122334455667788)};
    uint8_t data[ED_HELLO_SIZE];
    size_t at = 0;

    (void)choice;
    memset(hello.nonce, 1, sizeof(hello.nonce));
    ed_hello_write(data, &hello);
    add_field(text, data, &at, 1, "HELLO");
    add_field(text, data, &at, 4, "version: 1");
    add_field(text, data, &at, 1, "mode: plain");
    add_field(text, data, &at, 1, "one version follows");
    add_field(text, data, &at, 1, "0");
    add_field(text, data, &at, 8, "protocol id: 0x1122334455667788");
    add_field(text, data, &at, ED_NONCE_SIZE, "nonce");
    add_field(text, data, &at, 4 * ED_VERSIONS_MAX, "versions: 1, and 7 places");
    add_field(text, data, &at, ED_MAC_SIZE, "mac1");
    CHECK_EQ("all but the padding", at, HELLO_HEAD_SIZE);
    CHECK_EQ("parse", ed_hello_parse(&hello, data, sizeof(data)), EDDY_OK);
}

static void write_retry(struct text *text, const struct choice *choice)
{
    ed_retry retry = {.version = ED_PROTOCOL_VERSION};
    uint8_t data[ED_RETRY_SIZE];
    size_t at = 0;

    (void)choice;
    memset(retry.nonce, 1, sizeof(retry.nonce));
    for (size_t i = 0; i < sizeof(retry.cookie); i++)
        retry.cookie[i] = (uint8_t)i;
    ed_retry_write(data, &retry);
    add_field(text, data, &at, 1, "RETRY");
    add_field(text, data, &at, 4, "version: 1");
    add_field(text, data, &at, 3, "0");
    add_field(text, data, &at, ED_NONCE_SIZE, "the client's nonce");
    add_field(text, data, &at, ED_COOKIE_SIZE, "cookie, here counted up");
    CHECK_EQ("all", at, sizeof(data));
    CHECK_EQ("parse", ed_retry_parse(&retry, data, sizeof(data)), EDDY_OK);
}

static void write_accept(struct text *text, const struct choice *choice)
{
    ed_accept accept = {.suite = ED_SUITE_NULL,
                        .id = choice->id,
                        .datagram_size = ED_DATAGRAM_SIZE,
                        .credit = 32768,
                        .message_max = 65536,
                        .idle_timeout_ms = 10000,
                        .server_time_us = 1000000};
    uint8_t data[ED_ACCEPT_SIZE], client[ED_EPHEMERAL_SIZE];
    size_t at = 0;

    memset(accept.nonce, 1, sizeof(accept.nonce));
    memset(client, 2, sizeof(client));
    memset(accept.ephemeral, 3, sizeof(accept.ephemeral));
    ed_key key = ed_protect_accept_key(accept.nonce, client);
    ed_accept_write(data, &accept, &key);
    add(text, "# id=0x%08" PRIx32 "\n", choice->id);
    add_field(text, data, &at, 1, "ACCEPT");
    add_field(text, data, &at, 3, "0");
    add_field(text, data, &at, ED_NONCE_SIZE, "the client's nonce");
    add_field(text, data, &at, ED_EPHEMERAL_SIZE, "server ephemeral");
    add_field(text, data, &at, 1, "accepted");
    add_field(text, data, &at, 1, "suite: 7");
    add_field(text, data, &at, 2, "key update interval, 0");
    add_field(text, data, &at, 4, "id");
    add_field(text, data, &at, 2, "largest datagram: 1,200");
    add_field(text, data, &at, 2, "streams: 256");
    add_field(text, data, &at, 4, "idle timeout: 10,000 ms");
    add_field(text, data, &at, 4, "credit: 32,768");
    add_field(text, data, &at, 24, "reset token, client index, clients");
    add_field(text, data, &at, 8, "server's time: 1,000,000 us");
    add_field(text, data, &at, 28, "features, ticket");
    add_field(text, data, &at, 4, "largest message: 65,536");
    add_field(text, data, &at, ED_ACCEPT_SIZE - ED_TAG_SIZE - at, "zeros");
    add_field(text, data, &at, ED_TAG_SIZE, "tag");
    CHECK_EQ("open", ed_accept_open(&accept, &key, data, sizeof(data)), EDDY_OK);
}

static void write_refusal(struct text *text, const struct choice *choice)
{
    static const char reason[] = "banned";
    ed_accept accept = {.refusal = EDDY_REFUSED_BY_PROGRAM,
                        .suite = ED_SUITE_NULL,
                        .code = 7,
                        .reason_size = sizeof(reason) - 1};
    uint8_t data[ED_ACCEPT_SIZE], client[ED_EPHEMERAL_SIZE];
    size_t at = 52; // the clear part is as above

    (void)choice;
    memcpy(accept.reason, reason, sizeof(reason));
    memset(accept.nonce, 1, sizeof(accept.nonce));
    memset(client, 2, sizeof(client));
    memset(accept.ephemeral, 3, sizeof(accept.ephemeral));
    ed_key key = ed_protect_accept_key(accept.nonce, client);
    ed_accept_write(data, &accept, &key);
    add_field(text, data, &at, 1, "refused by the program");
    add_field(text, data, &at, 1, "suite: 7");
    add_field(text, data, &at, 2, "0");
    add_field(text, data, &at, 4, "code: 7");
    add_field(text, data, &at, 1, "size of the reason");
    add_field(text, data, &at, accept.reason_size, "\"banned\"");
    add_field(text, data, &at, ED_ACCEPT_SIZE - ED_TAG_SIZE - at, "zeros");
    add_field(text, data, &at, ED_TAG_SIZE, "tag");
    CHECK_EQ("open", ed_accept_open(&accept, &key, data, sizeof(data)), EDDY_OK);
    CHECK_STR("reason", accept.reason, reason);
}

/** The sealed part of INITIATE, before it is sealed, up to the payload's end. */
static void write_initiate(struct text *text, const struct choice *choice)
{
    ed_initiate initiate = {.version = ED_PROTOCOL_VERSION,
                            .mode = ED_MODE_PLAIN,
                            .suites = ED_SUITE_NULL_BIT,
                            .datagram_size = ED_DATAGRAM_SIZE,
                            .credit = 32768,
                            .message_max = 65536,
                            .client_time_us = 1000000,
                            .payload = {.data = (const uint8_t *)"hi", .size = 2}};
    uint8_t data[ED_INITIATE_SIZE];
    size_t at = 96;

    (void)choice;
    ed_initiate_write(data, &initiate);
    CHECK_EQ("open", ed_initiate_open(&initiate, data, sizeof(data)), EDDY_OK);
    add_field(text, data, &at, 2, "largest datagram: 1,200");
    add_field(text, data, &at, 2, "streams: 256");
    add_field(text, data, &at, 4, "credit: 32,768");
    add_field(text, data, &at, 4, "features");
    add_field(text, data, &at, 1, "one version follows");
    add_field(text, data, &at, 3, "0");
    add_field(text, data, &at, 32, "versions: 1, and 7 places");
    add_field(text, data, &at, 8, "client's time: 1,000,000 us");
    add_field(text, data, &at, 8, "build");
    add_field(text, data, &at, 4, "largest message: 65,536");
    add_field(text, data, &at, 2, "size of the payload");
    add_field(text, data, &at, 2, "payload: \"hi\"; then zeros to 1,184");
}

static const struct block {
    const char *name;
    void (*write)(struct text *text, const struct choice *choice);
} blocks[] = {
    {"varints", write_varints},          {"packet-up", write_packet_up},
    {"packet-down", write_packet_down},  {"packet-challenge", write_packet_challenge},
    {"ack-frame", write_ack_frame},      {"path-frames", write_path_frames},
    {"close-frame", write_close_frame},  {"credit-frame", write_credit_frame},
    {"skip-frame", write_skip_frame},    {"message-frames", write_message_frames},
    {"hello-head", write_hello_head},    {"retry", write_retry},
    {"initiate-sealed", write_initiate}, {"accept", write_accept},
    {"refusal", write_refusal},
};

/* --------------------------------------------------------------------------------- the page -- */

static char page[PAGE_MAX];
static bool is_met[ED_COUNT(blocks)];

static int read_page(void **state)
{
    const char *root = getenv("EDDY_ROOT");
    char path[1024];

    (void)state;
    if (ed_crypto_init() != EDDY_OK)
        return -1;
    snprintf(path, sizeof(path), "%s/transport/PROTOCOL.md", root == NULL ? "." : root);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be read; EDDY_ROOT must name the top folder\n", path);
        return -1;
    }
    size_t size = fread(page, 1, sizeof(page) - 1, file);
    fclose(file);
    page[size] = '\0';
    return size < sizeof(page) - 1 ? 0 : -1;
}

/** Leaves comments out and makes every run of blanks one; `to` has room for all of `from`. */
static void normalise(char *to, const char *from, size_t size)
{
    bool in_comment = false, between = false;
    char *at = to;

    for (size_t i = 0; i < size; i++) {
        in_comment = from[i] == '\n' ? false : in_comment || from[i] == '#';
        bool is_blank = in_comment || isspace((unsigned char)from[i]) != 0;
        if (!is_blank && between && at > to)
            *at++ = ' ';
        if (!is_blank)
            *at++ = (char)tolower((unsigned char)from[i]);
        between = is_blank;
    }
    *at = '\0';
}

/** The values that the block's own comment names, or the usual ones. */
static struct choice choice_of(const char *body, size_t size)
{
    struct choice choice = {.id = 0x0a000102, .number = 9};
    char text[BLOCK_MAX];

    ED_ASSERT(size < sizeof(text));
    memcpy(text, body, size);
    text[size] = '\0';
    const char *id = strstr(text, "id=0x"), *number = strstr(text, "number=");
    if (id != NULL)
        choice.id = (uint32_t)strtoul(id + strlen("id=0x"), NULL, 16);
    if (number != NULL)
        choice.number = strtoull(number + strlen("number="), NULL, 10);
    return choice;
}

static void check_block(size_t index, const char *body, size_t size)
{
    const struct block *block = &blocks[index];
    char got[BLOCK_MAX], want[BLOCK_MAX];
    struct text text = {.size = 0};

    CHECK(block->name, size < sizeof(got));
    struct choice choice = choice_of(body, size);
    block->write(&text, &choice);
    normalise(got, body, size);
    normalise(want, text.data, text.size);
    CHECK_STR(block->name, got, want);
    CHECK(block->name, !is_met[index]); // each stands once
    is_met[index] = true;
}

/** Which block the line's name means; fails on one that is not known. */
static size_t block_index(const char *name, size_t size)
{
    for (size_t i = 0; i < ED_COUNT(blocks); i++)
        if (strlen(blocks[i].name) == size && memcmp(blocks[i].name, name, size) == 0)
            return i;
    fail_msg("no example is called %.*s", (int)size, name);
    return 0;
}

static void the_page_says_what_the_code_does(void **state)
{
    static const char fence[] = "\n```hex";

    (void)state;
    for (char *at = strstr(page, fence); at != NULL; at = strstr(at, fence)) {
        char *name = at + strlen(fence);
        name += strspn(name, " ");
        size_t name_size = strcspn(name, " \n");
        char *body = strchr(name, '\n');
        char *end = body == NULL ? NULL : strstr(body, "\n```");
        CHECK("the block ends", end != NULL);
        check_block(block_index(name, name_size), body + 1, (size_t)(end - body));
        at = end + 1;
    }
    for (size_t i = 0; i < ED_COUNT(blocks); i++)
        if (!is_met[i])
            fail_msg("the page lacks the example %s: EDDY_PRINT=1 prints it", blocks[i].name);
}

static int print_blocks(void)
{
    struct choice choice = choice_of("", 0);

    if (ed_crypto_init() != EDDY_OK)
        return 1;
    for (size_t i = 0; i < ED_COUNT(blocks); i++) {
        struct text text = {.size = 0};
        blocks[i].write(&text, &choice);
        printf("```hex %s\n%s```\n\n", blocks[i].name, text.data);
    }
    return 0;
}

int main(void)
{
    const char *print = getenv("EDDY_PRINT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_says_what_the_code_does),
    };

    if (print != NULL && strcmp(print, "1") == 0)
        return print_blocks();
    return cmocka_run_group_tests_name("protocol_doc", tests, read_page, NULL);
}
