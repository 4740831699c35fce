/* SPDX-License-Identifier: Apache-2.0 */
/* The values of header fields as HTTP/2 sends them: whether one may be a traceparent, and whether two differ. Touches no map. */
#ifndef HOPSPAN_HPACK_VALUES_H
#define HOPSPAN_HPACK_VALUES_H

#include "hpack_names.h"

/* The coded length of a traceparent: 55 characters of 5 or 6 bits, of which few are known. */
#define CODED_TRACEPARENT_MIN 35
#define CODED_TRACEPARENT_MAX 41

/* Whether a value begins and is as long as a traceparent of version 00: "00-" is 00 16 in Huffman's code. */
static __always_inline __u64 looks_like_traceparent(__u32 start, __u64 length, __u64 coded)
{
	__u64 plain =
		is_zero(coded | (length ^ TRACEPARENT_LENGTH) | ((start ^ LINE_START('0', '0', '-', 0)) & 0xffffff));
	__u64 is_other = is_below(length, CODED_TRACEPARENT_MIN) | is_below(CODED_TRACEPARENT_MAX, length);

	return plain | is_zero((coded ^ CODED_STRING) | is_other | ((start ^ 0x1600) & 0xffff));
}

/* Whether the first CONTEXT_TEXT_MAX bytes of two values of the same length differ. */
static __always_inline __u64 differ(const __u8 *one, const __u8 *other, __u64 length)
{
	__u64 difference = 0;

#pragma unroll
	for (int i = 0; i < CONTEXT_TEXT_MAX; i += 8) {
		__u64 left = length - i;
		__u64 mask = -is_below(7, left) | ~(~0ULL << (BOUNDED(left, 8) << 3));
		mask &= -is_below(i, length);
		difference |= (*(const __u64 *)&one[i] ^ *(const __u64 *)&other[i]) & mask;
	}
	return is_zero(difference) ^ 1;
}

#endif
