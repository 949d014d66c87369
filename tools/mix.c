#include "tools/mix.h"

#include <stdio.h>
#include <string.h>

#include "tools/report.h"

/** Reads NAME or NAME:SHARE. False if it is neither, or was there before. */
static bool parse_item(ed_mix *mix, const char *item)
{
    size_t name_size = strcspn(item, ":");
    uint64_t share = 1;

    if (item[name_size] == ':' && !ed_number_parse(&share, item + name_size + 1, ED_PER_ONE))
        return false;
    if (share < 1 || share > ED_MIX_SHARE_MAX)
        return false;
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++) {
        const char *name = ed_promises[i].name;
        if (mix->shares[i] != 0 || strlen(name) != name_size || memcmp(name, item, name_size) != 0)
            continue;
        mix->shares[i] = (uint32_t)share;
        return true;
    }
    return false;
}

static bool parse_list(ed_mix *mix, const char *text)
{
    enum { ITEM_SIZE = 64 };
    char item[ITEM_SIZE];
    size_t size = strcspn(text, ",");

    for (; size < ITEM_SIZE; size = strcspn(text, ",")) {
        (void)snprintf(item, sizeof item, "%.*s", (int)size, text);
        if (!parse_item(mix, item))
            return false;
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
    return false;
}

bool ed_mix_parse(ed_mix *mix, const char *text)
{
    ed_mix read = {.shares = {0}};

    if (strcmp(text, "all") == 0)
        for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
            read.shares[i] = 1;
    else if (!parse_list(&read, text))
        return false;
    *mix = read;
    return true;
}

bool ed_mix_read(ed_mix *mix, const char *text, const char *command)
{
    if (ed_mix_parse(mix, text))
        return true;
    ed_fail(command, "--guarantee is '%s', expected all, or names with commas between them:", text);
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++)
        fprintf(stderr, "  %-20s  %s\n", ed_promises[i].name, ed_promises[i].text);
    fprintf(stderr, "Try: eddy %s --help\n", command);
    return false;
}

eddy_guarantee ed_mix_next(const ed_mix *mix)
{
    size_t best = 0;

    for (size_t i = 1; i < ED_GUARANTEE_COUNT; i++)
        if (mix->owed[i] + mix->shares[i] > mix->owed[best] + mix->shares[best])
            best = i;
    ED_ASSERT(mix->shares[best] > 0);
    return (eddy_guarantee)best;
}

void ed_mix_sent(ed_mix *mix, eddy_guarantee guarantee)
{
    ED_ASSERT(mix->shares[guarantee] > 0);
    for (size_t i = 0; i < ED_GUARANTEE_COUNT; i++) {
        mix->owed[i] += mix->shares[i];
        mix->owed[guarantee] -= mix->shares[i];
    }
}
