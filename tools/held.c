#include "tools/held.h"

#include "core/alloc.h"

typedef struct queue {
    ed_list_node node;
    eddy_connection connection;
    ed_list events; /* never empty between two calls */
} queue;

typedef struct entry {
    ed_list_node node;
    eddy_event event;
} entry;

static queue *queue_of(ed_list_node *node)
{
    return ED_CONTAINER(node, queue, node);
}

static entry *entry_of(ed_list_node *node)
{
    return ED_CONTAINER(node, entry, node);
}

void ed_held_init(ed_held *held, const eddy_allocator *allocator)
{
    held->allocator = allocator;
    ed_list_init(&held->queues);
}

static queue *find_queue(const ed_held *held, eddy_connection connection)
{
    ed_list_node *node = ed_list_first(&held->queues);

    while (node != NULL && queue_of(node)->connection != connection)
        node = ed_list_next(&held->queues, node);
    return node == NULL ? NULL : queue_of(node);
}

static queue *add_queue(ed_held *held, eddy_connection connection)
{
    queue *added = ed_alloc_zeroed(held->allocator, sizeof *added);

    if (added == NULL)
        return NULL;
    added->connection = connection;
    ed_list_init(&added->events);
    ed_list_push_back(&held->queues, &added->node);
    return added;
}

bool ed_held_push(ed_held *held, const eddy_event *event)
{
    entry *added = ed_alloc_zeroed(held->allocator, sizeof *added);
    queue *found = find_queue(held, event->connection);

    ED_ASSERT(event->type == EDDY_MESSAGE && event->connection != 0);
    if (added != NULL && found == NULL)
        found = add_queue(held, event->connection);
    if (found == NULL || added == NULL) {
        ed_alloc_free(held->allocator, added, sizeof *added);
        return false;
    }
    added->event = *event;
    ed_list_push_back(&found->events, &added->node);
    return true;
}

const eddy_event *ed_held_first(const ed_held *held, eddy_connection connection)
{
    const queue *found = find_queue(held, connection);

    return found == NULL ? NULL : &entry_of(ed_list_first(&found->events))->event;
}

eddy_event ed_held_pop(ed_held *held, eddy_connection connection)
{
    queue *found = find_queue(held, connection);

    ED_ASSERT(found != NULL && !ed_list_empty(&found->events));
    entry *first = entry_of(ed_list_pop_front(&found->events));
    eddy_event event = first->event;
    ed_alloc_free(held->allocator, first, sizeof *first);
    if (ed_list_empty(&found->events)) {
        ed_list_remove(&found->node);
        ed_alloc_free(held->allocator, found, sizeof *found);
    }
    return event;
}

eddy_connection ed_held_any(const ed_held *held)
{
    ed_list_node *first = ed_list_first(&held->queues);

    return first == NULL ? 0 : queue_of(first)->connection;
}
