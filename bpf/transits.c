/* SPDX-License-Identifier: Apache-2.0 */
/* The table of transits: a first point adds one, a last point or the sweep takes it out, into the ring. */
/* Where the transits are counted that have the sequence number (network order) of their first byte in common. */
static __always_inline __u32 *count_of_awaited(__u32 seq)
{
	__u64 index = seq * 0x9e3779b1 >> (32 - AWAITED_BITS);

	return awaited.lookup((int *)&index);
}

/* Whether the packet at `offset` may belong to a transit that is under way. Most packets do not, and nearly always no
 * transit has even the hash of their sequence number: so this looks at the headers where they lie, without a call, and
 * spares all others the look into the payload and into the table. 1 where the headers are not that simple.
 */
static __always_inline int is_awaited(struct __sk_buff *skb, __u32 offset)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	const __u8 *ip = data + offset;
	const struct tcphdr *tcp = data + offset + sizeof(struct iphdr);
	__u8 protocol;

	/* No byte more than is looked at: TCP sends packets whose payload lies elsewhere, behind no more than their headers. */
	if (data + offset + sizeof(struct iphdr) + sizeof(*tcp) > end)
		return 1;
	if (*ip == IPV4_PLAIN) {
		protocol = ((const struct iphdr *)ip)->protocol;
	} else {
		tcp = data + offset + sizeof(struct ipv6hdr);
		if (*ip >> 4 != 6 || (void *)(tcp + 1) > end)
			return 1;
		protocol = ((const struct ipv6hdr *)ip)->nexthdr;
		if (is_extension(protocol))
			return 1;
	}
	if (protocol != PROTOCOL_TCP)
		return 0;
	__u32 *number = count_of_awaited(tcp->seq);
	return number && READ_AGAIN(*number);
}

/* Changes how many packets are waited for that have the sequence number. */
static __always_inline void await_packet(__u32 seq, int change)
{
	__u32 *number = count_of_awaited(seq);

	if (number)
		__sync_fetch_and_add(number, change);
}

/* Reads the tags among which the transit of `key` will be, and lets the processor fetch them while it goes on: there are
 * atomic operations before they are needed, and nothing is fetched beyond these.
 */
static __always_inline void fetch_early(const struct transit_key *key)
{
	__u64 index = hash_key(key) % TRANSIT_SETS;
	struct tag_set *set = transit_tags.lookup((int *)&index);

	if (set)
		(void)READ_AGAIN(set->tags[0]);
}

/* Puts the transit of the message and context in the workspace into the table; `awaits` says whether the context is still to
 * come. Returns 0 where there is no room.
 */
static __always_inline int add_transit(struct __sk_buff *skb, struct workspace *work, const struct transit_key *key,
				       enum point point, enum awaits awaits)
{
	__u64 hash = hash_key(key);
	__u64 index = hash % TRANSIT_SETS;
	struct tag_set *set = transit_tags.lookup((int *)&index);

	if (!set)
		return 0;
	work->found = find_free_way(set);
	__u64 found = READ_AGAIN(work->found);
	__u64 *where = &set->tags[found & WAY_MASK];
	if (!found || !take_way(where, 0)) {
		count(TRANSIT_MAP_FULL);
		return 0;
	}
	__u64 number = 0;
	struct transit_slot *slot = take_slot(work, &number);
	if (!slot) {
		count(TRANSIT_MAP_FULL);
		publish(where, 0);
		return 0;
	}
	slot->key = *key;
	slot->awaits = awaits;
	slot->more = work->more;
	fill_message(skb, &slot->transit, &work->message, &work->first, work->frame_at);
	fill_outer(skb, &slot->transit, &work->outer);
	slot->transit.flags = work->flags;
	slot->transit.contexts[0] = work->context;
	slot->transit.seen = 1 << (point - 1);
	slot->transit.ifindex[point - 1] = skb->ifindex;
	await_packet(key->seq, 1);
	slot->transit.monotonic_ns[point - 1] = bpf_ktime_get_ns();
	publish(where, make_tag(hash, coarse_time(work->now) << 16 | number));
	return 1;
}

/* Finds the transit of `key`, and where its tag is. Returns 0 where there is none. */
static __always_inline struct transit_slot *find_transit(const struct transit_key *key, __u64 **where, __u64 *tag)
{
	__u64 hash = hash_key(key);
	__u64 index = hash % TRANSIT_SETS;
	struct tag_set *set = transit_tags.lookup((int *)&index);
	__u64 found = set ? find_way(set, hash) : 0;

	if (!found)
		return 0;
	*where = &set->tags[found & WAY_MASK];
	*tag = READ_AGAIN(**where);
	__u64 number = *tag % TRANSITS_MAX;
	struct transit_slot *slot = transits.lookup((int *)&number);
	return slot && same_key(&slot->key, key) ? slot : 0;
}

/* Frees the way and the slot of a transit that this CPU has taken. */
static __always_inline void free_transit(__u64 *where, __u64 tag, struct transit_slot *slot)
{
	__u64 zero = 0;
	struct workspace *work = workspaces.lookup((int *)&zero);
	__u32 seq = slot->key.seq;

	publish(&slot->in_use, 0);
	publish(where, 0);
	await_packet(seq, -1);
	if (work)
		work->freed = tag % TRANSITS_MAX;
}

/* Hands the transit to the ring and frees its way and slot. The reader polls, so no packet pays for waking it. `more` says that
 * it may have further contexts. Returns 0 where the sweep and a last point met, and the other one has it.
 */
static __always_inline int emit_transit(__u64 *where, __u64 tag, struct transit_slot *slot, __u8 flags, int more)
{
	if (!take_way(where, tag))
		return 0;
	slot->transit.flags |= flags;
	int failed = ring.ringbuf_output(&slot->transit, sizeof(slot->transit), BPF_RB_NO_WAKEUP) < 0;
	if (more)
		emit_chain(slot, flags & PARTIAL ? TRANSITS_SWEPT : TRANSITS_EMITTED);
	free_transit(where, tag, slot);
	if (failed)
		count(RING_FULL);
	return !failed;
}

/* Lets a transit go that turned out to be of no use. */
static __always_inline int drop_transit(__u64 *where, __u64 tag, struct transit_slot *slot)
{
	if (!take_way(where, tag))
		return 0;
	free_transit(where, tag, slot);
	return 1;
}

/* Whether the last point has to leave the transit to the segment that brings its context. */
static __always_inline int has_to_wait(struct transit_slot *slot)
{
	return READ_AGAIN(slot->awaits) &&
	       __sync_val_compare_and_swap(&slot->awaits, AWAITS_CONTEXT, AWAITS_CONTEXT_ALONE) != NOTHING_ELSE;
}

/* Whether the transit, whose context has come, was at its last point before. */
static __always_inline int has_waited(struct transit_slot *slot)
{
	return __sync_val_compare_and_swap(&slot->awaits, AWAITS_CONTEXT, NOTHING_ELSE) == AWAITS_CONTEXT_ALONE;
}
