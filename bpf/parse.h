/* SPDX-License-Identifier: Apache-2.0 */
/* Reads TCP and what its payload begins with: bytes of an skb -> struct message. Touches no map. */
#ifndef HOPSPAN_PARSE_H
#define HOPSPAN_PARSE_H

#include "formats.h"
#include "frames.h"
#include "network.h"

#define TCP_OPTION_END		0
#define TCP_OPTION_NOP		1
#define TCP_OPTION_TIMESTAMP	8 /* RFC 7323 section 3.2 */
#define TIMESTAMP_OPTION_LENGTH 10

/* Senders put the timestamp option first, padded to words: NOP NOP 8 10 (RFC 7323 appendix A). */
#define TIMESTAMP_FIRST_WORD bpf_htonl(0x0101080a)

/* The first four bytes of a message, as a little-endian word reads them on every supported machine. */
#define WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)

/* TCP without options, the timestamp option, four bytes of payload. */
struct tcp_head {
	struct tcphdr tcp;
	__u32 options[3];
	__u32 payload;
} __attribute__((packed));

/* Types of TLS records, and what their version begins with (RFC 8446 section 5.1). */
enum record_type { CHANGE_CIPHER_SPEC = 20, ALERT, HANDSHAKE, APPLICATION_DATA };
#define TLS_MAJOR 3

/* What nearly every segment of a message begins with. One that is shorter than that, for want of the option, is read with
 * less.
 */
struct packet_head {
	struct iphdr ip;
	struct tcp_head segment;
} __attribute__((packed));

/* What TCP looks like at the least: four bytes of payload, and no options. */
#define SHORT_SEGMENT (sizeof(struct tcphdr) + sizeof(__u32))

static __always_inline enum payload_kind classify_payload(__u32 word)
{
	switch (word) {
	case WORD('G', 'E', 'T', ' '):
	case WORD('P', 'O', 'S', 'T'):
	case WORD('P', 'U', 'T', ' '):
	case WORD('H', 'E', 'A', 'D'):
	case WORD('D', 'E', 'L', 'E'):
	case WORD('P', 'A', 'T', 'C'):
	case WORD('O', 'P', 'T', 'I'):
	case WORD('C', 'O', 'N', 'N'):
	case WORD('T', 'R', 'A', 'C'):
		return HTTP_REQUEST;
	case WORD('H', 'T', 'T', 'P'):
		return HTTP_RESPONSE;
	case WORD('P', 'R', 'I', ' '):
		return HTTP2_PREFACE;
	}
	/* The head of a frame: a length below 64 KiB, and a type that RFC 9113 knows. */
	if (!(word & 0xff) && word >> 24 < FRAME_TYPES)
		return HTTP2_FRAME;
	/* The legacy version 3.x (RFC 8446 section 5.1). What changes the cipher matters to those who follow the connection. */
	__u32 type = word & 0xff;
	if ((type == HANDSHAKE || type == APPLICATION_DATA || (READS(FLOW) && type == CHANGE_CIPHER_SPEC)) &&
	    (word >> 8 & 0xff) == TLS_MAJOR)
		return TLS_RECORD;
	return OTHER_PAYLOAD;
}

/* Whether a message may begin with what a payload of that kind begins with. */
static __always_inline int may_begin(enum payload_kind kind)
{
	return kind != OTHER_PAYLOAD && (kind != TLS_RECORD || READS(FLOW));
}

/* Returns TSval in network order, 0 where the option is absent or the options are malformed. */
static __always_inline __u32 search_timestamp(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	__u8 options[TCP_OPTIONS_MAX] = {};
	__u64 n = length;
	__u64 i = 0;
	__u32 step = 0;

	/* OPAQUE keeps clang from folding both tests into one subtraction, whose result 6.1 and 6.12 take for possibly
	 * zero: "R4 invalid zero-sized read: u64=[0,39]".
	 */
	OPAQUE(n);
	if (n < TIMESTAMP_OPTION_LENGTH)
		return 0;
	OPAQUE(n);
	if (n > TCP_OPTIONS_MAX)
		return 0;
	if (bpf_skb_load_bytes(skb, offset, options, n) < 0)
		return 0;
#pragma nounroll
	for (; step < TCP_OPTIONS_TRIED; step++) {
		OPAQUE(i);
		if (i > TCP_OPTIONS_MAX - TIMESTAMP_OPTION_LENGTH)
			return 0;
		__u64 kind = options[i];
		__u64 size = options[i + 1];
		if (kind == TCP_OPTION_TIMESTAMP && size == TIMESTAMP_OPTION_LENGTH)
			break;
		/* Anything else is stepped over; no length, or the end of the list, ends the search. */
		__u64 is_nop = ((kind ^ TCP_OPTION_NOP) - 1) >> 63;
		OPAQUE(is_nop);
		size = is_nop | (size & (is_nop - 1));
		if (kind == TCP_OPTION_END || (size | is_nop << 1) < 2)
			return 0;
		i += size;
	}
	OPAQUE(i);
	if (step == TCP_OPTIONS_TRIED || i > TCP_OPTIONS_MAX - TIMESTAMP_OPTION_LENGTH)
		return 0;
	return WORD(options[i + 2], options[i + 3], options[i + 4], options[i + 5]);
}

