#include "tools/commands.h"

#include <string.h>

const ed_command *ed_command_find(const ed_command *commands, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

void ed_command_list(FILE *out, const ed_command *commands, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
}

bool ed_command_asks_for_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}
