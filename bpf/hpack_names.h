/* SPDX-License-Identifier: Apache-2.0 */
/* The names of header fields as HTTP/2 sends them: a literal, plain or by Huffman's code (RFC 7541 section 5.2) -> which of
 * the known lines it is. Touches no map.
 */
#ifndef HOPSPAN_HPACK_NAMES_H
#define HOPSPAN_HPACK_NAMES_H

#include "contexts.h"

#define CODED_STRING	 0x80
#define LITERAL_NAME_MAX 16 /* bytes of a name that are compared: all known ones are shorter */

/* What is compared of a name: its bytes, zeros behind them, and its length with CODED_STRING. */
struct literal_name {
	__u64 first;
	__u64 second;
	__u64 size;
};

static __always_inline __u64 is_literal(const struct literal_name *name, __u64 first, __u64 second, __u64 size)
{
	return is_zero((name->first ^ first) | (name->second ^ second) | (name->size ^ size));
}

#define PLAIN_NAME(n) (n)
#define CODED_NAME(n) (CODED_STRING | (n))
#define X_B3(a, b, c) EIGHT('x', '-', 'b', '3', '-', a, b, c)

static __always_inline __u64 is_traceparent_name(const struct literal_name *name)
{
	return is_literal(name, NAME_TRACEPAR, LINE_START('e', 'n', 't', 0), PLAIN_NAME(11)) |
	       is_literal(name, EIGHT(0x4d, 0x83, 0x21, 0x6b, 0x1d, 0x85, 0xa9, 0x3f), 0, CODED_NAME(8));
}

static __always_inline __u64 is_b3_name(const struct literal_name *name)
{
	return is_literal(name, LINE_START('b', '3', 0, 0), 0, PLAIN_NAME(2)) |
	       is_literal(name, LINE_START(0x8d, 0x9f, 0, 0), 0, CODED_NAME(2));
}

static __always_inline __u64 is_uber_name(const struct literal_name *name)
{
	return is_literal(name, EIGHT('u', 'b', 'e', 'r', '-', 't', 'r', 'a'),
			  EIGHT('c', 'e', '-', 'i', 'd', 0, 0, 0), PLAIN_NAME(13)) |
	       is_literal(name, EIGHT(0xb6, 0x32, 0xd8, 0xb2, 0x6c, 0x19, 0x0a, 0xb1), 0xa4, CODED_NAME(9));
}

/* Returns which of B3's several lines has the name. */
static __always_inline __u64 b3_multi_line(const struct literal_name *name)
{
	__u64 trace = is_literal(name, X_B3('t', 'r', 'a'), LINE_START('c', 'e', 'i', 'd'), PLAIN_NAME(12)) |
		      is_literal(name, EIGHT(0xf2, 0xb4, 0x6c, 0xac, 0x9b, 0x06, 0x42, 0x9a), 0x4f, CODED_NAME(9));
	__u64 span = is_literal(name, X_B3('s', 'p', 'a'), LINE_START('n', 'i', 'd', 0), PLAIN_NAME(11)) |
		     is_literal(name, EIGHT(0xf2, 0xb4, 0x6c, 0xac, 0x8a, 0xc7, 0x51, 0xa4), 0, CODED_NAME(8));
	__u64 sampled = is_literal(name, X_B3('s', 'a', 'm'), LINE_START('p', 'l', 'e', 'd'), PLAIN_NAME(12)) |
			is_literal(name, EIGHT(0xf2, 0xb4, 0x6c, 0xac, 0x81, 0xd3, 0x5d, 0x05), 0x93, CODED_NAME(9));
	__u64 flags = is_literal(name, X_B3('f', 'l', 'a'), LINE_START('g', 's', 0, 0), PLAIN_NAME(10)) |
		      is_literal(name, EIGHT(0xf2, 0xb4, 0x6c, 0xad, 0x2d, 0x03, 0x99, 0x1f), 0, CODED_NAME(8));

	return B3_TRACE_LINE * trace | B3_SPAN_LINE * span | B3_SAMPLED_LINE * sampled | B3_FLAGS_LINE * flags;
}

/* Whether a name that begins with the byte is a pseudo-header's: a colon, which is 1011100 in Huffman's code. Most senders name
 * these by numbers, but gRPC's C core writes out what it sends seldom, as the status of an answer that has no message.
 */
static __always_inline __u64 is_pseudo_name(__u8 first, __u64 coded)
{
	return is_zero(coded | (first ^ ':')) | is_zero((coded ^ CODED_STRING) | (first >> 1 ^ 0x5c));
}

/* Whether it begins like ":status", the only one of a response; in Huffman's code that is b8 84. */
static __always_inline __u64 is_status_name(__u32 start, __u64 coded)
{
	return is_zero(coded | ((start & 0xffffff) ^ LINE_START(':', 's', 't', 0))) |
	       is_zero((coded ^ CODED_STRING) | ((start & 0xffff) ^ 0x84b8));
}

/* Whether a name begins with a byte that may be a known one's, plain or coded, of which it compares six bits: seven of those
 * 64 values are.
 */
#define START_BIT(byte) (1ULL << ((byte) & 63))
#define LINE_STARTS                                                                                                  \
	(START_BIT('t') | START_BIT('b') | START_BIT('u') | START_BIT('x') | START_BIT(0x4d) | START_BIT(0x8d) |     \
	 START_BIT(0xb6) | START_BIT(0xf2))

static __always_inline int begins_like_line(const __u8 *name)
{
	return LINE_STARTS >> (*name & 63) & 1;
}

/* Returns which line has the name of `length` bytes, fewer than LITERAL_NAME_MAX, at `text`. Names are lower-case (RFC 9113
 * section 8.2). One that merely ends like one, as ce-traceparent, is another.
 */
static __always_inline __u64 name_line(const __u8 *text, __u64 length, __u64 coded)
{
	__u64 is_long = -is_below(7, length);
	__u64 below = ~(~0ULL << (BOUNDED(length, 8) << 3));
	const struct literal_name name = {
		.first = *(const __u64 *)text & (is_long | below),
		.second = *(const __u64 *)&text[8] & is_long & below,
		.size = length | coded,
	};
	__u64 line = 0;

	if (READS(TRACEPARENT))
		line |= TRACEPARENT_LINE * is_traceparent_name(&name);
	if (READS(B3))
		line |= B3_LINE * is_b3_name(&name);
	if (READS(B3MULTI))
		line |= b3_multi_line(&name);
	if (READS(UBER_TRACE_ID))
		line |= UBER_LINE * is_uber_name(&name);
	return line;
}

#endif
