/** `eddy chat`: finds the command that is meant. */
#include "core/base.h"
#include "tools/commands.h"
#include "tools/report.h"

static const ed_command commands[] = {
    {"serve", cmd_chat_serve, "the server, through which all that is said goes"},
    {"connect", cmd_chat_connect, "take part: in a terminal, or with lines from a script"},
};

static void print_help(FILE *out)
{
    fputs("eddy chat COMMAND [OPTION]...\n\n"
          "People who talk through a server, each under a login of his own.\n\n",
          out);
    ed_command_list(out, commands, ED_COUNT(commands));
    fputs("\nEach explains itself with --help. Example, in three terminals:\n\n"
          "  eddy chat serve                   says the server's key\n"
          "  eddy chat connect 127.0.0.1:4242 --server-key KEY --login alice\n"
          "  eddy chat connect 127.0.0.1:4242 --server-key KEY --login bob\n\n"
          "Alice types \"bob: hello\", and bob reads \"from alice: hello\". He answers\n"
          "\"alice, bob: hi!\", and both read \"from bob: hi!\".\n",
          out);
}

int cmd_chat(int argc, char **argv)
{
    if (argc < 3) {
        print_help(stderr);
        return ED_EXIT_USAGE;
    }
    if (ed_command_asks_for_help(argv[2])) {
        print_help(stdout);
        return ED_EXIT_OK;
    }
    const ed_command *command = ed_command_find(commands, ED_COUNT(commands), argv[2]);
    if (command != NULL)
        return command->run(argc - 1, argv + 1);
    (void)ed_fail("chat", "no command is called '%s'; eddy chat help lists them", argv[2]);
    return ED_EXIT_USAGE;
}
