/**
 * Any datagram as a packet. One that parses is given the tag that it ought to have, so that what is
 * sealed is looked at too; then every frame in it is read.
 */
#include <string.h>

#include "core/base.h"
#include "core/seq.h"
#include "transport/frame.h"
#include "transport/packet.h"
#include "transport/protect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ed_keys keys(void)
{
    static const uint8_t nonce[ED_NONCE_SIZE] = {1};
    static const uint8_t ephemeral[ED_EPHEMERAL_SIZE] = {2};

    return ed_protect_packet_keys(nonce, ephemeral, ephemeral);
}

/** What can be told before anything is opened agrees with what is told later. */
static void check_head(const uint8_t *data, size_t size, const ed_packet *packet)
{
    bool from_client = !packet->from_client;
    uint32_t id = ~packet->id;
    eddy_status status = ed_packet_peek_id(data, size, &from_client, &id);

    ED_ASSERT(status == EDDY_OK && ed_form_of(data, size) == ED_FORM_PACKET);
    ED_ASSERT(from_client == packet->from_client && id == packet->id);
    ED_ASSERT(packet->header_size == packet->number_at + packet->number_size);
    ED_ASSERT(packet->header_size + ED_TAG_SIZE <= size);
    ED_ASSERT(packet->number >> (8 * packet->number_size - 1) <= 1);
}

/** The header written anew is the header that was read. */
static void check_written(const uint8_t *data, ed_packet packet)
{
    uint8_t header[ED_PACKET_HEADER_SIZE_MAX];
    size_t size = ed_packet_write(&packet, header);

    ED_ASSERT(size == packet.header_size && memcmp(header, data, size) == 0);
}

static void read_frames(const uint8_t *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    ed_frame frame;

    while (ed_reader_left(&r) > 0) {
        const uint8_t *before = r.at;
        if (ed_frame_read(&r, &frame) != EDDY_OK)
            return;
        ED_ASSERT(r.at > before && frame.type < ED_FRAME_TYPE_COUNT);
        ED_ASSERT(ed_frame_rule_of(frame.type)->name != NULL);
    }
}

/** Opens it at every number that a receiver may expect; only the sender's own does. */
static void open_packet(uint8_t *data, size_t size, const ed_packet *packet)
{
    ed_key key = keys().packet[packet->from_client ? ED_TO_SERVER : ED_TO_CLIENT];
    uint64_t expected = data[size - 1]; // something that the input chooses
    uint64_t number = ed_seq_expand(expected, packet->number, 8u * packet->number_size);

    ED_ASSERT((number & ((UINT64_C(1) << 8 * packet->number_size) - 1)) == packet->number);
    ed_protect_seal(&key, number, data, packet->header_size, size - ED_TAG_SIZE);
    bool is_good = ed_protect_open(&key, number, data, packet->header_size, size);
    ED_ASSERT(is_good);
    is_good = ed_protect_open(&key, number + 1, data, packet->header_size, size);
    ED_ASSERT(!is_good);
    read_frames(data + packet->header_size, size - packet->header_size - ED_TAG_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t copy[ED_DATAGRAM_SIZE];
    ed_packet packet = {.id = 7};

    if (size > sizeof(copy))
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    if (ed_packet_parse(&packet, copy, size) != EDDY_OK) {
        ED_ASSERT(packet.id == 7); // untouched on failure
        return 0;
    }
    check_head(copy, size, &packet);
    check_written(copy, packet);
    open_packet(copy, size, &packet);
    return 0;
}
