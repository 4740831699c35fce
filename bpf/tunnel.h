/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what lies around a packet: bytes of an skb -> struct outer. Touches no map. */
#ifndef HOPSPAN_TUNNEL_H
#define HOPSPAN_TUNNEL_H

#include "network.h"

#define VXLAN_PORTS_UNSET 0

struct vxlan_head {
	struct udphdr udp;
	__u32 flags;
	__u32 vni; /* upper 24 bits, network order */
} __attribute__((packed));

struct tunnel_head {
	struct iphdr ip;
	struct vxlan_head vxlan;
} __attribute__((packed));

/* Copies what stands behind the Ethernet header, without a call where it is linear, as it nearly always is. Returns 0
 * where the packet is shorter.
 */
static __always_inline int load_tunnel_head(struct __sk_buff *skb, __u32 offset, struct tunnel_head *head)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	if (data + offset + sizeof(*head) > end)
		return bpf_skb_load_bytes(skb, offset, head, sizeof(*head)) >= 0;
#pragma unroll
	for (int i = 0; i < sizeof(*head) / 4; i++)
		((__u32 *)head)[i] = ((const __u32 *)(data + offset))[i];
	return 1;
}

/* Reads a VXLAN header (RFC 7348) behind the IP header at `offset`, and UDP. Returns the offset of the inner IP header, 0
 * where there is none: the packet is not for one of the ports of `settings`.
 */
static __always_inline __u32 read_tunnel(struct __sk_buff *skb, __u32 offset, const struct settings *settings,
					 struct outer *outer)
{
	struct tunnel_head head;
	__u32 inner = offset + sizeof(head) + ETH_HLEN;

	if (!load_tunnel_head(skb, offset, &head))
		return 0;
	if (head.ip.version == 6) {
		if (((const struct ipv6hdr *)&head)->nexthdr != PROTOCOL_UDP)
			return 0;
		if (bpf_skb_load_bytes(skb, offset + sizeof(struct ipv6hdr), &head.vxlan, sizeof(head.vxlan)) < 0)
			return 0;
		inner = offset + sizeof(struct ipv6hdr) + sizeof(head.vxlan) + ETH_HLEN;
	} else if (head.ip.version != 4 || head.ip.ihl != 5 || head.ip.protocol != PROTOCOL_UDP) {
		return 0;
	}
	__u16 port = head.vxlan.udp.dest;
	if (port != settings->tunnel_ports[0] && port != settings->tunnel_ports[1] &&
	    port != settings->tunnel_ports[2] && port != settings->tunnel_ports[3])
		return 0;
	if (port == VXLAN_PORTS_UNSET)
		return 0;
	outer->tunnel = VXLAN;
	outer->vni = bpf_ntohl(head.vxlan.vni) >> 8;
	outer->source = head.ip.saddr;
	outer->destination = head.ip.daddr;
	outer->family = head.ip.version;
	outer->ip_offset = offset;
	return inner;
}

#endif
