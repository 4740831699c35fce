/* SPDX-License-Identifier: Apache-2.0 */
/* What the maps hold and what the ring hands out. node_probe/kernel_record.py mirrors it; a test compares both.
 * Integers are in the host's byte order unless a comment says otherwise; padding is explicit.
 */
#ifndef HOPSPAN_RECORD_H
#define HOPSPAN_RECORD_H

#include "limits.h"

#define RECORD_VERSION 1

enum point {
	POD_EGRESS = 1,
	VETH_INGRESS,
	OVERLAY_EGRESS,
	NIC_EGRESS,
	NIC_INGRESS,
	OVERLAY_INGRESS,
	VETH_EGRESS,
	POD_INGRESS,
};
#define POINTS 8

/* CLOCK_MONOTONIC in units of 2^20 ns, some milliseconds. */
#define COARSE_SHIFT 20

enum direction { REQUEST, RESPONSE };

/* In the place of a direction: the key is that of an exchange of HTTP/2, see stream_key; or of a packet that tells no direction,
 * see packet_key.
 */
#define STREAM_RESPONSE	 2
#define EITHER_DIRECTION 3

enum context_format { TRACEPARENT = 1, B3, B3MULTI, UBER_TRACE_ID, FLOW };

/* How the text of a context is coded: as the header has it, or by HPACK's Huffman code (RFC 7541 appendix B). */
enum context_coding { PLAIN, HUFFMAN };

enum tunnel { NO_TUNNEL, VXLAN };

enum transit_flag { PARTIAL = 1, SEGMENTS = 2, TLS = 4, AMBIGUOUS = 8 };

/* Behind the flags, in the upper half of their byte: how many sendings of the message the node saw before, so many or more. */
#define EARLIER_SHIFT 4
#define EARLIER_MAX   15

/* Indexes of the per-CPU counters: what was seen, and under which reason a message was left alone or lost; the last
 * ones in the order of enum context_format.
 */
enum counter {
	TRANSITS_STARTED,
	TRANSITS_EMITTED,
	TRANSITS_SWEPT,
	REQUEST_NO_CONTEXT,
	REQUEST_UNFINISHED,
	REQUEST_TOO_LONG,
	REQUEST_BAD_CONTEXT,
	REQUEST_UNSAMPLED,
	REQUEST_PIPELINED,
	RESPONSE_NO_EXCHANGE,
	RESPONSE_INTERIM,
	REPEATED,
	RATE_LIMITED,
	TRANSIT_MAP_FULL,
	EXCHANGE_MAP_FULL,
	RING_FULL,
	TLS_SEEN,
	HTTP2_REQUESTS,
	HTTP2_INDEXED,
	HTTP2_AMBIGUOUS,
	HTTP2_CONTINUED,
	HTTP2_MALFORMED,
	HTTP2_TOO_MANY,
	HTTP2_UNCERTAIN,
	HTTP2_RESET,
	TLS_FLOW,
	FLOW_FOLLOWED,
	FLOW_UNKNOWN,
	FLOW_MAP_FULL,
	CONTEXT_TRACEPARENT,
	CONTEXT_B3,
	CONTEXT_B3MULTI,
	CONTEXT_UBER_TRACE_ID,
	COUNTERS,
};

/* Joins the stamps of one packet. It survives DNAT (the client's side is not rewritten), GSO and GRO (the first byte
 * keeps its sequence number); a retransmission has a new TSval, so it is a transit of its own.
 */
struct transit_key {
	__u32 address; /* the client's, network order */
	__u32 seq;     /* of the message's first byte, network order */
	__u32 tsval;   /* network order, 0 without the timestamp option */
	__u16 port;    /* the client's, network order */
	__u8 direction;
	__u8 family;
} __attribute__((aligned(8)));

/* The tags of one set of a table: see table.h. */
struct tag_set {
	__u64 tags[TABLE_WAYS];
};

/* How a body ends. */
enum body_kind {
	ENDS_UNKNOWN, /* with an answer, as far as we know */
	ENDS_AT,
	GOES_ON,     /* with the last chunk; it is followed, and `end` is how far */
	NO_REQUESTS, /* it is a server's */
	ANSWERS,     /* as ENDS_UNKNOWN, and it is a response whose request is not known */
};

