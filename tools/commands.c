#include "tools/commands.h"

#include <string.h>

#include "tools/report.h"

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

static void explain(const ed_command_group *group, FILE *out)
{
    fprintf(out, "eddy %s COMMAND [OPTION]...\n\n%s\n", group->name, group->about);
    ed_command_list(out, group->commands, group->count);
    fprintf(out, "\nEach explains itself with --help. %s", group->example);
}

int ed_command_run_of(const ed_command_group *group, int argc, char **argv)
{
    if (argc < 3) {
        explain(group, stderr);
        return ED_EXIT_USAGE;
    }
    if (ed_command_asks_for_help(argv[2])) {
        explain(group, stdout);
        return ED_EXIT_OK;
    }
    const ed_command *command = ed_command_find(group->commands, group->count, argv[2]);
    if (command != NULL)
        return command->run(argc - 1, argv + 1);
    (void)ed_fail(group->name, "no command is called '%s'; eddy %s help lists them", argv[2],
                  group->name);
    return ED_EXIT_USAGE;
}
