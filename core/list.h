/** An intrusive doubly linked list: nothing to allocate, removal in constant time. */
#ifndef ED_LIST_H
#define ED_LIST_H

#include "core/base.h"

/** A member of a list; zeroed or unlinked: in none. The head is a link of its own. */
typedef struct ed_list_node {
    struct ed_list_node *next;
    struct ed_list_node *previous;
} ed_list_node;

typedef struct ed_list {
    ed_list_node head;
} ed_list;

static inline void ed_list_init(ed_list *list)
{
    list->head.next = &list->head;
    list->head.previous = &list->head;
}

static inline bool ed_list_empty(const ed_list *list)
{
    return list->head.next == &list->head;
}

static inline bool ed_list_linked(const ed_list_node *node)
{
    return node->next != NULL;
}

/** Links `node` behind `where`; `where` may be the list's head. */
static inline void ed_list_insert_after(ed_list_node *where, ed_list_node *node)
{
    ED_ASSERT(!ed_list_linked(node));
    node->previous = where;
    node->next = where->next;
    where->next->previous = node;
    where->next = node;
}

static inline void ed_list_push_back(ed_list *list, ed_list_node *node)
{
    ed_list_insert_after(list->head.previous, node);
}

static inline void ed_list_push_front(ed_list *list, ed_list_node *node)
{
    ed_list_insert_after(&list->head, node);
}

/** Unlinks it; a node that is in no list stays so. */
static inline void ed_list_remove(ed_list_node *node)
{
    if (!ed_list_linked(node))
        return;
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->next = NULL;
    node->previous = NULL;
}

/** The first node, or NULL. */
static inline ed_list_node *ed_list_first(const ed_list *list)
{
    return ed_list_empty(list) ? NULL : list->head.next;
}

/** The node behind `node`, or NULL at the end. */
static inline ed_list_node *ed_list_next(const ed_list *list, const ed_list_node *node)
{
    return node->next == &list->head ? NULL : node->next;
}

static inline ed_list_node *ed_list_pop_front(ed_list *list)
{
    ed_list_node *node = ed_list_first(list);
    if (node != NULL)
        ed_list_remove(node);
    return node;
}

#endif