/* What is known of a message that goes on, or may: see bodies.c. */
struct body {
	__u32 start; /* sequence number of its first byte, host order */
	__u32 ack;   /* what its first segment acknowledged, network order */
	__u32 end;   /* sequence number behind its last byte, host order */
	__u32 kind;  /* enum body_kind */
};

struct context {
	__u8 format;
	__u8 coding;
	__u8 length; /* of text that is valid */
	__u8 reserved;
	__u32 stream_id;
	__u8 text[CONTEXT_TEXT_MAX];
} __attribute__((aligned(8)));

struct transit {
	__u8 version;
	__u8 direction;
	__u8 seen; /* bit (point - 1): monotonic_ns and ifindex of that point are valid; the others are not cleared */
	__u8 flags;
	__u8 tunnel;
	__u8 context_count;
	__u16 client_port;
	__u16 server_port;
	__u16 reserved;
	__u32 seq;
	__u32 tsval;
	__u32 vni;
	__u8 client_address[16];
	__u8 server_address[16];
	__u8 outer_source[16];
	__u8 outer_destination[16];
	__u64 monotonic_ns[POINTS];
	__u32 ifindex[POINTS];
	struct context contexts[1]; /* of several contexts each has a record of its own: see chain_contexts */
};

/* What a transit waits for whose context was not in the first segment: it leaves when both have come. */
enum awaits { NOTHING_ELSE, AWAITS_CONTEXT, AWAITS_CONTEXT_ALONE };

struct transit_slot {
	struct transit_key key;
	struct transit transit;
	__u64 in_use;
	__u64 awaits;
	__u64 more; /* a slot that holds a further context of the segment, counted from 1; 0 is none */
};

/* What the next segment of a request is waited for. */
enum waits {
	FOR_NOTHING,
	FOR_CONTEXT,
	FOR_LENGTH, /* of the body: what the request's transit needs was found */
	FOR_END,    /* of the body */
};

/* A request whose header block goes on behind the segments that came; or its body, of which nothing is kept. */
struct unfinished_block {
	struct transit_key next;  /* of the segment that is waited for, without TSval */
	struct transit_key first; /* of the request's transit */
	__u32 segments;		  /* that came */
	__u32 length;		  /* of the bytes that are valid */
	__u64 waits;		  /* enum waits */
	__u64 words[HEADER_BLOCK_MAX / 8];
};

/* What a response needs of its request, kept until another takes its slot, so that retransmissions find it too. */
struct exchange {
	struct transit_key key; /* of the response, without its TSval: see response_key */
	__u32 request_seq;	/* network order, as the others here */
	__u32 request_tsval;
	__u32 response_tsval; /* of the response that was seen last */
	__u16 answered;	      /* host order: how many sendings of the response were seen, up to EARLIER_MAX */
	__u16 resent;	      /* how often the request was sent again, up to the same */
	__u32 entered;	      /* coarse_time, host order */
	__u32 server;	      /* what the request was sent to: see server_of */
	__u32 request_ack;    /* network order, as the next; both are looked at for HTTP/2 alone */
	__u32 response_seq;
	struct context context;
};

/* A connection of HTTP/2 on which a frame goes on into the segment that is waited for. */
struct followed_flow {
	struct transit_key next;
	__u32 skip;	/* bytes to the next frame */
	__u32 held;	/* of that frame's head, which are here */
	__u64 words[2]; /* the head */
};

/* How many slots of each table were handed out: the next one is that, modulo the table's size. Each counter has a cache
 * line of its own.
 */
struct turns {
	__u64 transits;
	__u64 apart[7];
	__u64 exchanges;
} __attribute__((aligned(64)));

/* The kernel's id of the root of the cgroup tree; what runs there is told apart by nothing. */
#define ROOT_CGROUP 1

/* Who may start so many transits a second: see rate_key_of. */
struct rate_key {
	__u64 owner;
	__u64 ifindex;
};

/* Written by the agent before the programs are attached. */
struct settings {
	__u16 tunnel_ports[TUNNEL_PORTS_MAX]; /* network order, 0 where unused */
	__u32 rate_limit;		      /* new transits a second and first-point device, 0: none */
	__u32 reserved;
};

#endif
