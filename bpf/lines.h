/* SPDX-License-Identifier: Apache-2.0 */
/* Which lines of a header block are looked for, by their first and third byte: those of contexts, and where a body may
 * follow, those of its length. Touches no map.
 */
#ifndef HOPSPAN_LINES_H
#define HOPSPAN_LINES_H

#include "block.h"
#include "formats.h"

/* The first four bytes of a line, as a little-endian word reads them. */
#define LINE_START(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)

/* The first bytes of the lines that are looked at, as bits of their lower five, in which letters of both cases are equal;
 * others share these bits. Many names begin with x, so the third byte decides which of these lines are kept: few have
 * both.
 */
#define BYTE_BIT(byte) (1U << ((byte) & 0x1f))
#define FIRST_BYTES                                                                                                  \
	(BYTE_BIT('\r') | BYTE_BIT('\n') | (READS(TRACEPARENT) ? BYTE_BIT('t') : 0) |                                \
	 (READS(B3) ? BYTE_BIT('b') : 0) | (READS(B3MULTI) ? BYTE_BIT('x') : 0) |                                    \
	 (READS(UBER_TRACE_ID) ? BYTE_BIT('u') : 0))
#define THIRD_BYTES                                                                                                  \
	((READS(TRACEPARENT) ? BYTE_BIT('a') : 0) | (READS(B3) ? BYTE_BIT(':') : 0) |                                \
	 (READS(B3MULTI) ? BYTE_BIT('b') : 0) | (READS(UBER_TRACE_ID) ? BYTE_BIT('e') : 0))

/* The same for the lines that tell of a body's length: content-length, transfer-encoding. */
#define BODY_FIRST_BYTES (BYTE_BIT('c') | BYTE_BIT('t'))
#define BODY_THIRD_BYTES (BYTE_BIT('n') | BYTE_BIT('a'))

/* Whether requests with this method have a body, as a rule or often (RFC 9110 section 9.3): POST, PUT, PATCH, DELETE. */
static __always_inline int may_carry_body(const struct search_buffer *buffer)
{
	__u8 first = READ_AGAIN(buffer->bytes[0]);

	return first == 'P' || first == 'D';
}

/* Chooses the lines that are looked for in a block of `n` bytes: those before its last segment, and of its `length` those
 * that had room. A message whose segment ends like a header block, and whose method seldom has a body, is taken for one
 * without: it is spared the rest.
 */
static __always_inline void choose_lines(struct search_buffer *buffer, __u64 before, __u64 length, __u64 n)
{
	__u32 end = *(const __u32 *)(buffer->bytes + n - sizeof(end));
	int ends_here = before + length == n &&
			(end == LINE_START('\r', '\n', '\r', '\n') || end >> 16 == ('\n' | '\n' << 8));
	__u64 wants = !ends_here || may_carry_body(buffer);

	OPAQUE(wants);
	buffer->wants_body = wants;
	buffer->first_bytes = FIRST_BYTES | (BODY_FIRST_BYTES & -wants);
	buffer->third_bytes = THIRD_BYTES | (BODY_THIRD_BYTES & -wants);
}

#endif
