/** The `eddy` command: finds the command that is meant. */
#include <stdio.h>
#include <string.h>

#include "core/base.h"
#include "tools/commands.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"demo", cmd_demo, "a server and clients over real UDP through a bad network"},
    {"serve", cmd_serve, "a server that sends every message back"},
    {"connect", cmd_connect, "a client that measures how its messages come back"},
    {"status", cmd_status, "list every status the library can return"},
    {"version", cmd_version, "print the version"},
};

static void print_help(FILE *out)
{
    fputs("eddy COMMAND [OPTION]...\n\n", out);
    for (size_t i = 0; i < ED_COUNT(commands); i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("  help      this text\n\n"
          "Each explains itself with --help. Example:\n\n"
          "  eddy demo --clients 8 --loss 5 --rtt 50\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ED_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/** `eddy help COMMAND` is `eddy COMMAND --help`. */
static int help_about(char *program, char *name)
{
    const struct command *command = find_command(name);
    char help[] = "--help";
    char *words[] = {program, name, help, NULL};

    if (command != NULL)
        return command->run(3, words);
    fprintf(stderr, "eddy: no command is called '%s'; eddy help lists them\n", name);
    return ED_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return ED_EXIT_USAGE;
    }
    if (asks_for_help(argv[1]) && argc > 2)
        return help_about(argv[0], argv[2]);
    if (asks_for_help(argv[1])) {
        print_help(stdout);
        return ED_EXIT_OK;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    const struct command *command = find_command(name);
    if (command != NULL)
        return command->run(argc, argv);
    fprintf(stderr, "eddy: no command is called '%s'; eddy help lists them\n", argv[1]);
    return ED_EXIT_USAGE;
}
