/**
 * Any datagram as a packet: as it comes, which no key opens; and sealed by who has the keys, with
 * the header, the phase and the number that the input says. Then every frame in it is read.
 */
#include <string.h>

#include "core/base.h"
#include "core/seq.h"
#include "transport/frame.h"
#include "transport/nonce.h"
#include "transport/packet.h"
#include "transport/protect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PTO_NS = 1000 };

/** The two ends of one direction. */
static ed_keys sender, receiver;

static void make_keys(uint8_t choice)
{
    static const uint8_t secrets[2][ED_KEY_SIZE] = {{1}, {2}};
    ed_aead aead = ED_AEAD_CHACHA20;

    if ((choice & 1) != 0 && ed_aead_available(ED_AEAD_AES256))
        aead = ED_AEAD_AES256;
    ed_nonce_forget();
    ed_keys_init(&sender, aead, secrets[0], secrets[1], 0);
    ed_keys_init(&receiver, aead, secrets[1], secrets[0], 0);
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
    ed_frame frame = {.type = ED_FRAME_PADDING};

    while (ed_reader_left(&r) > 0) {
        const uint8_t *before = r.at;
        if (ed_frame_read(&r, &frame) != EDDY_OK)
            return;
        ED_ASSERT(r.at > before && frame.type < ED_FRAME_TYPE_COUNT);
        ED_ASSERT(ed_frame_rule_of(frame.type)->name != NULL);
    }
}

/** As a connection takes it, in place. @return whether it is opened. */
static bool open_packet(uint8_t *data, size_t size, uint64_t expected)
{
    size_t number_at = (data[0] & 0x20) != 0 ? 1 + ED_PACKET_ID_SIZE : 1;
    ed_packet packet = {.id = 7};

    if (!ed_keys_unmask(&receiver, data, number_at, size))
        return false;
    if (ed_packet_parse(&packet, data, size) != EDDY_OK) {
        ED_ASSERT(packet.id == 7); // untouched on failure
        return false;
    }
    check_head(data, size, &packet);
    check_written(data, packet);
    uint64_t number = ed_seq_expand(expected, packet.number, 8u * packet.number_size);
    ED_ASSERT((number & ((UINT64_C(1) << 8 * packet.number_size) - 1)) == packet.number);
    if (!ed_keys_open(&receiver, packet.phase, number, data, packet.header_size, size, 0, PTO_NS,
                      0))
        return false;
    read_frames(data + packet.header_size, size - packet.header_size - ED_TAG_SIZE);
    return true;
}

static void open_raw(const uint8_t *data, size_t size)
{
    uint8_t copy[ED_DATAGRAM_SIZE];

    if (size == 0)
        return;
    memcpy(copy, data, size);
    bool is_good = open_packet(copy, size, 0);
    ED_ASSERT(!is_good && receiver.forged_count <= 1);
}

/** Brings both ends into the phase that the packet says. */
static void take_phase(const ed_packet *packet)
{
    if (!packet->phase)
        return;
    sender.update_packets = 0;
    ed_keys_on_acked(&sender, 0);
    ed_keys_update(&sender, 0, PTO_NS, 0);
    ED_ASSERT(sender.send_phase);
}

/** The same header and contents, sealed: at the number that the receiver takes it for, it opens. */
static void open_sealed(const uint8_t *data, size_t size)
{
    uint8_t sealed[ED_DATAGRAM_SIZE], damaged[ED_DATAGRAM_SIZE];
    ed_packet packet;

    if (ed_packet_parse(&packet, data, size) != EDDY_OK)
        return;
    uint64_t expected = (uint64_t)data[size - 1] << (data[size - 2] & 31);
    take_phase(&packet);
    memcpy(sealed, data, size);
    ed_keys_seal(&sender, ed_seq_expand(expected, packet.number, 8u * packet.number_size), sealed,
                 packet.number_at, packet.header_size, size - ED_TAG_SIZE);
    memcpy(damaged, sealed, size);
    damaged[data[size - 3] % size] ^= (uint8_t)(1u << (data[size - 4] & 7));
    bool is_good = open_packet(damaged, size, expected);
    ED_ASSERT(!is_good && !receiver.receive_phase);
    is_good = open_packet(sealed, size, expected);
    ED_ASSERT(is_good && receiver.receive_phase == packet.phase);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (ed_crypto_init() != EDDY_OK || size > ED_DATAGRAM_SIZE)
        return 0;
    make_keys(size > 0 ? data[size - 1] : 0);
    open_raw(data, size);
    make_keys(size > 0 ? data[size - 1] : 0);
    if (size > 0)
        open_sealed(data, size);
    return 0;
}
