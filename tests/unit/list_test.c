#include "tests/support/check.h"

#include "core/list.h"

struct item {
    char name;
    ed_list_node node;
};

enum {
    ITEM_COUNT = 4 /* named 'a' to 'd' */
};

/** The names in the order of the list, and that every link back agrees. */
static const char *text_of(const ed_list *list)
{
    static char text[ITEM_COUNT + 1];
    size_t size = 0;
    const ed_list_node *before = &list->head;

    for (ed_list_node *at = ed_list_first(list); at != NULL; at = ed_list_next(list, at)) {
        CHECK("no longer than it can be", size < ITEM_COUNT);
        CHECK("back", at->previous == before);
        text[size++] = ED_CONTAINER(at, struct item, node)->name;
        before = at;
    }
    CHECK("closed", list->head.previous == before);
    text[size] = '\0';
    return text;
}

/** What one step of the table does, with the item that it names. */
enum action { PUSH_BACK, PUSH_FRONT, INSERT_AFTER_A, REMOVE, POP };

static void act(ed_list *list, struct item *items, enum action action, char name)
{
    ed_list_node *node = &items[name - 'a'].node;

    switch (action) {
    case PUSH_BACK:
        ed_list_push_back(list, node);
        break;
    case PUSH_FRONT:
        ed_list_push_front(list, node);
        break;
    case INSERT_AFTER_A:
        ed_list_insert_after(&items[0].node, node);
        break;
    case REMOVE:
        ed_list_remove(node);
        break;
    case POP:
        CHECK("first", ed_list_first(list) == node && ed_list_pop_front(list) == node);
        break;
    }
}

static void nodes_keep_their_order(void **state)
{
    static const struct {
        const char *name;
        enum action action;
        char item;
        const char *want;
    } rows[] = {
        {"remove from none", REMOVE, 'a', ""},
        {"one", PUSH_BACK, 'a', "a"},
        {"behind", PUSH_BACK, 'b', "ab"},
        {"in front", PUSH_FRONT, 'c', "cab"},
        {"between", INSERT_AFTER_A, 'd', "cadb"},
        {"remove in the middle", REMOVE, 'a', "cdb"},
        {"remove twice", REMOVE, 'a', "cdb"},
        {"remove the last", REMOVE, 'b', "cd"},
        {"take the first", POP, 'c', "d"},
        {"and again in", PUSH_BACK, 'c', "dc"},
        {"at the end by a node", PUSH_FRONT, 'a', "adc"},
        {"take", POP, 'a', "dc"},
        {"take", POP, 'd', "c"},
        {"take the only one", POP, 'c', ""},
        {"empty lists fill again", PUSH_FRONT, 'a', "a"},
        {"behind the only one", INSERT_AFTER_A, 'b', "ab"},
    };
    struct item items[ITEM_COUNT] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
    ed_list list;

    (void)state;
    ed_list_init(&list);
    CHECK("nothing to take", ed_list_pop_front(&list) == NULL);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        act(&list, items, rows[i].action, rows[i].item);
        CHECK_STR(rows[i].name, text_of(&list), rows[i].want);
        CHECK_EQ(rows[i].name, ed_list_empty(&list), rows[i].want[0] == '\0');
        for (size_t n = 0; n < ITEM_COUNT; n++)
            CHECK_EQ(rows[i].name, ed_list_linked(&items[n].node),
                     strchr(rows[i].want, items[n].name) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
