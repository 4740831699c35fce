/* SPDX-License-Identifier: Apache-2.0 */
/* One small program for each point: it finds the message's transit and stamps it. */
enum role { FIRST, MIDDLE, LAST };

/* Counts a packet that is the same again to the last bit that we know of: it was sent twice within one tick of TSval, or has
 * none. The transit is the first one's, which may be lost, so it ends where that was seen last: the second one must not stamp
 * it, a timeout later. Counted once for each packet, not for each point that it meets.
 */
static __always_inline void end_repeated(__u64 *where, __u64 tag, struct transit_slot *slot)
{
	count(REPEATED);
	if (!READ_AGAIN(slot->awaits) && emit_transit(where, tag, slot, PARTIAL, 1))
		count(TRANSITS_SWEPT);
}

/* Has a message that has no transit yet looked at by the program that knows its protocol. Each has a program of its own, so that
 * the verifier follows it once, and not once for each point and each way that leads there.
 */
static __always_inline void call_start(struct __sk_buff *skb, const struct message *message,
				       const struct outer *outer, enum point point, int is_expected)
{
	__u64 zero = 0;
	struct workspace *work = workspaces.lookup((int *)&zero);

	if (!work)
		return;
	work->message = *message;
	work->outer = *outer;
	work->point = point;
	work->is_expected = is_expected;
	work->segment.is_begun = 0;
	if (message->kind == HTTP2_FRAME || message->kind == HTTP2_PREFACE || (is_expected && is_followed(message)))
		calls.call(skb, CALL_HTTP2);
	else if (READS(FLOW) && message->kind == TLS_RECORD)
		calls.call(skb, CALL_TLS);
	else if (message->kind != TLS_RECORD || is_expected)
		calls.call(skb, CALL_HTTP1);
}

/* Stamps the message's transit; at a first point starts it where it has none, at a last one hands it out. */
static __always_inline void stamp(struct __sk_buff *skb, __u32 offset, const struct outer *outer, enum point point,
				  enum role role)
{
	int awaits = is_awaited(skb, offset);
	if (role != FIRST && !awaits)
		return;
	struct message message;
	enum payload_kind kind = read_message(skb, offset, &message, awaits);

	if (kind == TLS_RECORD && role == FIRST)
		count(TLS_SEEN);
	if (kind == NO_PAYLOAD || (!may_begin(kind) && !awaits))
		return;

	__u64 *where, tag;
	struct transit_key key = packet_key(&message);
	struct transit_slot *slot = awaits ? find_transit(&key, &where, &tag) : 0;
	if (!slot) {
		if (role == FIRST)
			call_start(skb, &message, outer, point, awaits);
		return;
	}
	struct transit *transit = &slot->transit;
	__u8 bit = 1 << (point - 1);
	if (transit->seen & bit) {
		if (role == FIRST)
			end_repeated(where, tag, slot);
		return;
	}
	transit->monotonic_ns[point - 1] = bpf_ktime_get_ns();
	transit->ifindex[point - 1] = skb->ifindex;
	transit->seen |= bit;
	if (outer->tunnel)
		fill_outer(skb, transit, outer);
	if (role == LAST && !has_to_wait(slot) && emit_transit(where, tag, slot, 0, 1))
		count(TRANSITS_EMITTED);
}

static __always_inline int stamp_inner(struct __sk_buff *skb, enum point point, enum role role)
{
	struct outer none = {};
	__u32 offset = find_ip(skb);

	if (offset)
		stamp(skb, offset, &none, point, role);
	return TC_ACT_UNSPEC;
}

/* At the underlay device: the message inside a tunnel, or without one the packet itself. */
static __always_inline int stamp_outer(struct __sk_buff *skb, enum point point, enum role role)
{
	struct outer outer = {};
	__u64 zero = 0;
	struct settings *s = settings.lookup((int *)&zero);
	__u32 offset = find_ip(skb);

	if (!s || !offset)
		return TC_ACT_UNSPEC;
	__u32 inner = read_tunnel(skb, offset, s, &outer);
	stamp(skb, inner ? inner : offset, &outer, point, role);
	return TC_ACT_UNSPEC;
}

int pod_egress(struct __sk_buff *skb)
{
	return stamp_inner(skb, POD_EGRESS, FIRST);
}

int veth_ingress(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_INGRESS, MIDDLE);
}

int veth_ingress_first(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_INGRESS, FIRST);
}

int overlay_egress(struct __sk_buff *skb)
{
	return stamp_inner(skb, OVERLAY_EGRESS, MIDDLE);
}

int nic_egress(struct __sk_buff *skb)
{
	return stamp_outer(skb, NIC_EGRESS, LAST);
}

int nic_ingress(struct __sk_buff *skb)
{
	return stamp_outer(skb, NIC_INGRESS, FIRST);
}

int overlay_ingress(struct __sk_buff *skb)
{
	return stamp_inner(skb, OVERLAY_INGRESS, MIDDLE);
}

int veth_egress(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_EGRESS, MIDDLE);
}

int veth_egress_last(struct __sk_buff *skb)
{
	return stamp_inner(skb, VETH_EGRESS, LAST);
}

int pod_ingress(struct __sk_buff *skb)
{
	return stamp_inner(skb, POD_INGRESS, LAST);
}
