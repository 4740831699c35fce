/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a place in a table of fixed size: hash -> one of the eight ways of a set. Touches no map.
 *
 * A table is two arrays: tags, in sets of one cache line, found by hash; and slots, which hold key and value and are
 * handed out in turn. Most packets are not traced, and for them the tags answer "not here" by one look at one line,
 * where a hash map walks through a bucket and its scattered elements. New slots lie beside the last ones: a place by
 * hash would be a miss of cache and TLB for each page of megabytes (that alone was half of what a first point cost).
 * A way is free where its tag is 0, and is taken by compare-and-swap: one CPU alone fills it, during which its tag
 * matches no key.
 */
#ifndef HOPSPAN_TABLE_H
#define HOPSPAN_TABLE_H

#include "record.h"
#include "verifier.h"

/* A tag: the hash's upper part (never 0), a mark, and 32 bits that are the table's own. */
#define TAG_HASH_SHIFT 33
#define TAG_MARK       (1ULL << 32)
#define TAG_OWN_MASK   0xffffffffULL
#define TAG_BUSY       1ULL /* the way is being filled or emptied */

/* What the functions below answer: the way in the lower bits. */
#define WAY_FOUND TABLE_WAYS
#define WAY_MASK  (TABLE_WAYS - 1)

/* The seed is drawn when the programs are compiled: whoever forges packets cannot choose what they displace. */
static __always_inline __u64 hash_words(const __u64 *words)
{
	__u64 hash = (words[0] ^ HASH_SEED) * 0x9e3779b97f4a7c15ULL;

	hash ^= hash >> 32;
	hash = (hash ^ words[1]) * 0xd6e8feb86659fd93ULL;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ULL;
	return (hash ^ hash >> 32) | 1ULL << 63;
}

static __always_inline __u64 hash_key(const struct transit_key *key)
{
	return hash_words((const __u64 *)key);
}

static __always_inline __u64 make_tag(__u64 hash, __u32 own)
{
	return (hash >> TAG_HASH_SHIFT << TAG_HASH_SHIFT) | own;
}

static __always_inline int same_key(const struct transit_key *one, const struct transit_key *other)
{
	const __u64 *a = (const __u64 *)one, *b = (const __u64 *)other;

	return !((a[0] ^ b[0]) | (a[1] ^ b[1]));
}

/* Returns the way whose tag has the hash, with WAY_FOUND; 0 where none has. */
static __always_inline __u64 find_way(const struct tag_set *set, __u64 hash)
{
	__u64 found = 0;

#pragma unroll
	for (int i = 0; i < TABLE_WAYS; i++) {
		__u64 difference = (set->tags[i] ^ hash) >> TAG_HASH_SHIFT;
		OPAQUE(difference);
		found |= -((difference - 1) >> 63) & (WAY_FOUND | i);
	}
	return found;
}

/* Returns a free way, with WAY_FOUND; 0 where there is none. */
static __always_inline __u64 find_free_way(const struct tag_set *set)
{
	__u64 found = 0;

#pragma unroll
	for (int i = 0; i < TABLE_WAYS; i++) {
		__u64 tag = set->tags[i];
		__u64 is_free = -((~tag & (tag - 1)) >> 63);
		OPAQUE(is_free);
		found = (found & ~is_free) | (is_free & (WAY_FOUND | i));
	}
	return found;
}

/* Returns the way that is best given up, for tags whose own bits are a number that grows with each: a free one, or one
 * that is `span` numbers old, whose slot another has; else a marked one; else the oldest. With WAY_FOUND.
 */
static __always_inline __u64 find_worst_way(const struct tag_set *set, __u32 number, __u32 span)
{
	__u64 worst = 0;

#pragma unroll
	for (int i = 0; i < TABLE_WAYS; i++) {
		__u64 tag = set->tags[i];
		__u64 age = (number - tag) & TAG_OWN_MASK;
		__u64 is_free = (~tag & (tag - 1)) >> 63;
		__u64 is_over = ((__u64)span - 1 - age) >> 63;
		OPAQUE(is_over);
		__u64 score = age | (tag & TAG_MARK) | (is_free | is_over) << 33;
		__u64 difference = worst - (score << 3 | i);
		__u64 is_worse = -(difference >> 63);
		OPAQUE(is_worse);
		worst -= difference & is_worse;
	}
	return WAY_FOUND | (worst & WAY_MASK);
}

/* Marks the tag, known to be `tag`, as busy. Returns 0 where another CPU was faster, or is at it. */
static __always_inline int take_way(__u64 *where, __u64 tag)
{
	if (tag && !(tag >> TAG_HASH_SHIFT))
		return 0;
	return __sync_val_compare_and_swap(where, tag, TAG_BUSY) == tag;
}

/* Makes what was written before visible with the tag: x86 keeps the order of stores, so the compiler alone must. */
static __always_inline void publish(__u64 *where, __u64 tag)
{
	asm volatile("" ::: "memory");
	WRITE_ONCE(*where, tag);
}

#endif
