/* SPDX-License-Identifier: Apache-2.0 */
/* The table of requests whose header block goes on behind the segments that came: what came is kept, and the segment behind
 * it is waited for at the node's first points, as one that is awaited. Meanwhile the first segment has a transit without a
 * context: it was stamped before anybody knew whether that would be wanted.
 */

/* Bytes between two looks at whether all is copied: each is a way out of the loop, which the verifier follows. */
#define COPY_STRIDE 1024

/* Copies the first `length` bytes of a block, and some more. */
static __always_inline void copy_block(__u64 *to, const __u64 *from, __u64 length)
{
#pragma nounroll
	for (__u32 start = 0; start < HEADER_BLOCK_MAX; start += COPY_STRIDE) {
		OPAQUE(length); /* else clang drops the constant bound as implied, which 6.1 needs */
		if (start >= length)
			break;
#pragma nounroll
		for (__u32 i = start; i < start + COPY_STRIDE; i += 64) {
#pragma unroll
			for (int word = 0; word < 8; word++)
				to[i / 8 + word] = from[i / 8 + word];
		}
	}
}

static __always_inline struct unfinished_block *unfinished_of(int set, __u64 way)
{
	__u64 index = set * TABLE_WAYS + (way & WAY_MASK);

	return unfinished.lookup((int *)&index);
}

/* Whether the segment is the next one of a header block or body, whatever it begins with. */
static __always_inline int is_unfinished(const struct message *message)
{
	struct transit_key next = next_key(message, 0);
	__u64 hash = hash_key(&next);
	__u64 index = hash % UNFINISHED_SETS;
	struct tag_set *set = unfinished_tags.lookup((int *)&index);

	return set && find_way(set, hash);
}

/* Takes what came before the segment `next` into the workspace, and out of the table. Returns 0 where nothing did, or it is
 * so long ago that the sweep may have taken the transit.
 */
static __always_inline int resume_block(struct workspace *work, const struct transit_key *next)
{
	__u64 hash = hash_key(next);
	__u64 index = hash % UNFINISHED_SETS;
	struct tag_set *set = unfinished_tags.lookup((int *)&index);
	__u64 found = set ? find_way(set, hash) : 0;

	if (!found)
		return 0;
	__u64 *where = &set->tags[found & WAY_MASK];
	__u64 tag = READ_AGAIN(*where);
	struct unfinished_block *block = unfinished_of(index, found);
	if (!block || coarse_time(work->now) - (__u32)tag > UNFINISHED_AGE ||
	    !take_awaited(where, tag, &block->next, next))
		return 0;
	work->waited = block->waits;
	if (work->waited != FOR_END) {
		work->first = block->first;
		work->segments = block->segments + 1;
		work->block.length = block->length;
	}
	copy_block(work->block.words, block->words, work->block.length);
	free_awaited(where, next);
	return 1;
}

/* Keeps the block of the workspace until its next segment comes, or of a body nothing but that it goes on; what has waited
 * longest in its set may have to go. Returns 0 where there is no room.
 */
static __always_inline int keep_block(struct workspace *work)
{
	struct transit_key next = next_key(&work->message, work->message.payload_length);
	__u32 now = coarse_time(work->now);
	__u32 length = work->waits == FOR_END ? 0 : work->block.length;
	__u64 hash = hash_key(&next);
	__u64 index = hash % UNFINISHED_SETS;
	struct tag_set *set = unfinished_tags.lookup((int *)&index);
	if (!set)
		return 0;
	__u64 found = choose_awaited_way(work, set, hash, now);
	__u64 *where = &set->tags[found & WAY_MASK];
	struct unfinished_block *block = unfinished_of(index, found);
	if (!block || !replace_awaited(where, &block->next))
		return 0;
	block->next = next;
	block->first = work->first;
	block->segments = work->segments;
	block->length = length;
	block->waits = work->waits;
	copy_block(block->words, work->block.words, block->length);
	await_packet(next.seq, 1);
	publish(where, make_tag(hash, now));
	return 1;
}

/* Takes out of one set what has waited for `least` (2^20 ns) or longer. */
static __always_inline void expire_blocks(int index, __u32 now, __u32 least)
{
	struct tag_set *set = unfinished_tags.lookup(&index);

	if (!set)
		return;
#pragma unroll /* LLVM 19 would count from the set's first slot on, of which the verifier knows no bound */
	for (__u32 way = 0; way < TABLE_WAYS; way++) {
		struct unfinished_block *block = unfinished_of(index, way);
		if (block)
			expire_awaited(&set->tags[way], &block->next, now, least);
	}
}
