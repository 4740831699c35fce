/* SPDX-License-Identifier: Apache-2.0 */
/* Makes keys and the fields of a transit out of a message. Touches no map. */
#ifndef HOPSPAN_TRANSIT_H
#define HOPSPAN_TRANSIT_H

#include "parse.h"
#include "record.h"

static __always_inline __u32 coarse_time(__u64 now)
{
	return now >> COARSE_SHIFT;
}

/* The key of a packet from client to server. */
static __always_inline struct transit_key request_key(const struct message *message)
{
	struct transit_key key = {};

	key.address = message->source;
	key.port = message->source_port;
	key.seq = message->seq;
	key.tsval = message->tsval;
	key.direction = REQUEST;
	key.family = message->family;
	return key;
}

static __always_inline struct transit_key key_of(const struct message *message)
{
	struct transit_key key = request_key(message);
	__u32 destination = message->destination;

	/* Else LLVM 19 chooses between the addresses of both fields: "R2 bitwise operator |= on pointer prohibited". */
	OPAQUE(destination);
	if (message->kind == HTTP_RESPONSE) {
		key.address = destination;
		key.port = message->destination_port;
		key.direction = RESPONSE;
	}
	return key;
}

/* The number of the byte at an index of the message's payload, in host order. */
static __always_inline __u32 seq_at(const struct message *message, __u32 index)
{
	return bpf_ntohl(message->seq) + index;
}

/* The key of a segment that begins at an index of this one's payload or behind it, by which a first point waits for it. */
static __always_inline struct transit_key next_key(const struct message *message, __u32 index)
{
	struct transit_key next = request_key(message);

	next.seq = bpf_htonl(seq_at(message, index));
	next.tsval = 0;
	return next;
}

/* The key by which the points of a node know a packet. Of HTTP/1's the first word tells who is the client, and the client's
 * side is what DNAT leaves as it is. What begins in another way may go either way: it is known by both of the connection's
 * numbers, which nobody rewrites.
 */
static __always_inline struct transit_key packet_key(const struct message *message)
{
	struct transit_key key = key_of(message);
	__u32 ack = message->ack;

	OPAQUE(ack); /* as in key_of */
	if (message->kind != HTTP_REQUEST && message->kind != HTTP_RESPONSE) {
		key.address = ack;
		key.port = 0;
		key.direction = EITHER_DIRECTION;
	}
	return key;
}

/* The key under which a response will look whose first byte has the number `seq`, in network order. It holds the
 * client's side alone, which DNAT leaves as it is. The number belongs to it: one client port serves connections to
 * several servers at once.
 */
static __always_inline struct transit_key response_key(const struct transit_key *message, __u32 seq)
{
	struct transit_key key = *message;

	key.seq = seq;
	key.tsval = 0;
	key.direction = RESPONSE;
	return key;
}

static __always_inline void map_ipv4(__u8 *address, __u32 ipv4)
{
	__u32 *words = (__u32 *)address;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0x0000ffff); /* RFC 4291 section 2.5.5.2 */
	words[3] = ipv4;
}

#define SERVER_FACTOR 0x9e3779b1

/* Tells the servers of connections apart that have all else in common, on one node: DNAT comes before its first point, or
 * after it, for all of them.
 */
static __always_inline __u32 server_of(const struct message *request)
{
	return request->destination * SERVER_FACTOR + request->destination_port;
}

/* Whose limit a packet counts against. An interface index is unique within a network namespace only, and every pod's
 * device tends to have the same one; the cgroup of the sending socket tells pods apart, whatever addresses they forge.
 * Where no socket or no cgroup of its own is known, the sender's address has to do, as it has to where packets of all
 * other nodes' pods come in. The host end of a pod's veth has an index of its own.
 */
static __always_inline struct rate_key rate_key_of(struct __sk_buff *skb, const struct message *message,
						   enum point point)
{
	struct rate_key rate = {.ifindex = skb->ifindex};

	if (point == POD_EGRESS)
		rate.owner = bpf_skb_cgroup_id(skb);
	if (point == NIC_INGRESS || (point == POD_EGRESS && rate.owner <= ROOT_CGROUP))
		rate.owner = message->source;
	return rate;
}

/* Where the status of a response is: three digits behind "HTTP/1.1 ". */
#define STATUS_AT   9
#define STATUS_MASK 0xffffff

/* Returns the status of a response, 0 where it is cut off. */
static __always_inline __u32 read_status(struct __sk_buff *skb, const struct message *message)
{
	__u32 status = 0;

	return bpf_skb_load_bytes(skb, message->payload_offset + STATUS_AT, &status, 3) < 0 ? 0 : status;
}

/* The last response that a connection has in HTTP (RFC 9110 section 7.8). */
#define SWITCHING_PROTOCOLS WORD('1', '0', '1', 0)

/* Whether the status is 1xx: an interim response, which the final one follows (section 15.2). */
static __always_inline int is_interim(__u32 status)
{
	return (__u8)status == '1' && status != SWITCHING_PROTOCOLS;
}

/* Writes an address of an IP header: that of IPv4 as it was read, that of IPv6 from `offset` of the skb. */
static __always_inline void fill_address(struct __sk_buff *skb, __u8 *address, __u32 family, __u32 ipv4, __u32 offset)
{
	if (family == FAMILY_IPV6)
		bpf_skb_load_bytes(skb, offset, address, sizeof(struct in6_addr));
	else
		map_ipv4(address, ipv4);
}

/* Where the addresses of IPv6 lie in its header (RFC 8200 section 3). */
#define IPV6_FROM 8
#define IPV6_TO	  24

static __always_inline void fill_outer(struct __sk_buff *skb, struct transit *transit, const struct outer *outer)
{
	transit->tunnel = outer->tunnel;
	transit->vni = outer->vni;
	fill_address(skb, transit->outer_source, outer->family, outer->source, outer->ip_offset + IPV6_FROM);
	fill_address(skb, transit->outer_destination, outer->family, outer->destination, outer->ip_offset + IPV6_TO);
}

/* `frame_at` is where the message begins in its segment: so that its number is the same where segments are cut anew. */
static __always_inline void fill_message(struct __sk_buff *skb, struct transit *transit,
					 const struct message *message, const struct transit_key *key, __u32 frame_at)
{
	int response = key->direction == RESPONSE;
	__u8 *source = response ? transit->server_address : transit->client_address;
	__u8 *destination = response ? transit->client_address : transit->server_address;

	transit->version = RECORD_VERSION;
	transit->direction = key->direction;
	transit->context_count = 1;
	transit->client_port = bpf_ntohs(key->port);
	transit->server_port = bpf_ntohs(response ? message->source_port : message->destination_port);
	transit->reserved = 0;
	transit->seq = bpf_ntohl(key->seq) + frame_at;
	transit->tsval = bpf_ntohl(key->tsval);
	fill_address(skb, source, message->family, message->source, message->ip_offset + IPV6_FROM);
	fill_address(skb, destination, message->family, message->destination, message->ip_offset + IPV6_TO);
}

#endif
