/** The `eddy` command: finds the command that is meant. */
#include <stdio.h>
#include <string.h>

#include "core/base.h"
#include "tools/commands.h"

static const ed_command commands[] = {
    {"demo", cmd_demo, "a server and clients over real UDP through a bad network"},
    {"serve", cmd_serve, "a server that sends every message back"},
    {"connect", cmd_connect, "a client that measures how its messages come back"},
    {"bench", cmd_bench, "measure eddy beside ENet, TCP and bare UDP"},
    {"chat", cmd_chat, "people who talk through a server"},
    {"keygen", cmd_keygen, "make a key, or show the public key of one"},
    {"token", cmd_token, "issue connect tokens, and look into them"},
    {"status", cmd_status, "list every status the library can return"},
    {"version", cmd_version, "print the version"},
};

static void print_help(FILE *out)
{
    fputs("eddy COMMAND [OPTION]...\n\n", out);
    ed_command_list(out, commands, ED_COUNT(commands));
    fputs("  help      this text\n\n"
          "Each explains itself with --help. Example:\n\n"
          "  eddy demo --clients 8 --loss 5 --rtt 50\n",
          out);
}

/** `eddy help COMMAND` is `eddy COMMAND --help`. */
static int help_about(char *program, char *name)
{
    const ed_command *command = ed_command_find(commands, ED_COUNT(commands), name);
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
    if (ed_command_asks_for_help(argv[1]) && argc > 2)
        return help_about(argv[0], argv[2]);
    if (ed_command_asks_for_help(argv[1])) {
        print_help(stdout);
        return ED_EXIT_OK;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    const ed_command *command = ed_command_find(commands, ED_COUNT(commands), name);
    if (command != NULL)
        return command->run(argc, argv);
    fprintf(stderr, "eddy: no command is called '%s'; eddy help lists them\n", argv[1]);
    return ED_EXIT_USAGE;
}