/* Reads the IP header at `offset`, and TCP's into `head` where that takes no second call. Returns where TCP begins, 0 where
 * it does not. `length` is that of the packet from `offset` on.
 */
static __always_inline __u32 read_ip(struct __sk_buff *skb, __u32 offset, struct packet_head *head,
				     struct message *message, __u32 *length)
{
	if (bpf_skb_load_bytes(skb, offset, head, sizeof(*head)) < 0 &&
	    bpf_skb_load_bytes(skb, offset, head, sizeof(head->ip) + SHORT_SEGMENT) < 0)
		return 0;
	__u32 next = offset + head->ip.ihl * 4;
	if (head->ip.version == 6) {
		next = read_ipv6(skb, offset, message, length);
	} else {
		if (head->ip.version != 4 || head->ip.ihl < 5 || head->ip.protocol != PROTOCOL_TCP)
			return 0;
		if (head->ip.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
			return 0;
		*length = head->ip.tot_len ? bpf_ntohs(head->ip.tot_len) : skb->len - offset; /* BIG TCP */
		message->source = head->ip.saddr;
		message->destination = head->ip.daddr;
		message->family = FAMILY_IPV4;
		if (head->ip.ihl == 5)
			return next;
	}
	if (!next)
		return 0;
	if (bpf_skb_load_bytes(skb, next, &head->segment, sizeof(head->segment)) < 0 &&
	    bpf_skb_load_bytes(skb, next, &head->segment, SHORT_SEGMENT) < 0)
		return 0;
	return next;
}

/* Reads the TCP packet at `offset`. Returns what its payload is; `message` is filled for HTTP, and where `all` is set, for
 * whatever has a payload.
 */
static __always_inline enum payload_kind read_message(struct __sk_buff *skb, __u32 offset, struct message *message,
						      int all)
{
	struct packet_head head;
	__u32 length = 0;
	__u32 next = read_ip(skb, offset, &head, message, &length);

	if (!next)
		return NO_PAYLOAD;
	__u32 tcp_length = head.segment.tcp.doff * 4;
	if (tcp_length < sizeof(head.segment.tcp))
		return NO_PAYLOAD;

	__u32 payload_offset = next + tcp_length;
	__u32 word = head.segment.payload;
	if (tcp_length == sizeof(head.segment.tcp))
		word = head.segment.options[0];
	else if (tcp_length != sizeof(head.segment.tcp) + sizeof(head.segment.options) &&
		 bpf_skb_load_bytes(skb, payload_offset, &word, sizeof(word)) < 0)
		return NO_PAYLOAD;
	message->payload_length = length - (payload_offset - offset);
	if ((__s32)message->payload_length <= 0)
		return NO_PAYLOAD; /* an acknowledgement, which Ethernet may have filled up */
	enum payload_kind kind = classify_payload(word);
	/* Of a shorter payload the word is 0: the call that failed has cleared it. */
	if (message->payload_length < sizeof(word))
		kind = OTHER_PAYLOAD;
	if (!may_begin(kind) && !all)
		return kind;

	const struct tcphdr *tcp = &head.segment.tcp;
	message->source_port = tcp->source;
	message->destination_port = tcp->dest;
	message->seq = tcp->seq;
	message->ack = tcp->ack_seq;
	message->ip_offset = offset;
	message->payload_offset = payload_offset;
	message->kind = kind;
	message->tsval = 0;
	if (tcp_length >= sizeof(*tcp) + sizeof(head.segment.options) &&
	    head.segment.options[0] == TIMESTAMP_FIRST_WORD)
		message->tsval = head.segment.options[1];
	else if (tcp_length > sizeof(*tcp))
		message->tsval = search_timestamp(skb, next + sizeof(*tcp), tcp_length - sizeof(*tcp));
	return kind;
}

#endif
