/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of HTTP/2 connections, one direction each: where the next frame begins. Where that is inside a later segment, that
 * one is awaited as the rest of a header block is, although it begins like nothing.
 */

/* What tells the direction of a connection from all others. */
static __always_inline void flow_words(const struct message *message, __u64 *words)
{
	words[0] = (__u64)message->destination << 32 | message->source;
	words[1] = (__u64)message->family << 32 | (__u32)message->destination_port << 16 | message->source_port;
}

/* Returns the hash of a connection's direction. */
static __always_inline __u64 hash_flow(const struct message *message)
{
	__u64 words[2];

	flow_words(message, words);
	return hash_words(words);
}

/* Whether the segment begins where a frame does, as its connection was followed. */
static __always_inline int begins_with_frame(const struct message *message)
{
	__u64 hash = hash_flow(message);
	__u64 index = hash % FLOW_SETS;
	struct tag_set *set = flows.lookup((int *)&index);
	__u64 found = set ? find_way(set, hash) : 0;

	return found && (__u32)READ_AGAIN(set->tags[found & WAY_MASK]) == bpf_ntohl(message->seq);
}

/* Keeps where the connection's next frame begins, a sequence number in host order; any other may have to go for it. */
static __always_inline void note_boundary(struct workspace *work, __u32 boundary)
{
	__u64 hash = hash_flow(&work->message);
	__u64 index = hash % FLOW_SETS;
	struct tag_set *set = flows.lookup((int *)&index);

	if (!set)
		return;
	work->found = find_way(set, hash);
	if (!work->found)
		work->found = find_free_way(set);
	__u64 found = READ_AGAIN(work->found);
	__u64 *where = &set->tags[(found ? found : boundary) & WAY_MASK];
	WRITE_ONCE(*where, make_tag(hash, boundary));
}

static __always_inline struct followed_flow *followed_of(int set, __u64 way)
{
	__u64 index = set * TABLE_WAYS + (way & WAY_MASK);

	return followed.lookup((int *)&index);
}

/* Whether a frame goes on into the segment, which begins like anything. */
static __always_inline int is_followed(const struct message *message)
{
	struct transit_key next = next_key(message, 0);
	__u64 hash = hash_key(&next);
	__u64 index = hash % FOLLOWED_SETS;
	struct tag_set *set = followed_tags.lookup((int *)&index);

	return set && find_way(set, hash);
}

/* Takes out what is known of the frame that goes on into the segment. Returns 0 where there is none. */
static __always_inline int resume_frame(struct workspace *work)
{
	struct transit_key next = next_key(&work->message, 0);
	__u64 hash = hash_key(&next);
	__u64 index = hash % FOLLOWED_SETS;
	struct tag_set *set = followed_tags.lookup((int *)&index);
	__u64 found = set ? find_way(set, hash) : 0;

	if (!found)
		return 0;
	__u64 *where = &set->tags[found & WAY_MASK];
	__u64 tag = READ_AGAIN(*where);
	struct followed_flow *flow = followed_of(index, found);
	if (!flow || !take_awaited(where, tag, &flow->next, &next))
		return 0;
	work->segment.at = (__u64)flow->skip - flow->held;
	work->segment.held = flow->held;
	work->segment.words[0] = flow->words[0];
	work->segment.words[1] = flow->words[1];
	free_awaited(where, &next);
	return 1;
}

/* Waits for the segment behind this one, in which the next frame begins `skip` bytes behind the start; or whose first bytes
 * complete the frame's head of which `held` are in the workspace.
 */
static __always_inline void follow_frame(struct workspace *work, __u32 skip, __u32 held)
{
	struct transit_key next = next_key(&work->message, work->message.payload_length);
	__u32 now = coarse_time(work->now);
	__u64 hash = hash_key(&next);
	__u64 index = hash % FOLLOWED_SETS;
	struct tag_set *set = followed_tags.lookup((int *)&index);

	if (!set)
		return;
	__u64 found = choose_awaited_way(work, set, hash, now);
	__u64 *where = &set->tags[found & WAY_MASK];
	struct followed_flow *flow = followed_of(index, found);
	if (!flow || !replace_awaited(where, &flow->next))
		return;
	flow->next = next;
	flow->skip = skip;
	flow->held = held;
	flow->words[0] = work->segment.words[0];
	flow->words[1] = work->segment.words[1];
	await_packet(next.seq, 1);
	publish(where, make_tag(hash, now));
}

/* Takes out of one set what has waited for `least` (2^20 ns) or longer. */
static __always_inline void expire_followed(int index, __u32 now, __u32 least)
{
	struct tag_set *set = followed_tags.lookup(&index);

	if (!set)
		return;
#pragma unroll /* as in expire_blocks */
	for (__u32 way = 0; way < TABLE_WAYS; way++) {
		struct followed_flow *flow = followed_of(index, way);
		if (flow)
			expire_awaited(&set->tags[way], &flow->next, now, least);
	}
}
