#include "tools/demo_result.h"

#include <inttypes.h>
#include <stdio.h>

#include "tools/commands.h"

/** Whether each promise to a client was kept, and it ended well. */
static bool is_client_kept(const ed_child *client)
{
    return client->has_ended && client->exit_code == ED_EXIT_OK && client->latest.is_final &&
           ed_report_is_kept(&client->latest);
}

bool ed_demo_is_kept(const ed_demo *d)
{
    const ed_child *server = &d->children[ED_DEMO_SERVER];
    bool is_kept = server->exit_code == ED_EXIT_OK && server->latest.is_final;

    for (size_t i = ED_DEMO_SERVER + 1; i < d->count; i++)
        is_kept = is_kept && is_client_kept(&d->children[i]);
    return is_kept;
}

/** The counters of clients and server together. */
static void sum_stats(const ed_demo *d, eddy_stats *sum)
{
    ed_report all = d->sum;

    ed_report_merge(&all, &d->children[ED_DEMO_SERVER].latest);
    *sum = all.stats;
}

static void print_clients(const ed_demo *d)
{
    printf("\n%-10s%13s%13s%15s%15s%13s\n", "client", "exactly once", "arrived", "others",
           "arrived", "all kept");
    for (size_t i = ED_DEMO_SERVER + 1; i < d->count; i++) {
        const ed_report *report = &d->children[i].latest;
        ed_flow owed;
        ed_flow others;
        ed_report_sum(report, true, &owed);
        ed_report_sum(report, false, &others);
        printf("%-10zu%13" PRIu64 "%13" PRIu64 "%15" PRIu64 "%15" PRIu64 "%13s\n", i, owed.sent,
               owed.answered, others.sent, others.answered,
               is_client_kept(&d->children[i]) ? "yes" : "NO");
    }
}

int ed_demo_print_text(const ed_demo *d)
{
    eddy_stats all;

    sum_stats(d, &all);
    putchar('\n');
    ed_report_print_flows(&d->sum, &all);
    putchar('\n');
    ed_report_print_datagrams(NULL, &d->sum.stats);
    ed_report_print_datagrams("clients", &d->sum.stats);
    ed_report_print_datagrams("server", &d->children[ED_DEMO_SERVER].latest.stats);
    print_clients(d);
    puts(ed_demo_is_kept(d) ? "\nEvery promise was kept."
                            : "\nFAILED: not every promise was kept.");
    return ED_EXIT_OK;
}

/* ------------------------------------------------------------------------------------ JSON -- */

static json_t *network_json(const ed_network *n)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "loss_ppm", ed_json_int(n->loss_ppm),
                     "rtt_us", ed_json_int(n->rtt_us), "jitter_us", ed_json_int(n->jitter_us),
                     "duplicate_ppm", ed_json_int(n->duplicate_ppm), "reorder_ppm",
                     ed_json_int(n->reorder_ppm), "seed", ed_json_int(n->seed));
}

static json_t *clients_json(const ed_demo *d)
{
    json_t *array = json_array();
    int failures = 0;

    for (size_t i = ED_DEMO_SERVER + 1; i < d->count; i++) {
        const ed_child *client = &d->children[i];
        json_t *object = json_pack("{s:b, s:i, s:o}", "kept", is_client_kept(client), "exit_code",
                                   client->exit_code, "guarantees", ed_flows_json(&client->latest));
        failures += json_array_append_new(array, object);
    }
    if (failures == 0)
        return array;
    json_decref(array);
    return NULL;
}

int ed_demo_print_json(const ed_demo *d)
{
    eddy_stats all;

    sum_stats(d, &all);
    return ed_json_print(json_pack(
        "{s:s, s:b, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "command", "demo", "kept",
        ed_demo_is_kept(d), "duration_ms", ed_json_int(d->options->duration_ms), "network",
        network_json(&d->options->network), "guarantees", ed_flows_json(&d->sum), "large",
        ed_large_json(&d->sum.large), "resent", ed_json_int(all.messages_resent), "clients",
        clients_json(d), "client_counters", ed_stats_json(&d->sum.stats), "server_counters",
        ed_stats_json(&d->children[ED_DEMO_SERVER].latest.stats)));
}
