/* The entry of a mini-chat plugin, in plain C: what a host calls first, and what a library answers.
 *
 * Frozen for ever, with `entry.rs` and `heap.rs` of this crate, which say the same in Rust; a test compares the two. It is
 * enough to tell what a library is, and to refuse a host in words it understands. What `module` leads to is not plain C: a
 * plugin that serves calls is written with the Rust SDK.
 *
 * C11, C++11 or later, on systems with ELF. */
#ifndef MINI_CHAT_PLUGIN_H
#define MINI_CHAT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define MINI_CHAT_ASSERT(condition, text) static_assert(condition, text)
#else
#define MINI_CHAT_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* The section with the descriptor, one JSON object, which a host reads without running the library. */
#define MINI_CHAT_PLUGIN_SECTION ".mini_chat_plugin"
#define MINI_CHAT_PLUGIN_FORMAT 1

/* The exported function. */
#define MINI_CHAT_PLUGIN_ENTRY_SYMBOL "mini_chat_plugin_entry"

/* What a library writes first: 16 bytes, without an end. */
#define MINI_CHAT_PLUGIN_MAGIC "mini-chat-plugin"
#define MINI_CHAT_PLUGIN_MAGIC_LEN 16

/* The major of the ABI that this crate is. */
#define MINI_CHAT_PLUGIN_ABI_MAJOR 1

/* `status` of a reply. A host refuses a library with any but OK, and shows its message. */
#define MINI_CHAT_PLUGIN_STATUS_OK 0
#define MINI_CHAT_PLUGIN_STATUS_EARLY_ALLOCATION 1 /* it allocated before the host's heap was there */
#define MINI_CHAT_PLUGIN_STATUS_CALLED_TWICE 2
#define MINI_CHAT_PLUGIN_STATUS_HOST_TOO_OLD 3 /* a table of the host's is too small, or has nothing in it */
#define MINI_CHAT_PLUGIN_STATUS_PANICKED 4

/* `check` of a reply: the module is an abi_stable library header, to be checked as such before it is used. */
#define MINI_CHAT_PLUGIN_CHECK_ABI_STABLE 1

/* The host's heap. Implemented by the host; called by the library from any thread, at any time until the process ends. The
 * table and what `context` points at are never freed. `align` is a power of two, `size` not 0; a null result means that
 * memory is exhausted. Never extended. */
struct mini_chat_plugin_heap {
    size_t size; /* of this table, as the host was compiled */
    void *context; /* the first argument of each function */
    void *(*alloc)(void *context, size_t size, size_t align);
    void *(*alloc_zeroed)(void *context, size_t size, size_t align);
    void *(*realloc)(void *context, void *block, size_t old_size, size_t align, size_t new_size);
    void (*dealloc)(void *context, void *block, size_t size, size_t align);
};

/* What the host says. Valid for the call, but for `heap`, which is valid for ever. Texts are UTF-8 without an end. Never
 * extended: by `size` a library refuses one that is smaller than it knows. */
struct mini_chat_plugin_args {
    size_t size; /* of this struct, as the host was compiled */
    const struct mini_chat_plugin_heap *heap; /* never null */
    uint64_t image; /* the host's number for this image, for logs */
    const unsigned char *host_name;
    size_t host_name_len;
    const unsigned char *host_version;
    size_t host_version_len;
};

/* What the library answers. The host zeroes it (`status` is set to what no library answers) and sets `size`. */
struct mini_chat_plugin_reply {
    size_t size; /* of this struct, as the host was compiled: nothing is written behind it */
    unsigned char magic[MINI_CHAT_PLUGIN_MAGIC_LEN];
    uint32_t status;
    uint32_t check;
    const unsigned char *message; /* for a status other than OK: why; UTF-8 without an end, static; may be null */
    size_t message_len;
    /* What it has for a major of the ABI, valid until the process ends, or null. From any thread, any number of times. */
    const void *(*module)(uint32_t major);
};

/* Called once per image, right after it was mapped, by one thread, before anything else of it. Does not throw. A library
 * keeps the pointer to the heap and copies the rest. */
__attribute__((visibility("default"))) void mini_chat_plugin_entry(const struct mini_chat_plugin_args *args,
                                                                   struct mini_chat_plugin_reply *reply);

#if UINTPTR_MAX == UINT64_MAX
MINI_CHAT_ASSERT(sizeof(struct mini_chat_plugin_heap) == 48, "size of the heap table");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_heap, context) == 8, "context");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_heap, alloc) == 16, "alloc");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_heap, alloc_zeroed) == 24, "alloc_zeroed");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_heap, realloc) == 32, "realloc");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_heap, dealloc) == 40, "dealloc");

MINI_CHAT_ASSERT(sizeof(struct mini_chat_plugin_args) == 56, "size of the arguments");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_args, heap) == 8, "heap");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_args, image) == 16, "image");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_args, host_name) == 24, "host_name");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_args, host_name_len) == 32, "host_name_len");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_args, host_version) == 40, "host_version");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_args, host_version_len) == 48, "host_version_len");

MINI_CHAT_ASSERT(sizeof(struct mini_chat_plugin_reply) == 56, "size of the reply");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_reply, magic) == 8, "magic");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_reply, status) == 24, "status");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_reply, check) == 28, "check");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_reply, message) == 32, "message");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_reply, message_len) == 40, "message_len");
MINI_CHAT_ASSERT(offsetof(struct mini_chat_plugin_reply, module) == 48, "module");
#endif
MINI_CHAT_ASSERT(sizeof(MINI_CHAT_PLUGIN_MAGIC) - 1 == MINI_CHAT_PLUGIN_MAGIC_LEN, "length of the magic");

#undef MINI_CHAT_ASSERT
#ifdef __cplusplus
}
#endif
#endif
