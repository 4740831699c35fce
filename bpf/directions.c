/* SPDX-License-Identifier: Apache-2.0 */
/* The table of TLS connections, one direction each: when its last message began, and what it acknowledged. The own bits of a tag
 * are the coarse time of the last use. This part is there only where flows are asked for, and so are its maps.
 */
BPF_F_TABLE("array", int, struct tag_set, direction_tags, DIRECTION_SETS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", int, struct tls_direction, directions, DIRECTIONS_MAX, BPF_F_MMAPABLE);

static __always_inline struct tls_direction *direction_of(__u64 set, __u64 way)
{
	__u64 index = set * TABLE_WAYS + (way & WAY_MASK);

	return directions.lookup((int *)&index);
}

/* Returns the tags among which the segment's direction is, their index, and the words and the hash that it is known by. */
static __always_inline struct tag_set *direction_set(const struct message *message, __u64 flow[2], __u64 *hash,
						     __u64 *index)
{
	flow_words(message, flow);
	*hash = hash_words(flow);
	*index = *hash % DIRECTION_SETS;
	return direction_tags.lookup((int *)index);
}

/* Finds the direction that the segment belongs to. Returns 0 where it is not known; where its way would be is then in the
 * workspace.
 */
static __always_inline struct tls_direction *find_direction(struct workspace *work)
{
	__u64 flow[2], hash, index;
	__u32 now = coarse_time(work->now);
	struct tag_set *set = direction_set(&work->message, flow, &hash, &index);

	if (!set)
		return 0;
	work->found = find_way(set, hash);
	if (!work->found) {
		work->found = find_worst_way(set, now, DIRECTION_AGE);
		return 0;
	}
	__u64 found = READ_AGAIN(work->found);
	struct tls_direction *direction = direction_of(index, found);
	if (!direction || direction->flow[0] != flow[0] || direction->flow[1] != flow[1])
		return 0;
	__u64 *where = &set->tags[found & WAY_MASK];
	__u64 tag = make_tag(hash, now);
	if (READ_AGAIN(*where) != tag)
		WRITE_ONCE(*where, tag);
	return direction;
}

/* Enters the direction that find_direction did not find, and returns what is to be filled; all of it is 0 but the flow. Returns 0
 * where another CPU has the way.
 */
static __always_inline struct tls_direction *add_direction(struct workspace *work)
{
	__u64 flow[2], hash, index;
	__u32 now = coarse_time(work->now);
	struct tag_set *set = direction_set(&work->message, flow, &hash, &index);
	__u64 found = READ_AGAIN(work->found);
	struct tls_direction *direction = direction_of(index, found);
	if (!set || !direction)
		return 0;
	__u64 *where = &set->tags[found & WAY_MASK];
	__u64 former = READ_AGAIN(*where);
	if (!take_way(where, former))
		return 0;
	if (former && now - (__u32)former < DIRECTION_AGE)
		count(FLOW_MAP_FULL);
	__builtin_memset(direction, 0, sizeof(*direction));
	direction->flow[0] = flow[0];
	direction->flow[1] = flow[1];
	publish(where, make_tag(hash, now));
	return direction;
}

/* Notes where the records end that begin in the segment, as far as they were walked. */
static __always_inline void note_end(struct tls_direction *direction, const struct workspace *work)
{
	__u32 behind = work->records.behind, length = work->message.payload_length;
	__u32 reach = behind < length ? length : behind;
	__u32 end = seq_at(&work->message, reach);

	if ((__s32)(end - direction->end) <= 0)
		return; /* it was sent before, and what was known then counts */
	direction->end = end;
	direction->marks &= ~OUT_OF_SIGHT;
	if (behind < length)
		direction->marks |= OUT_OF_SIGHT;
}

/* Whether the segment begins before the end of what was seen: it was sent before, or others overtook it. */
static __always_inline int is_old(const struct tls_direction *direction, __u32 seq)
{
	return direction->end - seq - 1 < SENT_AGAIN_MAX;
}

/* Notes a segment of a handshake: what comes next in its direction begins a message, whatever that acknowledges. */
static __always_inline void note_handshake(struct tls_direction *direction, const struct workspace *work)
{
	__u32 seq = bpf_ntohl(work->message.seq);

	if (work->records.is_hello) {
		direction->end = seq; /* a connection begins, maybe from a port that was used before */
		direction->marks = 0;
	} else if (is_old(direction, seq)) {
		return;
	}
	direction->marks |= FOLLOWED | IN_HANDSHAKE | HANDSHAKE_ENDS;
	/* Finished of TLS 1.2 (RFC 5246 section 7.1). A server of TLS 1.3 has nothing but application data, or waits for the
	 * client, behind its change of cipher (RFC 8446 section D.4); a client may say hello again.
	 */
	if (work->records.changes_cipher)
		direction->marks |= CIPHER_CHANGED;
	direction->last_ack = bpf_ntohl(work->message.ack);
	direction->last_ns = work->now;
	note_end(direction, work);
}

/* Notes a direction of which nothing was known: the segment may lie in the middle of a message. */
static __always_inline void note_unknown(struct tls_direction *direction, const struct workspace *work)
{
	direction->end = bpf_ntohl(work->message.seq);
	direction->number = work->now >> COARSE_SHIFT; /* that of a direction which gave way is hardly met again */
	direction->marks = FOLLOWED;
	direction->last_ack = bpf_ntohl(work->message.ack);
	direction->last_ns = work->now;
	note_end(direction, work);
}

/* Notes that a burst begins with the segment. Of what was not seen, a record may have begun just now. */
static __always_inline void note_burst(struct tls_direction *direction, const struct workspace *work, __s32 newer)
{
	__u32 seq = bpf_ntohl(work->message.seq);
	int is_in_sight = direction->end == seq && !(direction->marks & OUT_OF_SIGHT);

	direction->previous_followers = direction->followers;
	direction->previous_last_ns = is_in_sight ? direction->last_ns : work->now;
	direction->followers = 0;
	direction->last_ns = work->now;
	direction->number += 1;
	direction->burst_seq = seq;
	direction->burst_tsval = work->message.tsval;
	direction->last_ack = bpf_ntohl(work->message.ack);
	direction->marks &= ~(FOLLOWED | AFTER_HANDSHAKE | HANDSHAKE_ENDS);
	direction->marks |= BEGUN;
	if (direction->marks & IN_HANDSHAKE)
		direction->marks |= AFTER_HANDSHAKE;
	if (newer > 0)
		direction->marks &= ~IN_HANDSHAKE;
	note_end(direction, work);
}
