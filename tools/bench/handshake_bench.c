/**
 * What a bare Noise responder costs: begin, read message 1, write message 2, derive the keys. What
 * an accepted connection costs a server beyond that is eddy's own doing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "core/clock.h"
#include "transport/noise.h"

enum {
    BATCHES = 101,
    HANDSHAKES = 20, /* in a batch: short, so that a busy machine disturbs few of them */
    ROOM = 1200,
    FIRST_SIZE = 1000, /* payloads about as large as in INITIATE and ACCEPT */
    SECOND_SIZE = 128,
};

static const char *const names[ED_NOISE_PATTERN_COUNT] = {
    [ED_NOISE_NKPSK0] = "NKpsk0", [ED_NOISE_IKPSK1] = "IKpsk1", [ED_NOISE_NXPSK2] = "NXpsk2"};

/** What both ends need, and the first message. */
struct setting {
    ed_noise_pattern pattern;
    ed_noise_pair client;
    ed_noise_pair server;
    uint8_t prologue[ROOM];
    uint8_t message[ROOM];
    size_t size;
};

static void random_bytes(void *data, size_t size)
{
    const eddy_entropy *entropy = ed_entropy_system();

    entropy->fill(entropy->context, data, size);
}

static ed_noise_pair random_pair(void)
{
    ed_noise_pair pair;

    random_bytes(pair.secret, sizeof(pair.secret));
    ed_x25519_public(pair.public_key, pair.secret);
    return pair;
}

static void require(bool ok)
{
    if (ok)
        return;
    fputs("handshake_bench: a handshake failed\n", stderr);
    exit(1);
}

static void begin(ed_noise *noise, const struct setting *s, bool is_initiator)
{
    ed_noise_keys keys = {
        .own = is_initiator ? &s->client : &s->server,
        .peer = is_initiator && s->pattern != ED_NOISE_NXPSK2 ? s->server.public_key : NULL};

    ed_noise_init(noise, s->pattern, is_initiator, (ed_span){.data = s->prologue, .size = 100},
                  &keys);
}

static void prepare(struct setting *s, ed_noise_pattern pattern)
{
    uint8_t ephemeral[ED_KEY_SIZE];
    ed_noise initiator;

    *s = (struct setting){.pattern = pattern, .client = random_pair(), .server = random_pair()};
    random_bytes(ephemeral, sizeof(ephemeral));
    begin(&initiator, s, true);
    require(ed_noise_write(&initiator, ephemeral, s->message, FIRST_SIZE));
    s->size = ed_noise_head_size(pattern, 0) + FIRST_SIZE + ED_AEAD_TAG_SIZE;
}

/** One handshake as the responder. @return when the first message was known to be good. */
static uint64_t respond(const struct setting *s)
{
    uint8_t message[ROOM], ephemeral[ED_KEY_SIZE], keys[2][ED_KEY_SIZE];
    ed_noise responder;

    memcpy(message, s->message, s->size);
    begin(&responder, s, false);
    require(ed_noise_read(&responder, message, s->size));
    uint64_t read_ns = ed_clock_now_ns();
    random_bytes(ephemeral, sizeof(ephemeral));
    require(ed_noise_write(&responder, ephemeral, message, SECOND_SIZE));
    ed_noise_split(&responder, keys[0], keys[1]);
    return read_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

/** Of one handshake in the batch that stands at this place of the sorted ones. */
static double cost_us(const uint64_t batch_ns[BATCHES], size_t place)
{
    return (double)batch_ns[place] / HANDSHAKES / (double)ED_NS_PER_US;
}

static void measure(ed_noise_pattern pattern)
{
    uint64_t read_ns[BATCHES] = {0}, all_ns[BATCHES] = {0};
    struct setting setting;

    for (size_t batch = 0; batch < BATCHES; batch++) {
        prepare(&setting, pattern);
        for (size_t i = 0; i < HANDSHAKES; i++) {
            uint64_t begin_ns = ed_clock_now_ns();
            read_ns[batch] += respond(&setting) - begin_ns;
            all_ns[batch] += ed_clock_now_ns() - begin_ns;
        }
    }
    qsort(read_ns, BATCHES, sizeof(read_ns[0]), compare);
    qsort(all_ns, BATCHES, sizeof(all_ns[0]), compare);
    printf("%-8s %10.1f %10.1f %10.1f\n", names[pattern], cost_us(read_ns, BATCHES / 2),
           cost_us(all_ns, BATCHES / 2), cost_us(all_ns, 0));
}

int main(void)
{
    if (ed_crypto_init() != EDDY_OK)
        return 1;
    printf("responder: us for a handshake, median of %d batches of %d\n", BATCHES, HANDSHAKES);
    printf("%-8s %10s %10s %10s\n", "pattern", "read", "all", "all, best");
    for (int pattern = 0; pattern < ED_NOISE_PATTERN_COUNT; pattern++)
        measure((ed_noise_pattern)pattern);
    return 0;
}
