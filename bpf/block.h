/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer in which a header block is searched: bytes of one skb after the other. Touches no map; the caller lends it. */
#ifndef HOPSPAN_BLOCK_H
#define HOPSPAN_BLOCK_H

#include "record.h"
#include "verifier.h"

/* Behind the block there is room for a name, white space and a text, so that no read needs a second bound, and for what
 * would lie there if the last segment of a full block were full, too: the verifier bounds place and length apart.
 */
#define SEARCH_SLACK 192
#define SEARCH_BYTES (2 * HEADER_BLOCK_MAX + SEARCH_SLACK)

/* Bytes that are looked at in one turn of the loop. */
#define STRIDE 32

/* What a line of a header block is; contexts.h tells them by their names. */
enum line {
	OTHER_LINE,
	TRACEPARENT_LINE,
	B3_LINE,
	B3_TRACE_LINE,
	B3_SPAN_LINE,
	B3_SAMPLED_LINE,
	B3_FLAGS_LINE,
	UBER_LINE,
	LINES,
};

/* Lines that begin nearly like the name of a context; a block with more of them is no request that anybody sends. */
#define CANDIDATES_MAX 32

struct search_buffer {
	__u64 length;	   /* of the block, as far as it was loaded */
	__u64 ended;	   /* 1 once the walk has met the line that it ends with */
	__u64 candidates;  /* how many lines were found that may hold a context */
	__u64 seen;	   /* how many of them were looked at closer */
	__u64 unsampled;   /* 1 once one of them was a traceparent without the sampled flag */
	__u64 value;	   /* only passed through here: see READ_AGAIN */
	__u64 wants_body;  /* 1 where a body may follow, so that lines are looked for that tell of its length */
	__u64 first_bytes; /* of the lines that are looked for, as their third ones: see search.h */
	__u64 third_bytes;
	__u64 lengths;	 /* how many lines hold the body's length */
	__u64 codings;	 /* how many say that it has none */
	__u64 length_at; /* the index of the last one's value */
	__u32 repeated;	 /* bit (enum line): the block has several of them */
	__u32 reserved;
	__u32 candidate[CANDIDATES_MAX]; /* their indexes */
	__u32 lines[LINES];		 /* index of each known line, 0 where the block has none */
	union {
		__u8 bytes[SEARCH_BYTES];
		__u64 words[SEARCH_BYTES / 8];
	};
};

/* Puts `n` bytes of the skb behind the first buffer->length bytes of the block, up to its limit. Returns the new length,
 * 0 where the packet is shorter than its header says.
 */
static __always_inline __u64 load_block(struct __sk_buff *skb, __u32 offset, __u64 n, struct search_buffer *buffer)
{
	__u64 before = BOUNDED(READ_AGAIN(buffer->length), HEADER_BLOCK_MAX);
	__u64 room = HEADER_BLOCK_MAX - before;

	OPAQUE(n);
	if (n > room)
		n = room;
	OPAQUE(n);
	if (!n)
		return 0;
	/* By a mask, since what 6.1 learns of a value that is not 0 is not that it is 1 or more: "R3 min value is outside of
	 * the allowed memory range".
	 */
	n = BOUNDED(n - 1, HEADER_BLOCK_MAX) + 1;
	if (bpf_skb_load_bytes(skb, offset, &buffer->bytes[before], n) < 0)
		return 0;
	buffer->length = before + n;
	n = BOUNDED(READ_AGAIN(buffer->length), 2 * HEADER_BLOCK_MAX);
	/* The rest of what the walk looks at together is an earlier packet's: clear it. */
#pragma unroll
	for (int i = 0; i < STRIDE; i += 8)
		*(__u64 *)&buffer->bytes[n + i] = 0;
	buffer->candidates = 0;
	buffer->seen = 0;
	buffer->ended = 0;
	buffer->unsampled = 0;
	buffer->repeated = 0;
#pragma unroll
	for (int i = 0; i < LINES; i++)
		buffer->lines[i] = 0;
	return n;
}

#endif
