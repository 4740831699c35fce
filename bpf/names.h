/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the lines of a header block by their names: candidates -> the index of each known line. Touches no map.
 *
 * Field names are case-insensitive (RFC 9110 section 5.1). A name that merely ends like one, as ce-traceparent, is
 * another, since names are compared from the line's start.
 */
#ifndef HOPSPAN_NAMES_H
#define HOPSPAN_NAMES_H

#include "search.h"

#define EIGHT(a, b, c, d, e, f, g, h) ((__u64)LINE_START(a, b, c, d) | (__u64)LINE_START(e, f, g, h) << 32)

/* Whether 16 bytes begin with a name: `letters` has 0x20 where a letter is, which may be a capital; `behind` has ff where
 * the second half counts. 1 or 0, without a branch.
 */
static __always_inline __u64 is_named(const __u64 *text, const __u64 *name, const __u64 *letters, __u64 behind)
{
	__u64 difference = (text[0] | letters[0]) ^ name[0];

	difference |= ((text[1] | letters[1]) ^ name[1]) & behind;
	return is_zero(difference);
}

#define NAME(...)     ((const __u64[]){__VA_ARGS__})
#define BYTES(number) (~0ULL >> (64 - 8 * (number)))

/* Returns which line begins with the 16 bytes at `text`. */
static __always_inline __u64 classify_line(const __u8 *bytes)
{
	const __u64 text[] = {*(const __u64 *)bytes, *(const __u64 *)&bytes[8]};
	const __u64 ids = EIGHT(0x20, 0, 0x20, 0, 0, 0x20, 0x20, 0x20); /* "x-b3-xxx" */
	__u64 line = 0;

	if (READS(TRACEPARENT))
		line |= TRACEPARENT_LINE * is_named(text, NAME(NAME_TRACEPAR, LINE_START('e', 'n', 't', ':')),
						    NAME(LOWER_CASE, 0x202020), BYTES(4));
	if (READS(B3)) {
		const __u64 first[] = {text[0] & BYTES(3), 0};
		line |= B3_LINE * is_named(first, NAME(LINE_START('b', '3', ':', 0), 0), NAME(0x20, 0), 0);
	}
	if (READS(B3MULTI)) {
		line |= B3_TRACE_LINE * is_named(text,
						 NAME(EIGHT('x', '-', 'b', '3', '-', 't', 'r', 'a'),
						      EIGHT('c', 'e', 'i', 'd', ':', 0, 0, 0)),
						 NAME(ids, 0x20202020), BYTES(5));
		line |= B3_SPAN_LINE *
			is_named(text,
				 NAME(EIGHT('x', '-', 'b', '3', '-', 's', 'p', 'a'), LINE_START('n', 'i', 'd', ':')),
				 NAME(ids, 0x202020), BYTES(4));
		line |= B3_SAMPLED_LINE * is_named(text,
						   NAME(EIGHT('x', '-', 'b', '3', '-', 's', 'a', 'm'),
							EIGHT('p', 'l', 'e', 'd', ':', 0, 0, 0)),
						   NAME(ids, 0x20202020), BYTES(5));
		line |= B3_FLAGS_LINE *
			is_named(text,
				 NAME(EIGHT('x', '-', 'b', '3', '-', 'f', 'l', 'a'), LINE_START('g', 's', ':', 0)),
				 NAME(ids, 0x2020), BYTES(3));
	}
	if (READS(UBER_TRACE_ID))
		line |= UBER_LINE * is_named(text,
					     NAME(EIGHT('u', 'b', 'e', 'r', '-', 't', 'r', 'a'),
						  EIGHT('c', 'e', '-', 'i', 'd', ':', 0, 0)),
					     NAME(EIGHT(0x20, 0x20, 0x20, 0x20, 0, 0x20, 0x20, 0x20),
						  EIGHT(0x20, 0x20, 0, 0x20, 0x20, 0, 0, 0)),
					     BYTES(6));
	return line;
}

/* Finds out which of the candidates are known lines. Returns 0 where there are more than any sender has. */
static __always_inline int classify_candidates(struct search_buffer *buffer)
{
	__u64 found = READ_AGAIN(buffer->candidates);

	if (found > CANDIDATES_MAX)
		return 0;
#pragma nounroll
	for (__u64 i = 0; i < CANDIDATES_MAX; i++) {
		OPAQUE(found); /* else clang drops the constant bound as implied, which 6.1 needs */
		if (i >= found)
			break;
		/* Without branches: each would double the ways through the rest of the loop. */
		__u64 index = BOUNDED(READ_AGAIN(buffer->candidate[i]), HEADER_BLOCK_MAX);
		__u64 line = BOUNDED(classify_line(&buffer->bytes[index]), LINES);
		__u64 is_first = is_zero(line) | is_zero(READ_AGAIN(buffer->lines[line]));
		buffer->repeated |= (is_first ^ 1) << line;
		buffer->lines[line] = index;
	}
	MEETING_POINT();
	return 1;
}

#endif
