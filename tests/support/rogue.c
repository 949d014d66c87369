#include "tests/support/rogue.h"

#include "core/addr.h"
#include "core/clock.h"
#include "core/seq.h"
#include "tests/support/check.h"
#include "transport/packet.h"

enum {
    CONNECT_LIMIT_S = 5,
    BATCH = 16,
};

static void send_now(ed_rogue *rogue, uint8_t *data, size_t size)
{
    eddy_datagram datagram = {.data = data, .size = size, .remote = rogue->server};

    rogue->said_count++;
    rogue->said_bytes += size;
    CHECK_EQ("sent", rogue->socket.send(rogue->socket.context, &datagram, 1), 1);
}

/* -------------------------------------------------------------------------------- what it hears --
 */

/** Looks for the one frame that every test wants to know of. */
static void look_for_close(ed_rogue *rogue, ed_span frames)
{
    ed_reader r = ed_reader_of(frames.data, frames.size);
    ed_frame frame = {.type = ED_FRAME_PADDING};

    while (ed_reader_left(&r) > 0 && ed_frame_read(&r, &frame) == EDDY_OK)
        if (frame.type == ED_FRAME_CLOSE) {
            rogue->was_closed = true;
            rogue->close = frame.close;
        }
}

static void take_packet(ed_rogue *rogue, const eddy_datagram *datagram, uint64_t now_ns)
{
    ed_keys *keys = &rogue->conn.secrets->keys;
    ed_packet packet = {0};

    if (ed_form_of(datagram->data, datagram->size) != ED_FORM_PACKET ||
        !ed_keys_unmask(keys, datagram->data, 1, datagram->size) ||
        ed_packet_parse(&packet, datagram->data, datagram->size) != EDDY_OK)
        return;
    uint64_t number = ed_seq_expand(rogue->next_heard, packet.number, 8u * packet.number_size);
    if (!ed_keys_open(keys, packet.phase, number, datagram->data, packet.header_size,
                      datagram->size, rogue->number, ED_NS_PER_S, now_ns))
        return;
    ed_span frames = {.data = datagram->data + packet.header_size,
                      .size = datagram->size - packet.header_size - ED_TAG_SIZE};
    rogue->next_heard = ed_max_u64(rogue->next_heard, number + 1);
    rogue->heard_count++;
    (void)ed_ranges_add(&rogue->heard, number);
    rogue->heard_bytes += datagram->size;
    look_for_close(rogue, frames);
    if (rogue->hear != NULL)
        rogue->hear(rogue, number, frames, now_ns);
}

static void take_all(ed_rogue *rogue, uint64_t now_ns)
{
    eddy_datagram datagrams[BATCH];
    size_t count = 0;

    while ((count = rogue->socket.receive(rogue->socket.context, datagrams, BATCH)) > 0)
        for (size_t i = 0; i < count; i++)
            if (rogue->is_free)
                take_packet(rogue, &datagrams[i], now_ns);
            else
                ed_conn_receive(&rogue->conn, &datagrams[i], now_ns);
}

/** While it is an honest client. */
static void shake_hands(ed_rogue *rogue, uint64_t now_ns)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_path path;

    if (ed_conn_next_ns(&rogue->conn) <= now_ns)
        ed_conn_expire(&rogue->conn, now_ns);
    for (size_t size = 1; size > 0;) {
        size = ed_conn_transmit(&rogue->conn, &path, data, now_ns);
        if (size > 0)
            send_now(rogue, data, size);
    }
    rogue->is_free = rogue->conn.state == ED_CONN_CONNECTED;
    rogue->number = rogue->conn.sent.next;
}

static uint64_t run(void *context, uint64_t now_ns)
{
    ed_rogue *rogue = context;

    take_all(rogue, now_ns);
    if (!rogue->is_free)
        shake_hands(rogue, now_ns);
    return rogue->is_free ? ED_NEVER_NS : ed_conn_next_ns(&rogue->conn);
}

/* ----------------------------------------------------------------------------------- its life --
 */

void ed_rogue_open(ed_rogue *rogue, ed_world *world, const eddy_address *address,
                   const eddy_address *server)
{
    uint64_t now_ns = ed_world_now_ns(world);
    uint64_t limit_ns = now_ns + CONNECT_LIMIT_S * ED_NS_PER_S;

    *rogue = (ed_rogue){.world = world, .address = *address, .server = *server};
    rogue->heard = ed_ranges_over(rogue->places, ED_COUNT(rogue->places));
    ed_conn_bed_open(&rogue->bed, 1);
    rogue->host = ed_world_socket(world, address, &rogue->socket);
    CHECK("host", rogue->host != NULL);
    eddy_entropy entropy = ed_world_entropy(world, rogue->host);
    rogue->bed.shared.entropy = &entropy; // only while it shakes hands
    CHECK_EQ("rogue",
             ed_conn_init_client(&rogue->conn, &rogue->bed.shared, 1, server,
                                 ed_conn_bed_dial(&rogue->bed), ed_conn_bed_last(&rogue->bed),
                                 now_ns),
             EDDY_OK);
    ed_world_attach(world, rogue->host, run, rogue);
    while (!rogue->is_free && ed_world_next_ns(world) <= limit_ns)
        CHECK("step", ed_world_step(world));
    CHECK("the rogue is connected", rogue->is_free);
    ed_world_run_until(world, ed_world_now_ns(world) + ED_NS_PER_S / 10); // the server is, too
}

