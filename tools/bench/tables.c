#include "tools/bench/bench.h"

const ed_bench_system *const ed_bench_systems[] = {
    &ed_bench_eddy,  &ed_bench_eddy_chacha20, &ed_bench_eddy_plain, &ed_bench_eddy_pump,
    &ed_bench_enet,  &ed_bench_tcp,           &ed_bench_udp,        &ed_bench_udp_gso,
    &ed_bench_bound, &ed_bench_fec,           &ed_bench_eddy_reno,
};
const size_t ed_bench_system_count = ED_COUNT(ed_bench_systems);

#define STREAM_FIGURES                                                                             \
    {                                                                                              \
        {"CPU of both ends", "ns/message"}, {"rate", "1000 messages/s"}, {"client's share", "%"},  \
        {                                                                                          \
            "delivered", "%"                                                                       \
        }                                                                                          \
    }

enum { LOSS_PPM = 50 * 1000 };

#define LOSSY_FIGURES                                                                              \
    {"delay, 99 %", "ms"}, {"delay, 99.9 %", "ms"},                                                \
    {                                                                                              \
        "delay, median", "ms"                                                                      \
    }

static const ed_bench_work lossy_real = {
    .name = "L1",
    .help = "100-byte reliable ordered messages at 60 Hz over a lossy path, in real time",
    .figures = {LOSSY_FIGURES},
    .run = ed_bench_run_real,
    .loss_ppm = LOSS_PPM,
    .clients = 100,
    .measure_ms = 20 * 1000,
    .peers = "enet,bound",
    .beside = {&ed_bench_bound}};

const ed_bench_work ed_bench_works[] = {
    {.name = "W1",
     .help = "64-byte reliable ordered messages, one connection, the queue full",
     .figures = STREAM_FIGURES,
     .run = ed_bench_run_stream,
     .message_size = 64,
     .outstanding = 1024,
     .reliable = true},
    {.name = "W2",
     .help = "64-byte unreliable messages, one connection, the queue full",
     .figures = STREAM_FIGURES,
     .run = ed_bench_run_stream,
     .message_size = 64,
     .outstanding = 1024},
    {.name = "W3",
     .help = "reliable messages of 64 KiB",
     .figures = {{"CPU of both ends", "ns/KiB"},
                 {"rate", "MB/s"},
                 {"client's share", "%"},
                 {"delivered", "%"}},
     .run = ed_bench_run_stream,
     .message_size = 64 << 10,
     .outstanding = 16,
     .reliable = true},
    {.name = "W4",
     .help = "a server on a 60 Hz tick and many clients with a socket each",
     .figures = {{"server's CPU", "us/client/s"},
                 {"unreliable up", "%"},
                 {"unreliable down", "%"},
                 {"reliable", "%"},
                 {"server's memory", "KiB/client"}},
     .run = ed_bench_run_scale,
     .clients = 1000},
    {.name = "W5",
     .help = "32-byte reliable echo, one at a time",
     .figures = {{"round trip, median", "us"},
                 {"round trip, 99 %", "us"},
                 {"CPU of both ends", "us/trip"}},
     .run = ed_bench_run_echo,
     .message_size = 32,
     .reliable = true},
    {.name = "W6",
     .help = "connecting",
     .figures = {{"server's CPU", "us/connection"},
                 {"client's CPU", "us/connection"},
                 {"all connected after", "s"}},
     .run = ed_bench_run_connect,
     .clients = 1000},
    {.name = "idle",
     .help = "a poll of a server on whose connections nothing is said",
     .figures = {{"with all connections", "ns/poll"},
                 {"with 10 of them", "ns/poll"},
                 {"all against 10", "times"},
                 {"server's memory", "KiB/client"}},
     .run = ed_bench_run_idle,
     .clients = 1000},
    {.name = "L1",
     .help = "100-byte reliable ordered messages at 60 Hz over a lossy path",
     .figures = {LOSSY_FIGURES,
                 {"copies", "of a message"},
                 {"bytes", "a message"},
                 {"datagrams", "a message"}},
     .run = ed_bench_run_lossy,
     .loss_ppm = LOSS_PPM,
     .is_virtual = true,
     .peers = "bound",
     .real = &lossy_real,
     .beside = {&ed_bench_bound, &ed_bench_fec}},
    {.name = "L3",
     .help = "20 MiB through 20 Mbit/s with a queue of 100 kB",
     .figures = {{"used of what the path delivers", "%"},
                 {"queue, 95 %", "ms"},
                 {"queue, 99 %", "ms"},
                 {"drops of the queue", "datagrams"}},
     .run = ed_bench_run_bulk,
     .loss_ppm = LOSS_PPM,
     .is_virtual = true,
     .peers = "new-reno",
     .beside = {&ed_bench_eddy_reno}},
    {.name = "L3-tcp",
     .help = "beside kernel TCP (CUBIC) on the path of L3, in real time; needs root",
     .figures = {{"share of what both get", "%"},
                 {"used by both", "%"},
                 {"queue, median", "ms"},
                 {"queue, 95 %", "ms"},
                 {"drops of the queue", "datagrams"}},
     .run = ed_bench_run_beside,
     .measure_ms = 30 * 1000,
     .is_virtual = true, // but not in its time: no other system can do it
     .peers = "",
     .beside = {&ed_bench_eddy_reno}},
    {.name = "L4",
     .help = "the messages of L1 during the transfer of L3, on one connection",
     .figures = {LOSSY_FIGURES,
                 {"the bulk's share of what the path delivers", "%"},
                 {"queue, 95 %", "ms"},
                 {"drops of the queue", "datagrams"}},
     .run = ed_bench_run_mixed,
     .peers = "",
     .is_virtual = true},
    {.name = "L5",
     .help = "a path that carries nothing for 2 s, in the traffic of L1",
     .figures = {{"all has come, after the path's return", "ms"},
                 {"a single message from before it", "ms"}},
     .run = ed_bench_run_blackout,
     .peers = "",
     .is_virtual = true},
};
const size_t ed_bench_work_count = ED_COUNT(ed_bench_works);
