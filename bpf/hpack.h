/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a header block of HTTP/2, field by field: bytes -> the places of the values that may hold a context. Touches no map.
 *
 * HPACK (RFC 7541) refers to a table that both ends build up as a connection goes on, and that we do not have. But where a
 * field ends can be told without it, and so can a value that is written out:
 *   indexed field         1nnnnnnn                                   (section 6.1)
 *   literal, to be kept   01nnnnnn [ name ] value                    (6.2.1)
 *   size of the table     001nnnnn                                   (6.3)
 *   literal, not kept     0000nnnn or 0001nnnn, [ name ] value       (6.2.2, 6.2.3)
 * The number n is an index of the static table (1 to 61) or of the dynamic one; with 0 the name is written out. A string is
 * one bit (Huffman's code or plain), its length, its bytes. A new request has a new parent id: so its context is written
 * out, whatever the table holds, and its name is either written out, too, or a number of the dynamic table.
 */
#ifndef HOPSPAN_HPACK_H
#define HOPSPAN_HPACK_H

#include "hpack_names.h"
#include "hpack_values.h"

/* Indexes are masked to this; a field begins before HPACK_BLOCK_MAX, and its numbers have a few bytes. */
#define HPACK_ROOM (2 * HPACK_BLOCK_MAX)

/* How many bits of a field's first byte its number begins with, by the upper four bits: a nibble for each of their values. */
#define PREFIX_BITS  0x7777777766665544ULL
#define INDEXED_BITS 7
#define SIZE_BITS    5

/* The static table (appendix A). */
#define STATIC_REQUEST_FIRST 1 /* :authority, :method, :path, :scheme */
#define STATIC_STATUS_FIRST  8
#define STATIC_STATUS_LAST   14
#define DYNAMIC_FIRST	     62

/* What a block was found to hold. */
#define IS_REQUEST  0x01
#define IS_RESPONSE 0x02
#define IS_INTERIM  0x04
#define BY_NUMBER   0x08  /* a field of which name and value are a number of the dynamic table */
#define IS_BAD	    0x10  /* a traceparent that does not look like one */
#define HAS_SEVERAL 0x20  /* that differ */
#define IS_BROKEN   0x40  /* no header block */
#define IS_TOO_LONG 0x80  /* more fields than are looked at */
#define FROM_STATIC 0x100 /* a number of the static table, of a field or a name */

/* A value: its index, its length, and how it is coded. 0 is none, since no value begins at index 0. */
#define PLACE(index, length, coded) ((__u32)(index) | (__u32)(length) << 16 | (__u32)(coded) << 24)
#define PLACE_INDEX(place)	    ((place) & 0xffff)
#define PLACE_LENGTH(place)	    ((place) >> 16 & 0xff)
#define PLACE_CODED(place)	    ((place) >> 24)

struct header_block {
	__u64 length; /* of the bytes that were read */
	__u64 at;     /* where what is read next begins */
	__u64 kinds;
	/* Of the field that is read: these pass through memory, see READ_AGAIN. */
	__u64 bits;	  /* of its first byte that its number begins with */
	__u64 number;	  /* that was read last: an index, or the length of a string */
	__u64 line;	  /* what its name says (enum line) */
	__u64 is_status;  /* its name is :status */
	__u64 is_dynamic; /* its name has a number of the dynamic table */
	__u64 coded;	  /* of the string that was read last */
	__u32 place;	  /* of its value */
	__u32 reserved;
	__u32 places[LINES];
};

/* Reads the number whose prefix are the bits of `prefix` in the byte at block->at, and moves block->at behind it. Nearly all
 * end there; others have up to three further bytes (section 5.1): a larger one no block of this size has.
 */
static __always_inline void read_integer(const __u8 *bytes, __u64 prefix, struct header_block *block)
{
	__u64 index = BOUNDED(READ_AGAIN(block->at), HPACK_ROOM);
	const __u8 *more = &bytes[index + 1];
	__u64 number = bytes[index] & prefix;

	block->number = number;
	block->at = index + 1;
	if (number != prefix)
		return;
	__u64 second = -(__u64)(more[0] >> 7);
	__u64 third = second & -(__u64)(more[1] >> 7);
	block->number =
		number + (more[0] & 0x7f) + ((more[1] & 0x7f) << 7 & second) + ((more[2] & 0x7f) << 14 & third);
	block->at = index + 2 + (second & 1) + (third & 1);
	block->kinds |= IS_BROKEN & third & -(__u64)(more[2] >> 7);
}

/* Keeps where the value of a known line is. */
static __always_inline void note_place(const __u8 *bytes, struct header_block *block)
{
	__u32 place = READ_AGAIN(block->place);
	__u64 index = BOUNDED(READ_AGAIN(block->line), LINES);
	__u32 former = READ_AGAIN(block->places[index]);

	block->places[index] = place;
	if (!former)
		return;
	__u64 differs = is_zero((former ^ place) >> 16) ^ 1;
	differs |= differ(&bytes[BOUNDED(PLACE_INDEX(former), HPACK_ROOM)],
			  &bytes[BOUNDED(PLACE_INDEX(place), HPACK_ROOM)], PLACE_LENGTH(place));
	block->kinds |= HAS_SEVERAL * differs;
}

/* Reads what the number of a field tells; `is_indexed` says that it stands for the value, too. */
static __always_inline void note_number(struct header_block *block, __u64 number, __u64 is_indexed)
{
	__u64 is_request = is_below(0, number) & is_below(number, STATIC_STATUS_FIRST);
	__u64 is_status = is_below(STATIC_STATUS_FIRST - 1, number) & is_below(number, STATIC_STATUS_LAST + 1);

	block->is_status = is_status;
	block->is_dynamic = is_below(DYNAMIC_FIRST - 1, number);
	block->kinds |= FROM_STATIC * (is_below(0, number) & (block->is_dynamic ^ 1));
	block->kinds |= IS_BROKEN * (is_indexed & is_zero(number));
	block->kinds |=
		IS_REQUEST * is_request | IS_RESPONSE * is_status | BY_NUMBER * (is_indexed & block->is_dynamic);
}

/* Reads the head of a string at block->at: its length into block->number, and whether it is coded; moves block->at to its
 * first byte.
 */
static __always_inline void read_string(const __u8 *bytes, struct header_block *block)
{
	block->coded = bytes[BOUNDED(READ_AGAIN(block->at), HPACK_ROOM)] & CODED_STRING;
	read_integer(bytes, 0x7f, block);
	MEETING_POINT();
}

/* Reads the name at block->at, and moves that behind it. */
static __always_inline void read_name(const __u8 *bytes, struct header_block *block)
{
	read_string(bytes, block);
	__u64 at = READ_AGAIN(block->at), length = READ_AGAIN(block->number);
	const __u8 *name = &bytes[BOUNDED(at, HPACK_ROOM)];
	__u64 coded = READ_AGAIN(block->coded);
	__u64 is_status = is_status_name(*(const __u32 *)name, coded);

	block->is_status = is_status;
	block->kinds |= IS_RESPONSE * is_status | IS_REQUEST * (is_pseudo_name(name[0], coded) & (is_status ^ 1));
	block->at = at + length;
	if (begins_like_line(name) && length < LITERAL_NAME_MAX)
		block->line = name_line(name, length, coded);
}

/* Reads what the value of :status begins with: 1, in either coding. */
static __always_inline void note_status(struct header_block *block, __u8 first, __u64 coded)
{
	__u64 is_one = is_zero(first ^ '1') & is_zero(coded);
	__u64 is_coded_one = is_zero(first >> 3 ^ 1) & is_zero(coded ^ CODED_STRING);

	block->kinds |= IS_INTERIM * (is_one | is_coded_one);
}

/* Looks at a value that may be a context, by its name or because that is a number. */
static __always_inline void look_at_value(const __u8 *bytes, struct header_block *block, __u64 at)
{
	__u64 length = READ_AGAIN(block->number), coded = READ_AGAIN(block->coded);
	__u64 index = BOUNDED(at, HPACK_ROOM);
	__u64 is_whole = is_below(at + length, READ_AGAIN(block->length) + 1);
	__u64 looks = looks_like_traceparent(*(const __u32 *)&bytes[index], length, coded);
	__u64 line = READ_AGAIN(block->line);

	if (READS(TRACEPARENT))
		line |= TRACEPARENT_LINE * (READ_AGAIN(block->is_dynamic) & looks);
	block->kinds |= IS_BAD * (is_zero(line ^ TRACEPARENT_LINE) & is_whole & (looks ^ 1));
	line &= -(is_whole & is_below(length, UBER_MAX + 1) & (looks | is_zero(line ^ TRACEPARENT_LINE) ^ 1));
	block->line = line;
	block->place = PLACE(index, length, coded);
	MEETING_POINT();
	if (READ_AGAIN(block->line))
		note_place(bytes, block);
}

/* Reads the value at block->at, and moves that behind it. */
static __always_inline void read_value(const __u8 *bytes, struct header_block *block)
{
	read_string(bytes, block);
	__u64 at = READ_AGAIN(block->at);

	block->at = at + READ_AGAIN(block->number);
	if (READ_AGAIN(block->is_status))
		note_status(block, bytes[BOUNDED(at, HPACK_ROOM)], READ_AGAIN(block->coded));
	if (READ_AGAIN(block->line) || READ_AGAIN(block->is_dynamic))
		look_at_value(bytes, block, at);
}

/* Reads the field at block->at, and moves that behind it. */
static __always_inline void read_field(const __u8 *bytes, struct header_block *block)
{
	__u64 at = READ_AGAIN(block->at);
	__u64 bits = PREFIX_BITS >> (bytes[BOUNDED(at, HPACK_ROOM)] >> 4 << 2) & 7;

	OPAQUE(bits);
	read_integer(bytes, ~(~0ULL << bits), block);
	block->line = 0;
	block->bits = bits;
	MEETING_POINT();
	__u64 number = READ_AGAIN(block->number);
	bits = READ_AGAIN(block->bits);
	note_number(block, number & -(is_zero(bits ^ SIZE_BITS) ^ 1), is_zero(bits ^ INDEXED_BITS));
	if (bits == INDEXED_BITS || bits == SIZE_BITS)
		return;
	if (!number)
		read_name(bytes, block);
	MEETING_POINT();
	if (READ_AGAIN(block->at) >= READ_AGAIN(block->length)) {
		block->at = READ_AGAIN(block->length) + 1; /* there is no value: so the block is cut, or broken */
		return;
	}
	read_value(bytes, block);
}

/* Walks the block of which block->length bytes lie at `bytes`; `is_cut` says that they are not all. */
static __always_inline void walk_block(const __u8 *bytes, struct header_block *block, int is_cut)
{
	block->at = 0;
	block->kinds = 0;
#pragma unroll
	for (int i = 0; i < LINES; i++)
		block->places[i] = 0;
#pragma nounroll
	for (__u32 i = 0; i < HPACK_FIELDS_MAX; i++) {
		MEETING_POINT();
		if (READ_AGAIN(block->at) >= READ_AGAIN(block->length))
			break;
		read_field(bytes, block);
	}
	MEETING_POINT();
	if (READ_AGAIN(block->at) < READ_AGAIN(block->length))
		block->kinds |= IS_TOO_LONG;
	else if (!is_cut && READ_AGAIN(block->at) > READ_AGAIN(block->length))
		block->kinds |= IS_BROKEN;
}

#endif
