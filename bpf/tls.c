/* SPDX-License-Identifier: Apache-2.0 */
/* The program that first points call for a segment that begins with a record of TLS, where flows are asked for: none else loads
 * it. A message begins with the first record behind a payload of the other side: then the segment acknowledges more than the
 * last one did that began with a record. One direction is enough to tell, so DNAT is no matter.
 */

/* What is to be done with a segment. */
enum tls_verdict { NOTHING, BEGIN_BURST, BEGIN_BURST_AGAIN, FOLLOW_BURST };

/* Puts what the burst is judged by where other transits have their context's text. */
static __always_inline void write_burst(struct workspace *work, const struct tls_direction *direction,
					enum burst_kind kind)
{
	struct burst *burst = &work->burst;

	burst->kind = kind;
	burst->place = AMID;
	if (direction->marks & AFTER_HANDSHAKE)
		burst->place = direction->marks & CIPHER_CHANGED ? BEHIND_HANDSHAKE_1_2 : BEHIND_HANDSHAKE;
	burst->number = direction->number;
	burst->previous_followers = direction->previous_followers;
	burst->previous_last_ns = direction->previous_last_ns;
	__builtin_memcpy(burst->records, work->records.lengths, sizeof(burst->records));
	burst->ack = bpf_ntohl(work->message.ack);
	burst->payload_length = work->message.payload_length;
	__builtin_memset(&work->context, 0, sizeof(work->context));
	work->context.format = FLOW;
	__builtin_memcpy(work->context.text, burst, sizeof(*burst));
}

/* Starts the transit of a message. Returns 0 where it is not handed out. */
static __always_inline int start_burst(struct __sk_buff *skb, struct workspace *work)
{
	struct transit_key key = packet_key(&work->message);

	count(TLS_FLOW);
	if (!is_within_rate(skb, work, point_of(work)))
		return 0;
	MEETING_POINT();
	work->first = key_of(&work->message);
	work->frame_at = 0;
	work->more = 0;
	work->flags = TLS;
	if (!add_transit(skb, work, &key, point_of(work), NOTHING_ELSE))
		return 0;
	count(TRANSITS_STARTED);
	return 1;
}

/* Tells of the first segment that follows a burst's first: another message may begin with it. Returns 0 where there is no room. */
static __always_inline int tell_follower(struct __sk_buff *skb, struct workspace *work, __u32 burst_seq)
{
	struct transit *transit = ring.ringbuf_reserve(sizeof(*transit));
	enum point point = point_of(work);
	struct transit_key key = key_of(&work->message);

	if (!transit) {
		count(RING_FULL);
		return 0;
	}
	fill_message(skb, transit, &work->message, &key, 0);
	fill_outer(skb, transit, &work->outer);
	transit->seq = burst_seq;
	transit->flags = TLS;
	transit->seen = 1 << (point - 1);
	transit->contexts[0] = work->context;
	transit->ifindex[point - 1] = skb->ifindex;
	transit->monotonic_ns[point - 1] = bpf_ktime_get_ns();
	ring.ringbuf_submit(transit, BPF_RB_NO_WAKEUP);
	count(FLOW_FOLLOWED);
	return 1;
}

/* Judges a segment that is sent again, with the same number. */
static __always_inline enum tls_verdict judge_again(struct tls_direction *direction, const struct workspace *work)
{
	if (direction->burst_tsval == work->message.tsval) {
		count(REPEATED);
		return NOTHING;
	}
	direction->burst_tsval = work->message.tsval;
	return BEGIN_BURST_AGAIN;
}

/* Judges application data of a direction that is known. */
static __always_inline enum tls_verdict judge_data(struct tls_direction *direction, const struct workspace *work)
{
	__u32 seq = bpf_ntohl(work->message.seq);
	__s32 newer = bpf_ntohl(work->message.ack) - direction->last_ack; /* modulo 2^32 (RFC 9293 section 3.4) */
	int old = is_old(direction, seq);

	if (is_aside(&work->message, &work->records)) {
		if (direction->end == seq)
			note_end(direction, work);
		return NOTHING;
	}
	if (old && seq == direction->burst_seq && (direction->marks & BEGUN))
		return judge_again(direction, work);
	if (!old && (newer > 0 || (direction->marks & HANDSHAKE_ENDS))) {
		note_burst(direction, work, newer);
		return BEGIN_BURST;
	}
	direction->followers += 1;
	direction->last_ns = work->now;
	note_end(direction, work);
	return direction->marks & FOLLOWED ? NOTHING : FOLLOW_BURST;
}

/* Judges the segment. Returns what is known of its direction, 0 where nothing is to be done. */
static __always_inline struct tls_direction *judge_records(struct workspace *work)
{
	int is_data = work->records.type == APPLICATION_DATA;
	struct tls_direction *direction = find_direction(work);

	work->verdict = NOTHING;
	if (direction) {
		if (is_data)
			work->verdict = judge_data(direction, work);
		else
			note_handshake(direction, work);
		return direction;
	}
	if (is_data && is_aside(&work->message, &work->records))
		return 0;
	direction = add_direction(work);
	if (is_data)
		count(FLOW_UNKNOWN);
	if (!direction)
		return 0;
	if (is_data) {
		note_unknown(direction, work);
	} else {
		direction->end = bpf_ntohl(work->message.seq);
		note_handshake(direction, work);
	}
	return direction;
}

/* The program that first points call for what may be TLS. */
int tls(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct workspace *work = workspaces.lookup((int *)&zero);

	if (!work)
		return TC_ACT_UNSPEC;
	if (READ_AGAIN(work->is_expected) && is_unfinished(&work->message)) {
		calls.call(skb, CALL_HTTP1); /* a body of HTTP/1 goes on, which may look like anything */
		return TC_ACT_UNSPEC;
	}
	if (!read_records(skb, &work->message, &work->records))
		return TC_ACT_UNSPEC;
	work->now = bpf_ktime_get_ns();
	struct tls_direction *direction = judge_records(work);
	MEETING_POINT();
	enum tls_verdict verdict = READ_AGAIN(work->verdict);
	if (!direction || verdict == NOTHING)
		return TC_ACT_UNSPEC;
	write_burst(work, direction, verdict == FOLLOW_BURST ? BURST_FOLLOWER : BURST_START);
	MEETING_POINT();
	if (verdict == FOLLOW_BURST) {
		if (tell_follower(skb, work, direction->burst_seq))
			direction->marks |= FOLLOWED;
	} else if (!start_burst(skb, work) && verdict == BEGIN_BURST) {
		direction->marks |= FOLLOWED;
	}
	return TC_ACT_UNSPEC;
}
