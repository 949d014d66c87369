/**
 * The examples of transport/PROTOCOL.md against what the code writes. Each program owns the blocks
 * that begin with its word (```WORD NAME). EDDY_PRINT=1 prints them as the page should have them.
 * EDDY_ROOT is the project's top folder; without it, here.
 */
#ifndef ED_TEST_PROTOCOL_PAGE_H
#define ED_TEST_PROTOCOL_PAGE_H

#include "tests/support/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base.h"
#include "core/crypto.h"
#include "transport/nonce.h"

enum {
    PAGE_MAX = 256 * 1024,
    BLOCK_MAX = 8 * 1024,
    BLOCKS_MAX = 32,
    LINE_BYTES = 16,
    COMMENT_AT = 50, /* the column where comments stand */
};

/** The text of one block while it is written. */
struct text {
    char data[BLOCK_MAX];
    size_t size;
};

struct block {
    const char *name;
    void (*write)(struct text *text); /* writes nothing where this machine cannot */
};

/** The blocks of a program. */
struct blocks {
    const char *word;
    const struct block *rows;
    size_t count;
    bool is_met[BLOCKS_MAX];
};

static char page[PAGE_MAX];

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size =
        vsnprintf(text->data + text->size, sizeof(text->data) - text->size, format, arguments);
    va_end(arguments);
    ED_ASSERT(size >= 0 && (size_t)size < sizeof(text->data) - text->size);
    text->size += (size_t)size;
}

/** Adds bytes, 16 on a line, with a comment on the first. */
static void add_bytes(struct text *text, const uint8_t *data, size_t size, const char *comment)
{
    for (size_t at = 0; at < size; at += LINE_BYTES) {
        size_t end = ed_min_size(at + LINE_BYTES, size);
        for (size_t i = at; i < end; i++)
            add(text, i == at ? "%02x" : " %02x", data[i]);
        if (at == 0 && comment != NULL)
            add(text, "%*s# %s", (int)(COMMENT_AT - (3 * (end - at) - 1)), "", comment);
        add(text, "\n");
    }
}

/** One field of a longer run of bytes: moves `*at` behind it. */
static void add_field(struct text *text, const uint8_t *data, size_t *at, size_t size,
                      const char *comment)
{
    add_bytes(text, data + *at, size, comment);
    *at += size;
}

static int read_page(void **state)
{
    const char *root = getenv("EDDY_ROOT");
    char path[1024];

    (void)state;
    if (ed_crypto_init() != EDDY_OK)
        return -1;
    snprintf(path, sizeof(path), "%s/transport/PROTOCOL.md", root == NULL ? "." : root);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be read; EDDY_ROOT must name the top folder\n", path);
        return -1;
    }
    size_t size = fread(page, 1, sizeof(page) - 1, file);
    fclose(file);
    page[size] = '\0';
    return size < sizeof(page) - 1 ? 0 : -1;
}

/** Leaves comments out and makes every run of blanks one; `to` has room for all of `from`. */
static void normalise(char *to, const char *from, size_t size)
{
    bool in_comment = false, between = false;
    char *at = to;

    for (size_t i = 0; i < size; i++) {
        in_comment = from[i] == '\n' ? false : in_comment || from[i] == '#';
        bool is_blank = in_comment || isspace((unsigned char)from[i]) != 0;
        if (!is_blank && between && at > to)
            *at++ = ' ';
        if (!is_blank)
            *at++ = from[i];
        between = is_blank;
    }
    *at = '\0';
}

/** Each example is a world of its own: all use the same few keys. */
static void write_block(struct text *text, const struct block *block)
{
    *text = (struct text){.size = 0};
    ed_nonce_forget();
    block->write(text);
}

static void check_block(const struct block *block, const char *body, size_t size)
{
    char got[BLOCK_MAX], want[BLOCK_MAX];
    struct text text;

    CHECK(block->name, size < sizeof(got));
    write_block(&text, block);
    if (text.size == 0)
        return;
    normalise(got, body, size);
    normalise(want, text.data, text.size);
    if (strcmp(got, want) != 0)
        fprintf(stderr, "the page should have:\n%s\n", text.data);
    CHECK_STR(block->name, got, want);
}

/** Which block the line's name means; fails on one that is not known, or that stood before. */
static const struct block *find_block(struct blocks *blocks, const char *name, size_t size)
{
    for (size_t i = 0; i < blocks->count; i++) {
        const struct block *block = &blocks->rows[i];
        if (strlen(block->name) != size || memcmp(block->name, name, size) != 0)
            continue;
        CHECK(block->name, !blocks->is_met[i]);
        blocks->is_met[i] = true;
        return block;
    }
    fail_msg("no example is called %.*s", (int)size, name);
    return NULL;
}

static void the_page_says_what_the_code_does(void **state)
{
    struct blocks *blocks = *state;
    char fence[32];

    ED_ASSERT(blocks->count <= BLOCKS_MAX);
    snprintf(fence, sizeof(fence), "\n```%s ", blocks->word);
    for (char *at = strstr(page, fence); at != NULL; at = strstr(at, fence)) {
        char *name = at + strlen(fence);
        char *body = strchr(name, '\n');
        char *end = body == NULL ? NULL : strstr(body, "\n```");
        CHECK("the block ends", end != NULL);
        check_block(find_block(blocks, name, strcspn(name, " \n")), body + 1, (size_t)(end - body));
        at = end + 1;
    }
    for (size_t i = 0; i < blocks->count; i++)
        if (!blocks->is_met[i])
            fail_msg("the page lacks the example %s: EDDY_PRINT=1 prints it", blocks->rows[i].name);
}

static int print_blocks(const struct blocks *blocks)
{
    if (ed_crypto_init() != EDDY_OK)
        return 1;
    for (size_t i = 0; i < blocks->count; i++) {
        struct text text;
        write_block(&text, &blocks->rows[i]);
        printf("```%s %s\n%s```\n\n", blocks->word, blocks->rows[i].name, text.data);
    }
    return 0;
}

/** What main does. */
static int run_blocks(struct blocks *blocks)
{
    const char *print = getenv("EDDY_PRINT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(the_page_says_what_the_code_does, blocks),
    };

    if (print != NULL && strcmp(print, "1") == 0)
        return print_blocks(blocks);
    return cmocka_run_group_tests_name(blocks->word, tests, read_page, NULL);
}

#endif