void ed_rogue_close(ed_rogue *rogue)
{
    rogue->socket.close(rogue->socket.context);
    ed_conn_free(&rogue->conn);
    ed_conn_bed_close(&rogue->bed);
}

void ed_rogue_run_for(ed_rogue *rogue, uint64_t duration_ns)
{
    ed_world_run_until(rogue->world, ed_world_now_ns(rogue->world) + duration_ns);
}

/* -------------------------------------------------------------------------------- what it says --
 */

size_t ed_rogue_seal(const ed_conn *client, uint64_t number, ed_span frames, uint8_t *data)
{
    const ed_keys *keys = &client->secrets->keys;
    ed_packet packet = {.from_client = true,
                        .id = client->id,
                        .number = number,
                        .phase = keys->send_phase,
                        .number_size = ED_PACKET_NUMBER_SIZE_MAX};
    size_t header_size = ed_packet_write(&packet, data);

    CHECK("room for the frames", frames.size > 0 && frames.size <= ED_ROGUE_FRAMES_MAX);
    memcpy(data + header_size, frames.data, frames.size);
    ed_keys_seal(keys, number, data, packet.number_at, header_size, header_size + frames.size);
    return header_size + frames.size + ED_TAG_SIZE;
}

void ed_rogue_say(ed_rogue *rogue, const void *frames, size_t size)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    ed_span span = {.data = frames, .size = size};

    send_now(rogue, data, ed_rogue_seal(&rogue->conn, rogue->number, span, data));
    rogue->number++;
}

void ed_rogue_move(ed_rogue *rogue, const eddy_address *to)
{
    CHECK_EQ("moved", ed_world_move(rogue->world, rogue->host, to), EDDY_OK);
    rogue->address = *to;
}

void ed_rogue_say_written(ed_rogue *rogue, const ed_writer *w)
{
    CHECK("written", ed_writer_ok(w));
    ed_rogue_say(rogue, w->begin, ed_writer_size(w));
}

void ed_rogue_ack(ed_rogue *rogue, uint64_t first, uint64_t last, uint64_t delay_us)
{
    uint8_t frames[64];
    ed_writer w = ed_writer_of(frames, sizeof(frames));
    ed_range range = {.first = first, .last = last};
    ed_ranges ranges = {.range = &range, .count = 1, .capacity = 1};

    ed_frame_write_ack(&w, &ranges, delay_us);
    ed_rogue_say_written(rogue, &w);
}

void ed_rogue_ack_heard(ed_rogue *rogue, uint64_t delay_us)
{
    uint8_t data[ED_ROGUE_FRAMES_MAX];
    ed_writer w = ed_writer_of(data, sizeof(data));

    if (rogue->heard.count == 0)
        return;
    ed_frame_write_ack(&w, &rogue->heard, delay_us);
    ed_rogue_say_written(rogue, &w);
}

/* -------------------------------------------------------------------------------------- a duel --
 */

void ed_duel_open(ed_duel *duel)
{
    ed_path to = {.remote = ed_addr_ipv4(192, 0, 2, 1, 4000)};

    *duel = (ed_duel){.from = {.remote = ed_addr_ipv4(10, 0, 0, 1, 1)}, .now_ns = ED_NS_PER_S};
    ed_conn_bed_open(&duel->bed, 2);
    ed_conn_bed_connect(&duel->bed, &duel->client, &duel->server, &to, &duel->from, duel->now_ns);
    ed_duel_say(duel, (ed_span){.data = (const uint8_t *)"\x01", .size = 1});
    CHECK_EQ("open", duel->server.state, ED_CONN_CONNECTED);
}

void ed_duel_close(ed_duel *duel)
{
    ed_conn_free(&duel->client);
    ed_conn_free(&duel->server);
    ed_conn_bed_close(&duel->bed);
}

void ed_duel_say(ed_duel *duel, ed_span frames)
{
    uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
    eddy_datagram datagram = {.data = data, .remote = duel->from.remote};

    datagram.size = ed_rogue_seal(&duel->client, duel->number++, frames, data);
    ed_conn_receive(&duel->server, &datagram, duel->now_ns);
}

uint64_t ed_duel_least_time_ns(ed_duel *duel, ed_span frames, int count)
{
    uint64_t least_ns = UINT64_MAX;

    for (int i = 0; i < count; i++) {
        uint8_t data[EDDY_DATAGRAM_SIZE_MAX];
        eddy_datagram datagram = {.data = data, .remote = duel->from.remote};
        datagram.size = ed_rogue_seal(&duel->client, duel->number++, frames, data);
        uint64_t before_ns = ed_clock_now_ns();
        ed_conn_receive(&duel->server, &datagram, duel->now_ns);
        least_ns = ed_min_u64(least_ns, ed_clock_now_ns() - before_ns);
    }
    return least_ns;
}
