/* SPDX-License-Identifier: Apache-2.0 */
/* Reads packet headers: bytes of an skb -> struct message. Touches no map, changes nothing. */
#ifndef HOPSPAN_PARSE_H
#define HOPSPAN_PARSE_H

#include "record.h"
#include "verifier.h"

#define IPV4_PROTOCOL_TCP    6
#define IPV4_PROTOCOL_UDP    17
#define IPV4_FRAGMENT_OFFSET 0x1fff /* RFC 791 section 3.1 */
#define VXLAN_PORTS_UNSET    0

#define TCP_OPTION_END		0
#define TCP_OPTION_NOP		1
#define TCP_OPTION_TIMESTAMP	8 /* RFC 7323 section 3.2 */
#define TIMESTAMP_OPTION_LENGTH 10

/* Senders put the timestamp option first, padded to words: NOP NOP 8 10 (RFC 7323 appendix A). */
#define TIMESTAMP_FIRST_WORD bpf_htonl(0x0101080a)

/* The first four bytes of a message, as a little-endian word reads them on every supported machine. */
#define WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)

/* IPv4 and TCP without options, the timestamp option, four bytes of payload. A segment that is shorter can hold no
 * HTTP message: the shortest, "GET / HTTP/1.0" and two line ends, has 18 bytes, and 16 without the option suffice.
 */
struct packet_head {
	struct iphdr ip;
	struct tcphdr tcp;
	__u32 options[3];
	__u32 payload;
} __attribute__((packed));

struct tunnel_head {
	struct iphdr ip;
	struct udphdr udp;
	__u32 flags;
	__u32 vni; /* upper 24 bits, network order */
} __attribute__((packed));

/* Addresses, ports, seq, ack and tsval in network order. */
struct message {
	__u32 source;
	__u32 destination;
	__u16 source_port;
	__u16 destination_port;
	__u32 seq;
	__u32 ack;
	__u32 tsval;
	__u32 payload_offset; /* from the skb's start */
	__u32 direction;
};

/* The encapsulation around a message; tunnel NO_TUNNEL: none. */
struct outer {
	__u32 tunnel;
	__u32 vni;
	__u32 source;
	__u32 destination;
};

enum payload_kind { OTHER_PAYLOAD, HTTP_REQUEST, HTTP_RESPONSE, TLS_RECORD };

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
	}
	/* A TLS record: handshake (22) or application data (23), then the legacy version 3.x (RFC 8446 section 5.1). */
	__u32 type = word & 0xff;
	if ((type == 22 || type == 23) && (word >> 8 & 0xff) == 3)
		return TLS_RECORD;
	return OTHER_PAYLOAD;
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

/* Reads the message that an IPv4 TCP packet at `offset` begins. Returns what its payload is; `message` is filled for
 * HTTP_REQUEST and HTTP_RESPONSE alone.
 */
static __always_inline enum payload_kind read_message(struct __sk_buff *skb, __u32 offset, struct message *message)
{
	struct packet_head head;

	if (bpf_skb_load_bytes(skb, offset, &head, sizeof(head)) < 0)
		return OTHER_PAYLOAD;
	if (head.ip.version != 4 || head.ip.protocol != IPV4_PROTOCOL_TCP)
		return OTHER_PAYLOAD;
	if (head.ip.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return OTHER_PAYLOAD;

	__u32 ip_length = head.ip.ihl * 4;
	if (ip_length < sizeof(head.ip))
		return OTHER_PAYLOAD;
	if (ip_length != sizeof(head.ip) &&
	    bpf_skb_load_bytes(skb, offset + ip_length, &head.tcp, sizeof(head) - sizeof(head.ip)) < 0)
		return OTHER_PAYLOAD;
	__u32 tcp_length = head.tcp.doff * 4;
	if (tcp_length < sizeof(head.tcp))
		return OTHER_PAYLOAD;

	__u32 payload_offset = offset + ip_length + tcp_length;
	__u32 word = head.payload;
	if (tcp_length == sizeof(head.tcp))
		word = head.options[0];
	else if (tcp_length != sizeof(head.tcp) + sizeof(head.options) &&
		 bpf_skb_load_bytes(skb, payload_offset, &word, sizeof(word)) < 0)
		return OTHER_PAYLOAD;
	enum payload_kind kind = classify_payload(word);
	if (kind != HTTP_REQUEST && kind != HTTP_RESPONSE)
		return kind;

	message->source = head.ip.saddr;
	message->destination = head.ip.daddr;
	message->source_port = head.tcp.source;
	message->destination_port = head.tcp.dest;
	message->seq = head.tcp.seq;
	message->ack = head.tcp.ack_seq;
	message->payload_offset = payload_offset;
	message->direction = kind == HTTP_RESPONSE ? RESPONSE : REQUEST;
	message->tsval = 0;
	if (tcp_length >= sizeof(head.tcp) + sizeof(head.options) && head.options[0] == TIMESTAMP_FIRST_WORD)
		message->tsval = head.options[1];
	else if (tcp_length > sizeof(head.tcp))
		message->tsval =
			search_timestamp(skb, offset + ip_length + sizeof(head.tcp), tcp_length - sizeof(head.tcp));
	return kind;
}

/* Copies what stands behind the Ethernet header, without a call where it is linear, as it nearly always is. Returns 0
 * where the packet is shorter.
 */
static __always_inline int load_tunnel_head(struct __sk_buff *skb, struct tunnel_head *head)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	if (data + ETH_HLEN + sizeof(*head) > end)
		return bpf_skb_load_bytes(skb, ETH_HLEN, head, sizeof(*head)) >= 0;
#pragma unroll
	for (int i = 0; i < sizeof(*head) / 4; i++)
		((__u32 *)head)[i] = ((const __u32 *)(data + ETH_HLEN))[i];
	return 1;
}

/* Reads a VXLAN header (RFC 7348) behind IPv4 and UDP. Returns the offset of the inner IP header, 0 where there is
 * none: the packet is not for one of the ports of `settings`.
 */
static __always_inline __u32 read_tunnel(struct __sk_buff *skb, const struct settings *settings, struct outer *outer)
{
	struct tunnel_head head;

	if (!load_tunnel_head(skb, &head))
		return 0;
	if (head.ip.version != 4 || head.ip.ihl != 5 || head.ip.protocol != IPV4_PROTOCOL_UDP)
		return 0;
	__u16 port = head.udp.dest;
	if (port != settings->tunnel_ports[0] && port != settings->tunnel_ports[1] &&
	    port != settings->tunnel_ports[2] && port != settings->tunnel_ports[3])
		return 0;
	if (port == VXLAN_PORTS_UNSET)
		return 0;
	outer->tunnel = VXLAN;
	outer->vni = bpf_ntohl(head.vni) >> 8;
	outer->source = head.ip.saddr;
	outer->destination = head.ip.daddr;
	return ETH_HLEN + sizeof(head) + ETH_HLEN;
}

#endif
