/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the heads of TLS records: bytes of a segment -> types and lengths. Touches no map.
 *
 * The layout (RFC 8446 section 5.1): type (8 bits), legacy version (16), length (16).
 */
#ifndef HOPSPAN_TLS_RECORDS_H
#define HOPSPAN_TLS_RECORDS_H

#include "burst.h"
#include "parse.h"

#define TLS_HEAD_BYTES 5
#define TLS_MINOR_MAX  4

/* Messages of a handshake that a connection begins with (section 4). */
#define CLIENT_HELLO 1
#define SERVER_HELLO 2

/* Lengths of records of TLS 1.3 that are no part of any message: an alert, as the one that closes, and an update of keys; with
 * the true type and what the cipher adds (sections 5.2, 6 and 4.6.3). So is five bytes of data: the end of a chunked body,
 * with which no message begins either.
 */
#define ALERT_LENGTH	  19
#define KEY_UPDATE_LENGTH 22

/* The records that begin in a segment. */
struct tls_records {
	__u64 type;	      /* of the first */
	__u64 is_hello;	      /* it begins a connection */
	__u64 changes_cipher; /* one does, and the next is one of a handshake */
	__u64 behind;	      /* where the next begins, or what could not be read */
	__u16 lengths[BURST_RECORDS];
};

/* Reads the record's head at an index of the payload. Returns its type, 0 where there is none. */
static __always_inline __u32 read_record(struct __sk_buff *skb, const struct message *message, __u32 at,
					 __u16 *length)
{
	__u8 head[TLS_HEAD_BYTES + 1] = {};

	if (at + TLS_HEAD_BYTES > message->payload_length)
		return 0;
	if (bpf_skb_load_bytes(skb, message->payload_offset + at, head, TLS_HEAD_BYTES) < 0)
		return 0;
	__u32 n = (__u32)head[3] << 8 | head[4];
	if (head[0] < CHANGE_CIPHER_SPEC || head[0] > APPLICATION_DATA || head[1] != TLS_MAJOR ||
	    head[2] > TLS_MINOR_MAX || n - 1 >= TLS_RECORD_MAX)
		return 0;
	*length = n;
	return head[0];
}

/* Whether the first record holds the first message of either side. */
static __always_inline int is_hello(struct __sk_buff *skb, const struct message *message)
{
	__u8 type = 0;

	if (message->payload_length <= TLS_HEAD_BYTES ||
	    bpf_skb_load_bytes(skb, message->payload_offset + TLS_HEAD_BYTES, &type, sizeof(type)) < 0)
		return 0;
	return type == CLIENT_HELLO || type == SERVER_HELLO;
}

/* Walks the records that begin in the segment, the first BURST_RECORDS of them. Returns 0 where it begins with none. */
static __always_inline int read_records(struct __sk_buff *skb, const struct message *message,
					struct tls_records *records)
{
	__u32 at = 0, before = 0;

	__builtin_memset(records, 0, sizeof(*records));
#pragma unroll
	for (int i = 0; i < BURST_RECORDS; i++) {
		__u16 length = 0;
		__u32 type = read_record(skb, message, at, &length);
		if (!type)
			break;
		if (!i)
			records->type = type;
		if (before == CHANGE_CIPHER_SPEC && type == HANDSHAKE)
			records->changes_cipher = 1;
		before = type;
		records->lengths[i] = length;
		at += TLS_HEAD_BYTES + length;
	}
	records->behind = at;
	records->is_hello = records->type == HANDSHAKE && is_hello(skb, message);
	return at;
}

/* Whether the segment holds one record, which is no part of any message. */
static __always_inline int is_aside(const struct message *message, const struct tls_records *records)
{
	__u16 length = records->lengths[0];

	return (length == ALERT_LENGTH || length == KEY_UPDATE_LENGTH) &&
	       message->payload_length == TLS_HEAD_BYTES + length;
}

#endif
