/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of a packet's headers. Nothing but definitions. */
#ifndef HOPSPAN_MESSAGE_H
#define HOPSPAN_MESSAGE_H

#include "record.h"
#include "verifier.h"

#define FAMILY_IPV4 4
#define FAMILY_IPV6 6

enum payload_kind { NO_PAYLOAD, OTHER_PAYLOAD, HTTP_REQUEST, HTTP_RESPONSE, TLS_RECORD, HTTP2_FRAME, HTTP2_PREFACE };

/* Ports, seq, ack and tsval in network order, and so are the addresses of IPv4; those of IPv6 are folded. */
struct message {
	__u32 source;
	__u32 destination;
	__u16 source_port;
	__u16 destination_port;
	__u32 seq;
	__u32 ack;
	__u32 tsval;
	__u32 ip_offset; /* from the skb's start, as the next */
	__u32 payload_offset;
	__u32 payload_length; /* as the IP header has it: Ethernet fills up short frames behind it */
	__u32 kind;	      /* enum payload_kind */
	__u32 family;
};

/* The encapsulation around a message; tunnel NO_TUNNEL: none. Addresses of IPv4; those of IPv6 are read when needed. */
struct outer {
	__u32 tunnel;
	__u32 vni;
	__u32 source;
	__u32 destination;
	__u32 family;
	__u32 ip_offset;
};

#endif
