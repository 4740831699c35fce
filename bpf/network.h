/* SPDX-License-Identifier: Apache-2.0 */
/* Reads VLAN tags and the headers of IPv4 and IPv6: bytes of an skb -> where the next header begins. Touches no map. */
#ifndef HOPSPAN_NETWORK_H
#define HOPSPAN_NETWORK_H

#include "message.h"

#define PROTOCOL_TCP	     6
#define PROTOCOL_UDP	     17
#define IPV4_PLAIN	     0x45   /* version 4, five words: no options */
#define IPV4_FRAGMENT_OFFSET 0x1fff /* RFC 791 section 3.1 */

/* IPv6 extension headers that may stand before TCP (RFC 8200 section 4), and how many of them are stepped over. */
#define IPV6_HOP_BY_HOP	     0
#define IPV6_ROUTING	     43
#define IPV6_FRAGMENT	     44
#define IPV6_DESTINATION     60
#define IPV6_HEADERS_TRIED   2
#define IPV6_FRAGMENT_OFFSET 0xfff8 /* section 4.5 */

#define VLAN_TAG_BYTES 4 /* IEEE 802.1Q: the tag's value and the type of what follows */

/* Returns where the IP header begins behind Ethernet and up to two VLAN tags in the packet; 0 where there is none. A tag
 * that the device takes off lies beside the packet, in the skb.
 */
static __always_inline __u32 find_ip(struct __sk_buff *skb)
{
	__u32 offset = ETH_HLEN;
	__u32 type = skb->protocol;

#pragma unroll
	for (int i = 0; i < 2; i++) {
		__u16 next = 0;
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if (bpf_skb_load_bytes(skb, offset + VLAN_TAG_BYTES - sizeof(next), &next, sizeof(next)) < 0)
			return 0;
		offset += VLAN_TAG_BYTES;
		type = next;
	}
	return type == bpf_htons(ETH_P_IP) || type == bpf_htons(ETH_P_IPV6) ? offset : 0;
}

/* Returns 32 bits for an address of IPv6. Keys hold these beside port, sequence number and timestamp, so that two
 * addresses with the same bits are told apart all the same; the seed keeps others from choosing such.
 */
static __always_inline __u32 fold_address(const struct in6_addr *address)
{
	const __u32 *words = address->in6_u.u6_addr32;
	__u64 hash = ((__u64)words[0] << 32 | words[1]) ^ HASH_SEED;

	hash *= 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 32;
	hash = (hash ^ ((__u64)words[2] << 32 | words[3])) * 0xd6e8feb86659fd93ULL;
	return hash >> 32;
}

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == IPV6_HOP_BY_HOP || protocol == IPV6_ROUTING || protocol == IPV6_FRAGMENT ||
	       protocol == IPV6_DESTINATION;
}

/* Reads the IPv6 header at `offset` and what extends it. Returns where TCP begins, 0 where it does not. `length` is that of
 * the packet from `offset` on.
 */
static __always_inline __u32 read_ipv6(struct __sk_buff *skb, __u32 offset, struct message *message, __u32 *length)
{
	struct ipv6hdr ip;
	__u32 next = offset + sizeof(ip);

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) < 0)
		return 0;
	__u8 protocol = ip.nexthdr;
#pragma unroll
	for (int i = 0; i < IPV6_HEADERS_TRIED; i++) {
		__u8 head[4];
		if (!is_extension(protocol))
			break;
		if (bpf_skb_load_bytes(skb, next, head, sizeof(head)) < 0)
			return 0;
		if (protocol == IPV6_FRAGMENT && (head[2] << 8 | head[3]) & IPV6_FRAGMENT_OFFSET)
			return 0;
		next += protocol == IPV6_FRAGMENT ? 8 : head[1] * 8 + 8;
		protocol = head[0];
	}
	if (protocol != PROTOCOL_TCP)
		return 0;
	/* 0: a packet of more than 64 KiB (RFC 2675, BIG TCP), whose length is the skb's. */
	*length = ip.payload_len ? sizeof(ip) + bpf_ntohs(ip.payload_len) : skb->len - offset;
	message->source = fold_address(&ip.saddr);
	message->destination = fold_address(&ip.daddr);
	message->family = FAMILY_IPV6;
	return next;
}

#endif
