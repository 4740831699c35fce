/* SPDX-License-Identifier: Apache-2.0 */
/* What a first point makes of a response: it finds the exchange that waits for it. */

/* What is to be done with a message. */
enum verdict {
	LEAVE_ALONE,
	SEARCH, /* what the header block holds, or what comes behind it, decides */
	START_REQUEST,
	START_RESPONSE,
	START_UNFINISHED, /* the context is still to come: the transit waits for it, or is swept if the rest does not come */
	GO_ON_UNFINISHED,
	COMPLETE, /* the context has come with a later segment */
	GIVE_UP,  /* the transit that was started is of no use */
};

/* Some ms are near enough for rates and ages. What needs neither is spared the call. */
static __always_inline void note_time(struct workspace *work)
{
	work->now = bpf_ktime_get_coarse_ns();
}

/* Finds the exchange of the response and where its tag is, and reads its context into the workspace. Returns 0, and counts the
 * response, where there is none.
 */
static __always_inline struct exchange *read_exchange(struct workspace *work, __u64 **where)
{
	struct transit_key answer = response_key(&work->first, work->first.seq);
	__u64 hash = hash_key(&answer);
	struct tag_set *set = exchange_set(hash);
	struct exchange *exchange = set ? find_exchange(set, &answer, hash, where) : 0;

	if (exchange) {
		work->context = exchange->context;
		asm volatile("" ::: "memory");
		if (same_key(&exchange->key, &answer))
			return exchange;
	}
	count(RESPONSE_NO_EXCHANGE); /* or another was given its slot while it was read */
	return 0;
}

/* Judges the final response of an exchange, which the segment begins with or holds. */
static __always_inline enum verdict judge_final(struct workspace *work, struct exchange *exchange, __u64 *where,
						__u32 status)
{
	const struct transit_key *key = &work->first;

	if (exchange->answered && exchange->response_tsval == key->tsval) {
		count(REPEATED);
		return LEAVE_ALONE;
	}
	note_earlier(work, exchange->answered);
	exchange->answered = count_sending(exchange->answered);
	exchange->response_tsval = key->tsval;
	/* Answered ones give way first. If the way is being given to another at this moment, that one is not marked. */
	struct transit_key answer = response_key(key, key->seq);
	__u64 tag = READ_AGAIN(*where);
	if (tag >> TAG_HASH_SHIFT == hash_key(&answer) >> TAG_HASH_SHIFT)
		__sync_val_compare_and_swap(where, tag, tag | TAG_MARK);
	note_response(work, exchange, status == SWITCHING_PROTOCOLS);
	return START_RESPONSE;
}

/* Judges what begins like a response. */
static __always_inline enum verdict judge_response(struct __sk_buff *skb, struct workspace *work)
{
	__u64 *where = 0;

	if (work->message.kind != HTTP_RESPONSE)
		return LEAVE_ALONE;
	struct exchange *exchange = read_exchange(work, &where);
	if (!exchange) {
		note_untraced_response(work);
		return LEAVE_ALONE;
	}
	note_time(work);
	__u32 status = read_status(skb, &work->message);
	if (!is_interim(status))
		return judge_final(work, exchange, where, status);
	count(RESPONSE_INTERIM);
	return SEARCH;
}

/* Judges what comes behind the header block of an interim response. Where the final response does, in the same segment, that
 * segment is what is measured; else the exchange waits on, for the response behind the segment.
 */
static __always_inline enum verdict judge_behind_interim(struct workspace *work)
{
	__u64 *where = 0;
	struct exchange *exchange = read_exchange(work, &where);

	if (!exchange)
		return LEAVE_ALONE;
	__u32 status = READ_AGAIN(work->result) != BLOCK_UNREADABLE ? read_hidden_status(work) : 0;
	if (status)
		return judge_final(work, exchange, where, status);
	struct transit_key request = {.seq = exchange->request_seq, .tsval = exchange->request_tsval};
	struct transit_key answer = response_key(&work->first, work->first.seq);
	answer.seq = bpf_htonl(bpf_ntohl(answer.seq) + work->message.payload_length);
	__u64 hash = hash_key(&answer);
	struct tag_set *set = exchange_set(hash);
	work->server = exchange->server;
	/* Where the interim response was sent again it does so already. */
	if (set && !find_exchange(set, &answer, hash, &where))
		add_exchange(set, &answer, hash, &request, work);
	return LEAVE_ALONE;
}
